"""`radgate route`: why a study goes where it goes, asked of files, without a server."""

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Routing rules.", no_args_is_help=True)

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; without it, the routes that ship.", exists=True)
]


@app.command()
def explain(
    study: Annotated[Path, typer.Argument(help="Folder or file of a study.", exists=True)],
    config: Config = None,
    route: Annotated[str, typer.Option(help="Only this route.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show for every stack and route each condition with what was found and what was wanted."""
    from datetime import datetime

    from dicom_gateway.cli.sources import settings_of
    from dicom_gateway.errors import SettingsError
    from dicom_gateway.flow.planning import decide
    from dicom_gateway.route.explain import render_text
    from dicom_gateway.route.facts import Facts
    from imaging.cine_scan import with_cines
    from imaging.picture_scan import with_pictures
    from imaging.series import scan

    routes = settings_of(config).routes
    if route:
        routes = tuple(r for r in routes if r.name == route)
        if not routes:
            raise SettingsError(f"There is no route '{route}'; see `radgate route list`.")
    found = with_cines(with_pictures(scan([study])))
    decision = decide(found, routes, Facts(complete=True, now=datetime.now().astimezone()))
    if as_json:
        typer.echo(json.dumps(decision.to_json(), ensure_ascii=False, indent=1))
        return
    for explanation in decision.explanations:
        typer.echo(render_text(explanation))


@app.command("list")
def list_routes(
    config: Config = None, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """List the routes."""
    from dicom_gateway.cli.sources import settings_of

    rows = [
        {"name": r.name, "priority": r.priority, "bundle": r.bundle, "profile": r.profile, "deliver": list(r.deliver)}
        for r in settings_of(config).routes
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['priority']:>3}  {row['name']:<28} {row['bundle']}")


@app.command()
def check(
    config: Annotated[Path, typer.Argument(help="Settings file.", exists=True)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a settings file: its keys, its routes, and that every route's bundle and destination exist."""
    from dicom_gateway.cli.sources import settings_of

    settings = settings_of(config)
    if as_json:
        typer.echo(json.dumps({"ok": True, "routes": len(settings.routes)}))
    else:
        typer.echo(
            f"{config.name}: {len(settings.routes)} routes, {len(settings.destinations)} destinations, no error."
        )
