"""`radgate dose`: dose-volume histograms, sums of plans, and openkbp cases as DICOM studies.

Exit code 0 is done, 1 means that a structure was refused (the others are told), 2 is an error.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from dicom_gateway.cli import dose_given as given
from dicom_gateway.cli.dose_print import (
    number,
    print_json,
    print_limits,
    print_outside,
    print_refused,
    print_sum,
    print_table,
    print_warnings,
)

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
    prescription: Annotated[float | None, typer.Option(help="Dose in Gy that is 100 %.", min=0.01, max=200)] = None,
    fractions: Annotated[int | None, typer.Option(help="Fractions, for limits.", min=1, max=200)] = None,
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
    sets = given.limit_sets(site, limits, config)
    table = histograms(rtstruct, rtdose, caps=caps)
    verdicts = verdicts_of(table, sets, fractions, prescription, given.names(config))
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
        print_json({"structures": rows, "refused": refused, "warnings": list(table.warnings)})
    else:
        shown = ["Dmean", "D95%", "D2%", "D0.03cc", *(metric or ())]
        print_table(
            ["structure", "cc", *shown],
            [[r["structure"], f"{r['volume_cc']:.2f}", *(number(r["metrics"][m]) for m in shown)] for r in rows],
        )
        print_outside(rows)
        print_limits(rows)
        print_warnings(table.warnings)
        print_refused(refused)
    if refused:
        raise typer.Exit(FOUND_SOMETHING)


@app.command("sum")
def sum_doses(
    rtdose: Annotated[list[Path], typer.Argument(help="RTDOSE of each plan.", exists=True, dir_okay=False)],
    rtstruct: Annotated[Path, typer.Option(help="RTSTRUCT drawn on the reference image.", exists=True)],
    series: Annotated[
        Path, typer.Option(help="Folder of the reference image; of the other image too, to register.", exists=True)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the objects made.", file_okay=False)],
    registration: Annotated[
        list[Path] | None,
        typer.Option(help="Registration of the image and another frame; may be repeated.", exists=True),
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
    bed: Annotated[bool, typer.Option("--bed", help="Write BED as RTDOSE too, beside EQD2.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add the doses of several plans on one image: RTDOSE, EQD2 where fractions are known, pictures, SR, PDF, table."""
    from pydicom import dcmread

    from contouring.dose.assess import AssessOptions, assess
    from contouring.dose.assessment_json import assessment_report
    from reports.dose import dose_results
    from reports.dose.objects import document_of

    made_at = datetime.now().astimezone()
    stacks = given.stacks_of(series)
    reference = given.reference_of(stacks, rtstruct)
    options = AssessOptions(
        fractions=tuple(given.whole_numbers(fractions, len(rtdose))),
        prescriptions_gy=tuple(given.doses(prescription, len(rtdose))),
        registrations=given.objects(registration, register),
        register=register,
        alpha_beta=given.ratios(alpha_beta),
        site=site,
        limits=given.limit_sets(site, limits, config),
        caps=caps,
        names=given.names(config),
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
    results = dose_results(found, reference, dcmread(rtstruct), made_at, language=given.language(config), bed=bed)
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for name, item in results.objects.items():
        (out / f"{name}.dcm").write_bytes(item.data)
        files.append({"file": f"{name}.dcm", "kind": item.outlet.upper(), "sop_instance_uid": item.sop_instance_uid})
    (out / "report.pdf").write_bytes(document_of(results.objects["report_pdf"]))
    files.append({"file": "report.pdf", "kind": "PDF", "sop_instance_uid": ""})
    for course in found.courses:
        if course.quality is not None and course.quality.picture_png:
            (out / f"registration_{course.letter}.png").write_bytes(course.quality.picture_png)
    report = assessment_report(found) | {"files": files}
    if as_json:
        print_json(report)
    else:
        print_sum(report)
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
    if data is None and len(path.parts) < 2:
        raise typer.BadParameter("give the collection's folder, or the path of the case's file", param_hint="--data")
    folder = data if data is not None else path.parent.parent
    written = export_case(folder, path.stem, out)
    if as_json:
        print_json({"case": path.stem, "files": written.count, "structures": list(written.structures)})
    else:
        typer.echo(f"{written.count} files, structures {', '.join(written.structures)}")
