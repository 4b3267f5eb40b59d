"""`radgate qc bench`: proof of the checks on real images, and the decision layer against human ratings."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["bench"]

FEWEST = 1


def bench(
    data: Annotated[
        Path | None, typer.Argument(help="Folder of real images; $RADGATE_TEST_DATA where left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plots: Annotated[Path | None, typer.Option(help="Write the plots of the manual into this folder.")] = None,
    most: Annotated[int, typer.Option(help="At most so many series of each source.", min=FEWEST)] = 1000,
    kinds: Annotated[str, typer.Option(help="Modalities, with commas between them.")] = "CT,MR,PT,DX",
    mriqc: Annotated[
        Path | None,
        typer.Option(exists=True, help="Tables of mriqc-learn 0.0.3, a wheel or folder: run the external benchmark."),
    ] = None,
) -> None:
    """Plant defects into real images: rank correlation, cross-talk, specificity; exit code 1 where a claim fails."""
    from dicom_gateway.errors import NothingToDo
    from qc.image.proof import clean_series, draw_all, prove, rated_benchmark

    if mriqc is not None:
        typer.echo(json.dumps(rated_benchmark(mriqc), indent=1))
        return
    folder = data or Path(os.environ.get("RADGATE_TEST_DATA", ""))
    if not folder.is_dir() or str(folder) == ".":
        raise typer.BadParameter("Name the folder of real images, or set RADGATE_TEST_DATA.")
    wanted = tuple(k.strip().upper() for k in kinds.split(",") if k.strip())
    study = prove(clean_series(folder, wanted, most), lambda text: typer.echo(text, err=True))
    if not study["verdicts"]:
        raise NothingToDo("There is none of the development data in this folder; nothing was proved.")
    if plots is not None:
        draw_all(study, plots)
    if as_json:
        typer.echo(json.dumps(study, indent=1, allow_nan=False))
    else:
        _print(study)
    raise typer.Exit(int(any(study["claims"].values())))


def _print(study: dict[str, Any]) -> None:
    for d in study["defects"]:
        if d["series"]:
            rho = f"rho {d['rho_median']:.3f} (lowest {d['rho_lowest']:.3f})"
            typer.echo(f"{d['name']:<22} {d['check']:<22} {rho}, {d['series']} series")
    for row in study["specificity"]:
        if row["judged"]:
            low, high = row["wilson"]
            passed = f"{row['passed']}/{row['judged']} pass ({100 * low:.1f} to {100 * high:.1f} %)"
            left_out = f", {row['unfit']} are not clean for it" if row["unfit"] else ""
            typer.echo(f"{row['kind']} {row['check']:<26} {passed}{left_out}")
    for kind, counts in study["verdicts"].items():
        typer.echo(f"{kind} whole verdicts: " + ", ".join(f"{n} {grade}" for grade, n in counts.items()))
    for wish, against in study["gaps"].items():
        typer.echo(f"cross-talk, {wish}: {'; '.join(against) or 'yes'}")
    for claim, against in study["claims"].items():
        typer.echo(f"{'fails' if against else 'holds'}: {claim}{': ' if against else ''}{'; '.join(against)}")
