"""`radgate qc phantom`: what a phantom measures, asked of files."""

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["phantom"]

EXIT_CODES = {"PASS": 0, "WARN": 10, "FAIL": 11}
NOT_EVALUABLE = 12


def phantom(
    path: Annotated[Path, typer.Argument(help="Folder or file of the scan.", exists=True)],
    kind: Annotated[
        str, typer.Option(help="Kind of phantom, such as water or acr_ct; auto goes by its shape.")
    ] = "auto",
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Settings file that names the environment with pylinac.", exists=True),
    ] = None,
    python: Annotated[
        Path | None, typer.Option("--python", help="Interpreter of an environment with pylinac.", exists=True)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a phantom; exit code 0 PASS or no limit, 10 WARN, 11 FAIL, 12 where nothing could be measured."""
    from dicom_gateway.errors import NothingToDo
    from dicom_gateway.settings import Quality, load_settings
    from imaging.series import scan
    from qc.image.phantom import KINDS, analyse_phantom

    if kind not in {"auto", *KINDS}:
        raise typer.BadParameter(f"'{kind}' is no kind of phantom; known are auto, {', '.join(KINDS)}.")
    quality = Quality() if config is None else load_settings(config).quality
    results = [
        analyse_phantom(
            stack,
            kind,
            python=python or quality.phantom_python,
            timeout_s=quality.phantom_timeout_s,
            memory_mb=quality.phantom_memory_mb,
        )
        for stack in scan([path]).stacks
    ]
    if not results:
        raise NothingToDo("There is no series of slices in this folder; name one that holds the scan of a phantom.")
    if as_json:
        typer.echo(json.dumps([r.to_json() for r in results], ensure_ascii=False, indent=1))
    else:
        for result in results:
            why = f": not evaluable ({result.reason} {result.detail})".replace(" )", ")") if result.reason else ""
            typer.echo(f"{result.kind or 'no phantom'}  {result.algorithm}{why}")
            for value in result.values:
                grade = f"  {value.grade}" if value.limits is not None else ""
                typer.echo(f"  {value.id:<58} {value.value:>10.3f} {value.unit}{grade}")
    if not any(r.values for r in results):
        raise typer.Exit(NOT_EVALUABLE)
    raise typer.Exit(max(EXIT_CODES.get(str(r.grade), 0) for r in results))
