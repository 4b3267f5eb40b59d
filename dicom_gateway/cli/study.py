"""`radgate study`: what a person decides about a study that the service has received."""

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Studies: taking one as complete.", no_args_is_help=True)


@app.callback()
def callback() -> None:
    """Studies that the service has received."""


@app.command()
def complete(
    study_uid: Annotated[str, typer.Argument(help="Study Instance UID.")],
    config: Annotated[Path, typer.Option("--config", help="Settings file of the service.", exists=True)],
    reason: Annotated[str, typer.Option(help="Why; kept in the record and shown on the page, so no patient data.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take a study as complete that still waits for images; a running service sees it within seconds."""
    import time

    from dicom_gateway.cli.sources import index_of
    from dicom_gateway.complete import force_complete

    if not reason.strip():
        raise typer.BadParameter("Say why; the record keeps it.", param_hint="--reason")
    _, engine = index_of(config)
    try:
        force_complete(engine, study_uid, reason, time.time())
    finally:
        engine.dispose()
    if as_json:
        typer.echo(json.dumps({"study_uid": study_uid, "forced": True}))
    else:
        typer.echo("The study is taken as complete; what comes later makes a new version of it.")
