"""`radgate demo`: start the service, send a study through its listener, and show what came back."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    study: Annotated[
        Path | None, typer.Option(help="Folder of DICOM files to send instead of the phantom.", exists=True)
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder for the demonstration's settings, store and log.")] = Path(
        "demo"
    ),
    keep: Annotated[
        bool | None, typer.Option("--keep/--no-keep", help="Keep running until Ctrl-C; by default on a terminal.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(help="Give up waiting for results after this time.")] = 900.0,
) -> None:
    """Run radgate on this machine with its embedded store as PACS, and send a study through it."""
    import sys

    from rich.console import Console

    from dicom_gateway.demo.run import Demonstration

    console = Console()
    with Demonstration(folder, console, timeout_s=timeout_s) as shown:
        shown.send(study)
        shown.wait()
        complete = shown.report()
        if keep if keep is not None else sys.stdout.isatty():
            shown.stay()
    raise typer.Exit(0 if complete else 1)
