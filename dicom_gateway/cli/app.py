"""The command line: verbs are defined in the modules beside, each of which loads what it needs when it is called."""

import json
import sys
from importlib import metadata
from typing import Annotated, Any

import typer
from rich.console import Console

from dicom_gateway.cli import bundles, contour, deliver, demo, dose, job, qc, route, run, serve, study
from imaging.errors import RadgateError

__all__ = ["app", "main"]

app = typer.Typer(
    name="radgate",
    help="The gate between a hospital's PACS and its AI.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve")(serve.serve)
app.command("run")(run.run)
app.command("demo", hidden=False)(demo.demo)
app.add_typer(route.app, name="route")
app.add_typer(deliver.app, name="deliver")
app.add_typer(study.app, name="study")
app.add_typer(job.app, name="job")
app.add_typer(bundles.app, name="bundles")
app.add_typer(contour.app, name="contour")
app.add_typer(dose.app, name="dose")
app.add_typer(qc.app, name="qc")


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"radgate {metadata.version('radgate')}")
        raise typer.Exit


@app.callback()
def callback(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Receive studies, check their quality, contour them, and bring the results back to the PACS."""


def main() -> Any:
    """Run the command; an error of ours is one sentence on the error stream and exit code 2."""
    try:
        return app()
    except RadgateError as error:
        if "--json" in sys.argv:
            print(json.dumps({"error": error.code, "message": str(error)}, ensure_ascii=False))  # noqa: T201
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print("[red]radgate:[/red]", end=" ")
        console.print(str(error), markup=False)  # a sentence may speak of [[route]], which is no markup
        sys.exit(2)
