"""`radgate qc`: the quality of images, asked of files, without a server."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_gateway.cli import qc_bench, qc_phantom, qc_records

if TYPE_CHECKING:
    from qc.image import SeriesVerdict
    from qc.image.illustrate import SeriesPictures

__all__ = ["app"]

EXIT_CODES = {"PASS": 0, "WARN": 10, "FAIL": 11, "NOT_EVALUABLE": 12}
NO_IMAGE = "There is no image in this folder; name one that holds a series."
COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red", "NOT_EVALUABLE": "dim"}

app = typer.Typer(help="Image quality.", no_args_is_help=True)
profiles_app = typer.Typer(help="Protocol profiles: which checks, which limits.", no_args_is_help=True)
app.add_typer(profiles_app, name="profiles")
app.command("export")(qc_records.export)
app.command("trend")(qc_records.trend)
app.command("limits")(qc_records.limits)
app.command("phantom")(qc_phantom.phantom)
app.command("bench")(qc_bench.bench)

Folders = Annotated[
    list[Path] | None, typer.Option("--profiles", help="Folder or file of site profiles; may be repeated.", exists=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def image(
    study: Annotated[Path, typer.Argument(help="Folder or file of images.", exists=True)],
    profile: Annotated[str, typer.Option(help="Id of a profile, or auto.")] = "auto",
    profiles: Folders = None,
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option(help="Write a page for the technician to this file.")] = None,
    intent: Annotated[str, typer.Option(help="What the images are meant for, such as rt_sim.")] = "",
    order: Annotated[
        list[str] | None, typer.Option("--order", help="What was ordered, as KEYWORD=VALUE; may be repeated.")
    ] = None,
) -> None:
    """Judge every series of a folder; exit code 0 PASS, 10 WARN, 11 FAIL, 12 NOT_EVALUABLE (the worst of all).

    Series of one study help to judge each other: give the folder of the whole study.
    """
    from dicom_gateway.errors import NothingToDo
    from imaging.series import scan
    from qc.image import SeriesVerdict
    from qc.image.folder import accompanying, check_scan
    from qc.image.illustrate import SeriesPictures

    ordered = dict(_pair(item) for item in order or ())
    scanned = scan([study])
    beside = accompanying(scanned)
    pictures: list[SeriesPictures] = []

    def keep(_: SeriesVerdict, drawn: SeriesPictures) -> None:
        pictures.append(drawn)

    verdicts = check_scan(
        scanned,
        profile,
        intent=intent,
        order=ordered,
        profile_folders=tuple(profiles or ()),
        illustrated=keep if html is not None else None,
    )
    if beside:
        kinds = Counter(left.modality if left.reason.code != "localiser" else "localiser" for left in beside)
        named = ", ".join(f"{kind or '?'} ({count})" for kind, count in sorted(kinds.items()))
        typer.echo(f"passed by, because they are no images to judge: {named}", err=True)
    if not verdicts:
        raise NothingToDo(NO_IMAGE)
    others = sorted({v.profile_id for v in verdicts} - {profile})
    if profile != "auto" and others:
        typer.echo(f"{profile} is made for other modalities; series were judged by {', '.join(others)}", err=True)
    if html is not None:
        _write_page(verdicts, pictures, html)
    if as_json:
        typer.echo(json.dumps([v.to_json() for v in verdicts], ensure_ascii=False, indent=1, allow_nan=False))
    else:
        _print(verdicts)
    raise typer.Exit(EXIT_CODES[_overall(verdicts)])


@profiles_app.command("list")
def list_profiles(profiles: Folders = None, as_json: AsJson = False) -> None:
    """List the profiles that ship and those of the site."""
    from qc.image.profile import load_profiles

    found = load_profiles(*(profiles or ()))
    rows = [
        {
            "id": p.id,
            "title_zh": p.title_zh,
            "title_en": p.title_en,
            "extends": list(p.lineage),
            "checks": len(p.limits),
            "sha256": p.sha256,
        }
        for p in found.values()
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['id']:<16} {row['checks']:>3} checks  {row['title_zh']} / {row['title_en']}")


@profiles_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Profile file, or a folder of them.", exists=True)],
    as_json: AsJson = False,
) -> None:
    """Check profile files; the first fault is named with file, line and key."""
    from dicom_gateway.errors import NothingToDo
    from qc.image.profile import load_profiles

    shipped = load_profiles()
    found = [p for p in load_profiles(file).values() if p.id not in shipped]
    if not found:
        raise NothingToDo("There is no profile (*.toml) in this folder; name one that holds some.")
    if as_json:
        typer.echo(json.dumps({"ok": True, "profiles": [p.id for p in found]}))
    else:
        typer.echo(f"{', '.join(p.id for p in found)}: no error.")


@profiles_app.command()
def explain(
    series: Annotated[Path, typer.Argument(help="Folder or file of a series.", exists=True)],
    profiles: Folders = None,
    intent: Annotated[str, typer.Option(help="What the series is meant for, as a route would say it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say which profile each series gets, how it was found, and the limits that would be used."""
    from dicom_gateway.errors import NothingToDo
    from qc.image.folder import headers_by_series
    from qc.image.inputs import Inputs
    from qc.image.match import choose_profile, fitting
    from qc.image.profile import load_profiles

    loaded = load_profiles(*(profiles or ()))
    rows: list[dict[str, Any]] = []
    for uid, headers in headers_by_series([series]):
        inputs = Inputs(headers)
        choice = choose_profile(loaded, inputs, intent=intent)
        rows.append({
            "series_instance_uid": uid,
            "modality": inputs.modality,
            "profile": choice.profile.id,
            "how": choice.how,
            "fitting": fitting(loaded, inputs, intent),
            "required": list(choice.profile.required),
            "limits": {
                key: {"warn": _ends(v.warn), "fail": _ends(v.fail), "role": v.role, "source": v.limit_source}
                for key, v in choice.profile.limits.items()
            },
        })
    if not rows:
        raise NothingToDo(NO_IMAGE)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['series_instance_uid']} ({row['modality']}): {row['profile']} ({row['how']})")
        for check_id, limits in row["limits"].items():
            if limits["warn"] is not None:
                spans = ", ".join(f"{key} outside {' to '.join(limits[key])}" for key in ("warn", "fail"))
                typer.echo(f"  {check_id:<24} {limits['role']:<5} {spans}")


def _write_page(verdicts: list["SeriesVerdict"], pictures: list["SeriesPictures"], file: Path) -> None:
    """Write the page for the technician.

    Raises
    ------
    OutputRefused
        The file cannot be written.
    """
    from dicom_gateway.errors import OutputRefused
    from qc.image.page import render_page

    try:
        file.write_text(render_page(verdicts, pictures), encoding="utf-8")
    except OSError as error:
        raise OutputRefused(f"The page cannot be written ({error.strerror}); name another file.") from error


def _ends(interval: tuple[float, float] | None) -> list[str] | None:
    return None if interval is None else [f"{v:g}" for v in interval]


def _pair(item: str) -> tuple[str, str]:
    keyword, sign, value = item.partition("=")
    if not sign or not keyword or not value:
        raise typer.BadParameter("An order is KEYWORD=VALUE, such as PatientID=1234 or SkinMarkers=3.")
    return keyword, value


def _overall(verdicts: list["SeriesVerdict"]) -> str:
    from qc.image.result import worst

    return str(worst([v.grade for v in verdicts]))


def _print(verdicts: list["SeriesVerdict"]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from qc.image.registry import discover

    console = Console()
    for verdict in verdicts:
        subject = verdict.results[0].subject if verdict.results else None
        what = escape(f"{subject.modality}, {subject.planes} planes") if subject else ""
        colour = COLOURS[str(verdict.grade)]
        console.print(f"[{colour}]{verdict.grade}[/{colour}]  {what}  {verdict.series_instance_uid}", highlight=False)
        console.print(f"      profile {verdict.profile_id}, {len(verdict.results)} checks", highlight=False)
        required = verdict.unjudged()
        unjudged = [r.check_id for r in verdict.results if r.grade == "NOT_EVALUABLE" and r not in required]
        if unjudged:
            console.print(f"      not evaluable: {', '.join(unjudged)}", highlight=False)
        if missing := ", ".join(f"{r.check_id} ({r.reason})" for r in required):
            console.print(f"      [yellow]required and not evaluable:[/yellow] {missing}", highlight=False)
        unlimited = [m.check_id for m in verdict.measurements if m.check_id in discover()]
        if unlimited:
            console.print(f"      measured, no limit set: {', '.join(unlimited)}", highlight=False)
        findings = verdict.findings()
        if not findings:
            continue
        table = Table(box=None, padding=(0, 2))
        for heading in ("grade", "check", "cause", "action"):
            # Chinese has no spaces to break at; without folding the end of a sentence would be cut off.
            table.add_column(heading, overflow="fold")
        for r in findings:
            cause = f"{r.cause.zh}\n{r.cause.en}" if r.cause else ""
            action = f"{r.action.zh}\n{r.action.en}" if r.action else ""
            shade = COLOURS[str(r.grade)]
            table.add_row(f"[{shade}]{r.grade}[/{shade}]", r.check_id, escape(cause), escape(action))
        console.print(table, highlight=False)
