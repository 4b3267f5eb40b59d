"""`radgate dose`: dose-volume histograms, sums of plans, and openkbp cases as DICOM studies.

Exit code 0 is done, 1 means that a structure was refused (the others are told), 2 is an error.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from contouring.dose.accumulate import MappedDose
    from contouring.dose.transform import RigidTransform
    from contouring.dose.volume import DoseVolume
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
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="Number to print, as V20Gy; may be repeated.")]


@app.command()
def dvh(
    rtstruct: Rtstruct,
    rtdose: Rtdose,
    caps: Caps = "half",
    metric: Metrics = None,
    prescription: Annotated[float | None, typer.Option(help="Dose in Gy that is 100 %.")] = None,
    as_json: AsJson = False,
) -> None:
    """Dose-volume numbers of every structure."""
    from contouring.dose.dvh import USUAL_METRICS
    from contouring.dose.study import histograms

    metrics = (*USUAL_METRICS, *(metric or ()))
    table = histograms(rtstruct, rtdose, caps=caps)
    rows = [{"structure": name, **found.report(metrics, prescription)} for name, found in table.histograms.items()]
    refused = [{"structure": n, "error": r.code, "message": r.message} for n, r in table.refused.items()]
    if as_json:
        _print_json({"structures": rows, "refused": refused})
    else:
        shown = ["Dmean", "D95%", "D2%", "D0.03cc", *(metric or ())]
        _print_table(
            ["structure", "cc", *shown],
            [[r["structure"], f"{r['volume_cc']:.2f}", *(_number(r["metrics"][m]) for m in shown)] for r in rows],
        )
        _print_refused(refused)
    if refused:
        raise typer.Exit(FOUND_SOMETHING)


@app.command("sum")
def sum_doses(
    rtdose: Annotated[list[Path], typer.Argument(help="Two or more RTDOSE of plans.", exists=True, dir_okay=False)],
    rtstruct: Annotated[Path, typer.Option(help="RTSTRUCT drawn on the reference image.", exists=True)],
    series: Annotated[
        Path, typer.Option(help="Folder of the reference image; of the other image too, to register.", exists=True)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the objects made.")],
    registration: Annotated[Path | None, typer.Option(help="Spatial Registration of the frames.", exists=True)] = None,
    register: Annotated[Literal["rigid"] | None, typer.Option(help="Let radgate register the images.")] = None,
    plan: Annotated[list[Path] | None, typer.Option(help="RTPLAN of a dose; may be repeated.", exists=True)] = None,
    fractions: Annotated[str, typer.Option(help="Fractions of each dose, as 35,20.")] = "",
    alpha_beta: Annotated[list[str] | None, typer.Option(help="Own value, as SpinalCord=2; may be repeated.")] = None,
    caps: Caps = "half",
    as_json: AsJson = False,
) -> None:
    """Add the doses of several plans on one image: RTDOSE of the sum, EQD2 where fractions are known, a table."""
    from contouring.dose.rtdose_read import read_rtdose
    from contouring.dose.rtplan import read_rtplan
    from contouring.dose.study import course_of, mapped_doses, sum_table

    doses = [read_rtdose(file) for file in rtdose]
    given = _fractions(fractions, len(doses))
    plans = [read_rtplan(file) for file in plan or ()]
    courses = [course_of(d, plans, n, file.stem) for d, n, file in zip(doses, given, rtdose, strict=True)]
    stacks = _stacks(series)
    reference = _reference(stacks, rtstruct)
    frame = reference.frame_of_reference_uid
    out.mkdir(parents=True, exist_ok=True)
    transforms, related = _transforms(doses, reference, stacks, registration, register, out)
    mapped = mapped_doses(doses, frame, transforms, courses)
    table = sum_table(
        rtstruct, mapped, frame, caps=caps, own_alpha_beta=_ratios(alpha_beta), along=reference.grid.row_direction
    )
    ratios = sorted({r.gy for r in table.alpha_beta.values()}) if all(courses) else []
    files = [_write(mapped, reference, ratio, related, out) for ratio in (None, *ratios)]
    refused = [{"structure": n, "error": r.code, "message": r.message} for n, r in table.refused.items()]
    rows = table.report()
    if as_json:
        _print_json({
            "structures": rows,
            "refused": refused,
            "files": files,
            "fractions": [None if c is None else c.fractions for c in courses],
            "registration": related,
        })
    else:
        _print_table(
            ["structure", "a/b", "mean A", "mean sum", "D0.03cc sum", "D0.03cc EQD2"],
            [
                [
                    r["structure"], f"{r['alpha_beta_gy']:g}", _number(r["courses"][0]["metrics"]["Dmean"]),
                    _number(r["physical"]["metrics"]["Dmean"]), _number(r["physical"]["metrics"]["D0.03cc"]),
                    _number(r["eqd2"]["metrics"]["D0.03cc"]) if r["eqd2"] else "no fractions",
                ]
                for r in rows
            ],
        )  # fmt: skip
        _print_refused(refused)
    if refused:
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


def _fractions(given: str, count: int) -> list[int | None]:
    if not given:
        return [None] * count
    parts = given.split(",")
    if len(parts) != count or not all(p.strip().isdigit() for p in parts):
        raise typer.BadParameter(f"give {count} whole numbers with commas between them", param_hint="--fractions")
    return [int(p) for p in parts]


def _ratios(given: Sequence[str] | None) -> dict[str, float]:
    ratios = {}
    for pair in given or ():
        name, _, value = pair.partition("=")
        try:
            ratios[name.strip()] = float(value)
        except ValueError:
            raise typer.BadParameter("write it as SpinalCord=2", param_hint="--alpha-beta") from None
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


def _transforms(
    doses: Sequence["DoseVolume"],
    reference: "Stack",
    stacks: Sequence["Stack"],
    registration: Path | None,
    register: str | None,
    out: Path,
) -> tuple[dict[str, "RigidTransform"], dict[str, Any]]:
    """Transform of each frame other than the reference's, and where they came from."""
    from contouring.dose.errors import NoRegistration
    from contouring.dose.patient import check_one_patient, patient_of
    from contouring.dose.register import register_rigid
    from contouring.dose.registration_write import write_registration
    from contouring.dose.transform import read_registration
    from imaging.series import load_volume

    frame = reference.frame_of_reference_uid
    foreign = sorted({d.grid.frame_of_reference_uid for d in doses} - {frame})
    if not foreign:
        return {}, {}
    if registration is not None:
        read = read_registration(registration)
        check_one_patient(read.patient, patient_of(reference.header))
        return {f: read.between(frame, f) for f in foreign}, {"source": "object", "uid": read.sop_instance_uid}
    if register is None:
        raise NoRegistration(
            "A dose lies in another frame of reference than the image; give --registration, or --register rigid."
        )
    transforms: dict[str, RigidTransform] = {}
    notes: dict[str, Any] = {}
    for number, other_frame in enumerate(foreign):
        others = [s for s in stacks if s.frame_of_reference_uid == other_frame]
        if len(others) != 1:
            raise NoRegistration(
                f"{len(others)} series in the folder lie in the frame of a dose; one is needed to register it.",
                series=len(others),
            )
        check_one_patient(patient_of(reference.header), patient_of(others[0].header))
        transform, quality = register_rigid(load_volume(reference), load_volume(others[0]))
        note = f"computed, not reviewed; there and back {quality.inverse_consistency_mm:.2f} mm"
        made = write_registration(transform, reference, others[0], made_at=datetime.now(), note=note)
        (out / f"registration{number}.dcm").write_bytes(made.encoded)
        transforms[other_frame] = transform
        notes = {
            "source": "computed, not reviewed",
            "uid": str(made.dataset.SOPInstanceUID),
            "inverse_consistency_mm": quality.inverse_consistency_mm,
            "body_dice": quality.body_dice,
        }
    return transforms, notes


def _write(
    mapped: Sequence["MappedDose"], reference: "Stack", ratio: float | None, related: dict[str, Any], out: Path
) -> dict[str, Any]:
    from contouring.dose.resample import sum_on_grid, union_grid
    from contouring.dose.rtdose_write import SumFacts, write_rtdose

    directions = (reference.grid.row_direction, reference.grid.column_direction)
    total = sum_on_grid(mapped, union_grid(mapped, directions, reference.frame_of_reference_uid), ratio)
    name = "sum_physical.dcm" if ratio is None else f"sum_eqd2_ab{ratio:g}.dcm"
    what = "physical" if ratio is None else f"EQD2 ab={ratio:g}"
    facts = SumFacts(
        header=reference.header,
        source_doses=tuple(m.dose.facts.sop_instance_uid for m in mapped),
        plan_uids=total.volume.facts.plan_uids,
        registration_uid=related.get("uid", ""),
        is_registered=bool(related),
        alpha_beta_gy=ratio,
        comment=f"{what}, {len(mapped)} doses{', rigid' if related else ''}",
    )
    written = write_rtdose(total, facts, made_at=datetime.now())
    (out / name).write_bytes(written.encoded)
    return {
        "file": name,
        "alpha_beta_gy": ratio,
        "sop_instance_uid": str(written.dataset.SOPInstanceUID),
        "unknown_share": float(1 - total.is_known.mean()),
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


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
