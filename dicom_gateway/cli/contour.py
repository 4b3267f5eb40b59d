"""`radgate contour`: structures between RTSTRUCT, SEG and NIfTI, checked, compared, grown, smoothed, measured, renamed.

Exit code 0 is done, 1 means that something was found (a broken rule, a name without a match), 2 is an error.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dicom_gateway.cli.contour_deriving import derived, smoothed, with_margin, without_small_parts
from dicom_gateway.cli.contour_measuring import measured
from dicom_gateway.cli.contour_names import name_table, site
from dicom_gateway.cli.contour_options import (
    Aliases,
    AsJson,
    FillGaps,
    Kind,
    Labels,
    OffGrid,
    Out,
    Overlap,
    Picture,
    ProfileName,
    RenamedOut,
    RoiNames,
    Series,
    SmallestPart,
    StrictNames,
    StructureFile,
)
from dicom_gateway.cli.contour_reading import even_volume, image_stack, read_file, reading_of
from dicom_gateway.cli.contour_report import exit_where_refused, noticed, print_json, print_table, tell_noticed

if TYPE_CHECKING:
    from contouring.convert import Structures
    from contouring.roi import Roi
    from imaging.provenance import Algorithm
    from imaging.series import Stack

__all__ = ["app"]

app = typer.Typer(help="Contours: convert, check, compare, grow, smooth, measure, rename.", no_args_is_help=True)
app.callback()(site)

FOUND_SOMETHING = 1

SHORT_UNITS = {"[hnsf'U]": "HU", "g/ml{SUVbw}": "g/ml", "1": ""}
"""UCUM units as people write them."""


@app.command("to-mask")
def to_mask(
    structures: StructureFile,
    series: Series,
    out: Out,
    roi: RoiNames = None,
    aliases: Aliases = None,
    kind: Annotated[Kind, typer.Option(help="Form of a DICOM SEG.")] = "binary",
    offgrid: OffGrid = "error",
    fill_gaps: FillGaps = False,
    overlap: Overlap = "error",
    strict_names: StrictNames = False,
    drop_parts_below_cc: SmallestPart = 0.0,
    label: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Write structures as voxels: a NIfTI label map with its names beside it, or a DICOM SEG."""
    from contouring.convert import chosen

    stack = image_stack(series, structures)
    reading = reading_of(offgrid, fill_gaps, overlap)
    read = read_file(structures, stack, aliases, label, reading=reading, strict_names=strict_names)
    read, rois = without_small_parts(read, chosen(read.rois, roi or []), stack, drop_parts_below_cc)
    _write_mask(rois, stack, out, kind, structures)
    _report(read, rois, stack, out, aliases, as_json)


@app.command("to-rtstruct")
def to_rtstruct(
    mask: StructureFile,
    series: Series,
    out: Out,
    profile: ProfileName = "generic",
    mode: Annotated[Literal["smooth", "crack"], typer.Option(help="Smooth contours, or along the pixels.")] = "smooth",
    roi: RoiNames = None,
    label: Labels = None,
    aliases: Aliases = None,
    offgrid: OffGrid = "error",
    fill_gaps: FillGaps = False,
    overlap: Overlap = "error",
    strict_names: StrictNames = False,
    drop_parts_below_cc: SmallestPart = 0.0,
    as_json: AsJson = False,
) -> None:
    """Write voxels as contours; the result reads back as the same voxels."""
    from contouring.convert import chosen

    stack = image_stack(series, mask)
    reading = reading_of(offgrid, fill_gaps, overlap)
    read = read_file(mask, stack, aliases, label, reading=reading, strict_names=strict_names)
    read, rois = without_small_parts(read, chosen(read.rois, roi or []), stack, drop_parts_below_cc)
    _write_contours(rois, stack, out, mask, profile=profile, mode=mode)
    _report(read, rois, stack, out, aliases, as_json)


@app.command()
def check(
    rtstruct: Annotated[Path, typer.Argument(help="RTSTRUCT of any maker.", exists=True)],
    profile: ProfileName = "generic",
    series: Annotated[Path | None, typer.Option(help="Folder of the image series.", exists=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Say which rules of a planning system, and of DICOM, a structure set breaks; exit code 1 where it breaks any."""
    from dataclasses import asdict

    from contouring.profiles import check_profile

    stack = image_stack(series, rtstruct) if series is not None else None
    grid, images = (stack.grid, stack.sources) if stack is not None else (None, ())
    findings = check_profile(rtstruct, profile, grid, images)
    if as_json:
        print_json({"profile": profile, "findings": [asdict(f) for f in findings]})
    elif not findings:
        typer.echo(f"{profile}: no rule broken.")
    for finding in findings if not as_json else ():
        typer.echo(f"{finding.tag} {finding.value}: {finding.rule}. {finding.fix}")
    if findings:
        raise typer.Exit(FOUND_SOMETHING)


@app.command()
def compare(
    reference: StructureFile,
    other: StructureFile,
    series: Series,
    picture: Picture = None,
    aliases: Aliases = None,
    offgrid: OffGrid = "error",
    fill_gaps: FillGaps = False,
    overlap: Overlap = "error",
    label: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Compare the structures of equal name; the first file is taken as right."""
    from dataclasses import asdict

    from contouring.compare import compare_structures, draw_difference
    from contouring.errors import UnknownStructure

    stack = image_stack(series, reference)
    reading = reading_of(offgrid, fill_gaps, overlap)
    first, second = (read_file(path, stack, aliases, label, reading=reading) for path in (reference, other))
    comparison = compare_structures(first.rois, second.rois, stack.grid)
    if not comparison.agreements:
        raise UnknownStructure(
            f"No structure is in both files: the first holds {', '.join(comparison.only_in_reference)}, the second "
            f"{', '.join(comparison.only_in_other)}; give --aliases where names differ.",
            suggestions=[],
        )
    if picture is not None:
        from imaging.series import load_volume

        agreements = comparison.agreements
        worst = min(agreements, key=lambda name: (agreements[name].dice, name))
        regions = [next(r.region for r in s.rois if r.name.tg263 == worst) for s in (first, second)]
        draw_difference(load_volume(stack), *regions, title=worst).save(picture, format="PNG")
    if as_json:
        told = [noticed(read, name_table(aliases)) for read in (first, second)]
        print_json(asdict(comparison) | {"noticed_in_reference": told[0], "noticed_in_other": told[1]})
        for read in (first, second):
            exit_where_refused(read)
        return
    rows = [
        [
            name, f"{a.dice:.4f}", f"{a.surface_dice[2.0]:.4f}", f"{a.hausdorff95_mm:.2f}",
            f"{a.mean_surface_distance.mean_mm:.2f}", f"{a.added_path.length_mm:.0f}",
            f"{a.reference_cc:.2f}", f"{a.other_cc:.2f}",
        ]
        for name, a in comparison.agreements.items()
    ]  # fmt: skip
    print_table(["structure", "Dice", "sDice 2 mm", "HD95 mm", "MSD mm", "APL mm", "cc", "other cc"], rows)
    for names, which in ((comparison.only_in_reference, "first"), (comparison.only_in_other, "second")):
        if names:
            typer.echo(f"only in the {which}: {', '.join(names)}")
    for read in (first, second):
        tell_noticed(read, name_table(aliases))
    for read in (first, second):
        exit_where_refused(read)


@app.command()
def margin(
    structures: StructureFile,
    series: Series,
    out: Out,
    roi: Annotated[str, typer.Option(help="Structure to grow.")] = "",
    mm: Annotated[float, typer.Option(help="Margin on all sides; negative shrinks.")] = 0.0,
    name: Annotated[str, typer.Option(help="TG-263 name of the result.")] = "",
    recipe: Annotated[str, typer.Option(help="Site template or TOML file instead of --roi and --mm.")] = "",
    profile: ProfileName = "generic",
    aliases: Aliases = None,
    offgrid: OffGrid = "error",
    fill_gaps: FillGaps = False,
    overlap: Overlap = "error",
    label: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Write a structure with a margin, or all structures that a recipe derives."""
    if recipe and (roi or mm or name):
        raise typer.BadParameter("give either --recipe or --roi, --mm and --name: a recipe names its own structures")
    stack = image_stack(series, structures)
    read = read_file(structures, stack, aliases, label, reading=reading_of(offgrid, fill_gaps, overlap))
    if recipe:
        read, rois = derived(read, stack, recipe)
    else:
        read, rois = with_margin(read, stack, roi, mm, name)
    if out.name.endswith((".nii", ".nii.gz")):
        _write_mask(rois, stack, out, "binary", structures)
    else:
        _write_contours(rois, stack, out, structures, profile=profile, mode="smooth")
    _report(read, rois, stack, out, aliases, as_json)


@app.command()
def smooth(
    structures: StructureFile,
    series: Series,
    out: Out,
    mm: Annotated[float, typer.Option(help="Width of what is evened out, mm.", min=0.1, max=20.0)],
    roi: RoiNames = None,
    profile: ProfileName = "generic",
    aliases: Aliases = None,
    offgrid: OffGrid = "error",
    fill_gaps: FillGaps = False,
    overlap: Overlap = "error",
    label: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Smooth structures; every separate part keeps its volume, and thin parts that are lost are told."""
    from contouring.convert import chosen

    stack = image_stack(series, structures)
    read = read_file(structures, stack, aliases, label, reading=reading_of(offgrid, fill_gaps, overlap))
    read, rois = smoothed(read, chosen(read.rois, roi or []), stack, mm)
    if out.name.endswith((".nii", ".nii.gz")):
        _write_mask(rois, stack, out, "binary", structures)
    else:
        _write_contours(rois, stack, out, structures, profile=profile, mode="smooth")
    _report(read, rois, stack, out, aliases, as_json)


@app.command()
def measure(
    structures: StructureFile,
    series: Series,
    roi: RoiNames = None,
    aliases: Aliases = None,
    offgrid: OffGrid = "error",
    fill_gaps: FillGaps = False,
    overlap: Overlap = "error",
    label: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Measure structures: volume, axes, density, side, neighbours; uptake where the series is PET."""
    from contouring.convert import chosen

    stack = image_stack(series, structures)
    read = read_file(structures, stack, aliases, label, reading=reading_of(offgrid, fill_gaps, overlap))
    rows = measured(chosen(read.rois, roi or []), read, stack)
    if as_json:
        print_json({"structures": rows, **noticed(read, name_table(aliases))})
        exit_where_refused(read)
        return
    table = []
    for row in rows:
        density = row["density"] or {}
        table.append([
            row["name"],
            f"{row['volume_cc']:.2f}",
            f"{row['axes']['long_axis']['length_mm']:.1f}",
            f"{row['axes']['short_axis']['length_mm']:.1f}",
            row["side"] or "",
            f"{density['mean']:.1f} {SHORT_UNITS.get(density['unit'], density['unit'])}".rstrip() if density else "",
            f"{row['uptake']['peak']:.2f}" if row["uptake"] else "",
        ])
    print_table(["structure", "cc", "long mm", "short mm", "side", "mean", "SUVpeak"], table)
    if any(row["midline_from"] == "image" and row["side"] for row in rows):
        typer.echo("note: no Body is drawn; sides are told from the outline in the image")
    for reason in dict.fromkeys(row["no_side_because"] for row in rows if row["no_side_because"]):
        names = ", ".join(row["name"] for row in rows if row["no_side_because"] == reason)
        typer.echo(f"note: no side is told of {names}: {reason}")
    tell_noticed(read, name_table(aliases))
    exit_where_refused(read)


@app.command()
def rename(
    rtstruct: Annotated[Path, typer.Argument(help="RTSTRUCT of any maker.", exists=True)],
    out: RenamedOut = None,
    series: Annotated[Path | None, typer.Option(help="Image series: left and right are checked.", exists=True)] = None,
    aliases: Aliases = None,
    as_json: AsJson = False,
) -> None:
    """Say what each name means in TG-263; exit code 1 where a name has no match, which then stays as it is."""
    from contouring.rename_rtstruct import rename_rtstruct
    from imaging.attributes import text

    stack = image_stack(series, rtstruct) if series is not None else None
    if stack is None:
        renamed = rename_rtstruct(rtstruct, name_table(aliases))
    else:
        examined = text(stack.header, "BodyPartExamined")
        renamed = rename_rtstruct(
            rtstruct, name_table(aliases), grid=stack.grid, volume=even_volume(stack), body_part=examined
        )
    if out is not None:
        renamed.dataset.save_as(out, enforce_file_format=True)
    unmatched = [r for r in renamed.names if r.name is None]
    if as_json:
        rows = [
            {"original": r.original, "tg263": r.name and r.name.tg263, "how": r.how, "candidates": list(r.candidates)}
            for r in renamed.names
        ]
        print_json({"names": rows, "unmatched": len(unmatched), "sides_unchecked": renamed.sides_unchecked})
    else:
        print_table(
            ["original", "TG-263", "how", "candidates"],
            [[r.original, r.name.tg263 if r.name else "-", r.how, ", ".join(r.candidates)] for r in renamed.names],
        )
        if renamed.sides_unchecked:
            typer.echo(f"note: left and right were not checked: {renamed.sides_unchecked}")
    if unmatched:
        raise typer.Exit(FOUND_SOMETHING)


def _algorithm() -> "Algorithm":
    from importlib import metadata

    from imaging.provenance import Algorithm

    return Algorithm("radgate contour", metadata.version("radgate"), deterministic=True)


def _digest(source: Path) -> str:
    import hashlib

    return hashlib.sha256(source.read_bytes()).hexdigest()


def _write_mask(rois: Sequence["Roi"], stack: "Stack", out: Path, kind: Kind, source: Path) -> None:
    if out.name.endswith((".nii", ".nii.gz")):
        from contouring.nifti import write_nifti

        write_nifti(rois, stack.grid, out)
        return
    from datetime import datetime

    from contouring import write_seg
    from contouring.errors import SegmentationRefused

    if kind == "fractional" and all(r.region.probability is None for r in rois):
        raise SegmentationRefused(
            "The structures have no probabilities to write as fractions; give a NIfTI or a SEG of fractions, or --kind "
            "binary."
        )
    ds = write_seg(
        rois, stack, made_at=datetime.now(), algorithm=_algorithm(), kind=kind, settings_digest=_digest(source)
    )
    ds.save_as(out, enforce_file_format=True)


def _write_contours(
    rois: Sequence["Roi"], stack: "Stack", out: Path, source: Path, *, profile: str, mode: Literal["smooth", "crack"]
) -> None:
    from datetime import datetime

    from contouring import write_rtstruct

    written = write_rtstruct(
        rois,
        stack,
        made_at=datetime.now(),
        algorithm=_algorithm(),
        label="radgate",
        mode=mode,
        profile=profile,
        settings_digest=_digest(source),
    )
    out.write_bytes(written.encoded)


def _report(
    read: "Structures", rois: Sequence["Roi"], stack: "Stack", out: Path, aliases: Path | None, as_json: bool
) -> None:
    from contouring import volume_cc

    rows = [{"number": r.number, "name": r.name.tg263, "volume_cc": volume_cc(r.region, stack.grid)} for r in rois]
    if as_json:
        print_json({"written": str(out), "structures": rows, **noticed(read, name_table(aliases))})
    else:
        cells = [[str(r["number"]), str(r["name"]), f"{r['volume_cc']:.2f}"] for r in rows]
        print_table(["", "structure", "cc"], cells)
        tell_noticed(read, name_table(aliases))
    exit_where_refused(read)
