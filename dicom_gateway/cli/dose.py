"""`radgate dose`: dose-volume histograms, sums of plans, and openkbp cases as DICOM studies.

Exit code 0 is done, 1 means that a structure was refused (the others are told), 2 is an error.
"""

import json
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from contouring.dose.limits import LimitSet
    from contouring.names import NameTable
    from imaging.series import Stack

__all__ = ["app"]

app = typer.Typer(help="Dose: histograms, sums of plans.", no_args_is_help=True)

FOUND_SOMETHING = 1

Rtstruct = Annotated[Path, typer.Argument(help="RTSTRUCT.", exists=True, dir_okay=False)]
Rtdose = Annotated[Path, typer.Argument(help="RTDOSE.", exists=True, dir_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Caps = Annotated[
    Literal["half", "flat", "none", "rounded"], typer.Option(help="How structures end beyond their outermost contours.")
]
Site = Annotated[str, typer.Option(help="Site whose limits apply, as nasopharynx; it is never guessed.")]
Limits = Annotated[
    list[Path] | None, typer.Option(help="The clinic's own limits; those of the site replace the shipped ones.")
]
Config = Annotated[
    Path | None, typer.Option(help="Settings, for the clinic's own limits and names of structures.", exists=True)
]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="Number to print, as V20Gy; may be repeated.")]


@app.command()
def dvh(
    rtstruct: Rtstruct,
    rtdose: Rtdose,
    caps: Caps = "half",
    metric: Metrics = None,
    prescription: Annotated[float | None, typer.Option(help="Dose in Gy that is 100 %.", min=0.01)] = None,
    fractions: Annotated[int | None, typer.Option(help="Fractions, for limits.", min=1)] = None,
    site: Site = "",
    limits: Limits = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Dose-volume numbers of every structure, against the limits of a site where one is stated."""
    from contouring.dose.assessment_json import verdict_report
    from contouring.dose.dvh import USUAL_METRICS
    from contouring.dose.study import histograms, verdicts_of

    metrics = (*USUAL_METRICS, *(metric or ()))
    sets = _limit_sets(site, limits, config)
    table = histograms(rtstruct, rtdose, caps=caps)
    verdicts = verdicts_of(table, sets, fractions, prescription, _names(config))
    rows = [
        {
            "structure": name,
            **found.report(metrics, prescription),
            "limits": [verdict_report(v) for v in verdicts[name]],
        }
        for name, found in table.histograms.items()
    ]
    refused = [{"structure": n, "error": r.code, "message": r.message} for n, r in table.refused.items()]
    if as_json:
        _print_json({"structures": rows, "refused": refused})
    else:
        shown = ["Dmean", "D95%", "D2%", "D0.03cc", *(metric or ())]
        _print_table(
            ["structure", "cc", *shown],
            [[r["structure"], f"{r['volume_cc']:.2f}", *(_number(r["metrics"][m]) for m in shown)] for r in rows],
        )
        _print_outside(rows)
        _print_limits(rows)
        _print_refused(refused)
    if refused:
        raise typer.Exit(FOUND_SOMETHING)


@app.command("sum")
def sum_doses(
    rtdose: Annotated[list[Path], typer.Argument(help="RTDOSE of each plan.", exists=True, dir_okay=False)],
    rtstruct: Annotated[Path, typer.Option(help="RTSTRUCT drawn on the reference image.", exists=True)],
    series: Annotated[
        Path, typer.Option(help="Folder of the reference image; of the other image too, to register.", exists=True)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the objects made.")],
    registration: Annotated[
        Path | None, typer.Option(help="Spatial Registration of the frames, rigid or deformable.", exists=True)
    ] = None,
    register: Annotated[
        Literal["rigid", "deformable"] | None,
        typer.Option(help="Let radgate register the images; a deformable result is qualitative."),
    ] = None,
    other_rtstruct: Annotated[
        list[Path] | None, typer.Option(help="RTSTRUCT of another image, for the bounds; may be repeated.", exists=True)
    ] = None,
    plan: Annotated[list[Path] | None, typer.Option(help="RTPLAN of a dose; may be repeated.", exists=True)] = None,
    fractions: Annotated[str, typer.Option(help="Fractions of each dose, as 35,20.")] = "",
    prescription: Annotated[str, typer.Option(help="Prescribed dose of each plan in Gy, as 70,30.")] = "",
    alpha_beta: Annotated[list[str] | None, typer.Option(help="Own value, as SpinalCord=2; may be repeated.")] = None,
    site: Site = "",
    limits: Limits = None,
    config: Config = None,
    caps: Caps = "half",
    as_json: AsJson = False,
) -> None:
    """Add the doses of several plans on one image: RTDOSE of the sum, EQD2 where fractions are known, a table."""
    from contouring.dose.assess import AssessOptions, assess
    from contouring.dose.assessment_json import assessment_report
    from contouring.dose.objects import dose_objects

    made_at = datetime.now()
    stacks = _stacks(series)
    reference = _reference(stacks, rtstruct)
    options = AssessOptions(
        fractions=tuple(_whole_numbers(fractions, len(rtdose))),
        prescriptions_gy=tuple(_doses(prescription, len(rtdose))),
        registration=registration,
        register=register,
        alpha_beta=_ratios(alpha_beta),
        site=site,
        limits=_limit_sets(site, limits, config),
        caps=caps,
        names=_names(config),
    )
    found = assess(
        rtstruct,
        rtdose,
        reference,
        made_at=made_at,
        plans=plan or (),
        others=stacks,
        other_structures=other_rtstruct or (),
        options=options,
    )
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for each in dose_objects(found, reference, made_at=made_at):
        (out / f"{each.name}.dcm").write_bytes(each.encoded)
        files.append({"file": f"{each.name}.dcm", "kind": each.kind, "sop_instance_uid": each.sop_instance_uid})
    for course in found.courses:
        if course.quality is not None and course.quality.picture_png:
            (out / f"registration_{course.letter}.png").write_bytes(course.quality.picture_png)
    report = assessment_report(found) | {"files": files}
    if as_json:
        _print_json(report)
    else:
        _print_sum(report)
    if found.refused:
        raise typer.Exit(FOUND_SOMETHING)


@app.command("export-openkbp")
def export_openkbp(
    case: Annotated[str, typer.Argument(help="Case, as pt_201, or the path of its file below ctlab.")],
    out: Annotated[Path, typer.Option(help="Folder for the study.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the collection; needed with the name of a case.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write an openkbp case as a DICOM study: CT, RTSTRUCT, RTPLAN, RTDOSE."""
    from contouring.dose.openkbp import export_case

    path = Path(case)
    folder = data if data is not None else path.parent.parent
    written = export_case(folder, path.stem, out)
    if as_json:
        _print_json({"case": path.stem, "files": written.count, "structures": list(written.structures)})
    else:
        typer.echo(f"{written.count} files, structures {', '.join(written.structures)}")


def _whole_numbers(given: str, count: int) -> list[int | None]:
    if not given:
        return [None] * count
    parts = given.split(",")
    if len(parts) != count or not all(p.strip().isdigit() for p in parts):
        raise typer.BadParameter(f"give {count} whole numbers with commas between them", param_hint="--fractions")
    return [int(p) for p in parts]


def _doses(given: str, count: int) -> list[float | None]:
    if not given:
        return [None] * count
    try:
        values = [float(p) for p in given.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(v > 0 and math.isfinite(v) for v in values):
        raise typer.BadParameter(f"give {count} doses in Gy with commas between them", param_hint="--prescription")
    return [*values]


def _limit_sets(site: str, files: Sequence[Path] | None, config: Path | None) -> tuple["LimitSet", ...]:
    """The sets of the stated site; the clinic's files, given here or in the settings, come before the shipped ones."""
    from contouring.dose.limits import limits_for, load_limits
    from dicom_gateway.settings import load_settings

    paths = [*(files or ()), *(load_settings(config).dose.limits if config is not None else ())]
    own = [load_limits(path) for path in paths]
    return limits_for(site, own) if site or own else ()


def _names(config: Path | None) -> "NameTable":
    """Names of structures, with the aliases of the settings file."""
    from contouring.names import load_aliases
    from dicom_gateway.settings import load_settings

    return load_aliases(None if config is None else load_settings(config).contour.aliases)


def _ratios(given: Sequence[str] | None) -> dict[str, float]:
    ratios = {}
    for pair in given or ():
        name, _, value = pair.partition("=")
        try:
            ratio = float(value)
        except ValueError:
            ratio = 0.0
        if not (ratio > 0 and math.isfinite(ratio)):
            raise typer.BadParameter("write it as SpinalCord=2, in Gy above 0", param_hint="--alpha-beta")
        ratios[name.strip()] = ratio
    return ratios


def _stacks(folder: Path) -> tuple["Stack", ...]:
    from imaging.errors import NotAnImageStack
    from imaging.series import scan

    stacks = scan([folder]).stacks
    if not stacks:
        raise NotAnImageStack("The folder holds no image series; give the folder of the reference image.")
    return stacks


def _reference(stacks: Sequence["Stack"], rtstruct: Path) -> "Stack":
    """The image that the structures were drawn on: the series they name, else the only one of their frame."""
    from contouring.rtstruct_parse import parse_structure_set
    from imaging.errors import NotAnImageStack

    parsed = parse_structure_set(rtstruct)
    named = [s for s in stacks if s.series_instance_uid in parsed.referenced_series_uids]
    frames = {r.frame_of_reference_uid for r in parsed.rois}
    chosen = named or [s for s in stacks if s.frame_of_reference_uid in frames]
    if len(chosen) != 1:
        raise NotAnImageStack(
            f"{len(chosen)} of the {len(stacks)} series fit the structures; give the folder of the image that they "
            "were drawn on.",
            stacks=len(stacks),
        )
    return chosen[0]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _print_outside(rows: Sequence[dict[str, Any]]) -> None:
    """How much of each structure has no dose, and that the numbers are about the rest; why others are missing."""
    for row in rows:
        if row["outside_share"]:
            share = (
                f"{100 * row['outside_share']:.2g} % lies outside the dose grid; the numbers are of the part inside."
            )
            typer.echo(f"{row['structure']}: {share}", err=True)
        for reason in dict.fromkeys(row["refused"].values()):
            typer.echo(f"{row['structure']}: {reason}", err=True)


def _print_limits(rows: Sequence[dict[str, Any]]) -> None:
    lines = [
        [
            r["structure"],
            f"{v['metric']} {'<=' if v['at_least'] is None else '>='} {v['at_most'] or v['at_least']:g} {v['unit']}",
            _number(v["value"]),
            v["status"] + (f": {v['reason']}" if v["reason"] else ""),
            v["judged_on"],
            v["verified_by"],
        ]
        for r in rows
        for v in r["limits"]
    ]
    if lines:
        _print_table(["structure", "limit", "found", "verdict", "of", "verified by"], lines)


def _print_sum(report: dict[str, Any]) -> None:
    letters = [c["letter"] for c in report["courses"]]
    _print_table(
        ["structure", "a/b", *(f"mean {n}" for n in letters), "mean sum", "D0.03cc sum", "D0.03cc EQD2", "D0.03cc BED"],
        [
            [
                r["structure"],
                f"{r['alpha_beta_gy']:g}",
                *(_number(c["metrics"]["Dmean"]) for c in r["courses"]),
                _number(r["physical"]["metrics"]["Dmean"]),
                _number(r["physical"]["metrics"]["D0.03cc"]),
                _number(r["eqd2"]["metrics"]["D0.03cc"]) if r["eqd2"] else "no fractions",
                _number(r["bed"]["metrics"]["D0.03cc"]) if r["bed"] else "no fractions",
            ]
            for r in report["structures"]
        ],
    )
    _print_limits(report["structures"])
    for warning in report["warnings"]:
        typer.echo(warning, err=True)
    _print_refused(report["refused"])


def _print_refused(refused: Sequence[dict[str, str]]) -> None:
    for row in refused:
        typer.echo(f"{row['structure']}: {row['message']}", err=True)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False))


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=None, padding=(0, 2))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table, highlight=False)
