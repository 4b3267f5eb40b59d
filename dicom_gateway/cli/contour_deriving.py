"""What the commands of `radgate contour` make of structures: margins, recipes, smoothing, small parts left out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from contouring.convert import Structures
    from contouring.roi import Roi
    from imaging.series import Stack

__all__ = ["derived", "smoothed", "with_margin", "without_small_parts"]

LARGEST_MARGIN_MM = 100.0
"""What `contouring.margins` takes at most."""


def without_small_parts(
    read: "Structures", rois: Sequence["Roi"], stack: "Stack", smallest_cc: float
) -> tuple["Structures", tuple["Roi", ...]]:
    """The structures without their small parts, and how many were left out among the remarks."""
    from dataclasses import replace

    from contouring import booleans

    kept, remarks = [], list(read.remarks)
    for roi in rois:
        region, dropped = roi.region, 0
        if smallest_cc:
            region, dropped = booleans.without_small_parts(roi.region, stack.grid, smallest_cc)
        kept.append(replace(roi, region=region))
        if dropped:
            remarks.append((roi.name.tg263, f"{dropped} parts below {smallest_cc:g} cc were left out, as asked"))
    return replace(read, remarks=tuple(remarks)), tuple(kept)


def smoothed(
    read: "Structures", rois: Sequence["Roi"], stack: "Stack", width_mm: float
) -> tuple["Structures", tuple["Roi", ...]]:
    """The structures smoothed, and among the remarks what of them was too thin for it."""
    from dataclasses import replace

    from contouring import smoothing

    kept, remarks = [], list(read.remarks)
    for roi in rois:
        if not roi.region.voxel_count:
            kept.append(roi)
            remarks.append((roi.name.tg263, "is empty and stays so"))
            continue
        found = smoothing.smoothed(roi.region, stack.grid, width_mm)
        kept.append(replace(roi, region=found.region, description=f"smoothed by {width_mm:g} mm"))
        remarks += [(roi.name.tg263, told) for told in found.losses]
    return replace(read, remarks=tuple(remarks)), tuple(kept)


def with_margin(
    read: "Structures", stack: "Stack", roi: str, mm: float, name: str
) -> tuple["Structures", tuple["Roi", ...]]:
    """The structure with its margin; among the remarks that nothing is left of it, or that the scan ends within it."""
    from dataclasses import replace

    from contouring.coarse import drawn_on_few_voxels
    from contouring.convert import chosen
    from contouring.cut_margins import cut_by_scan, share_beyond_image
    from contouring.margins import Margin, grow, shrink
    from contouring.names import lookup
    from contouring.roi import Roi

    if not roi or not mm:
        raise typer.BadParameter("give --roi and --mm, or --recipe")
    if not abs(mm) <= LARGEST_MARGIN_MM:
        raise typer.BadParameter(f"--mm lies within -{LARGEST_MARGIN_MM:.0f} and {LARGEST_MARGIN_MM:.0f}")
    source = chosen(read.rois, [roi])[0]
    named = lookup(name or _namewith_margin(source, mm))
    region = (grow if mm > 0 else shrink)(source.region, stack.grid, Margin.uniform(abs(mm)))
    made = Roi(1, named, region, f"{roi} {mm:+g} mm", generation="SEMIAUTOMATIC")
    told = [] if region.voxel_count else [(made.name.tg263, f"nothing is left of {roi} at {mm:+g} mm; it is empty")]
    if few := drawn_on_few_voxels(source.region):
        told.append((made.name.tg263, few))
    if share := share_beyond_image(source.region, stack.grid, Margin.uniform(mm)) if mm > 0 else 0.0:
        told.append((made.name.tg263, cut_by_scan(share)))
    return replace(read, remarks=(*read.remarks, *told)), (made,)


def _namewith_margin(source: "Roi", mm: float) -> str:
    """PTV of a target, PRV of an organ; a margin that neither name tells rightly needs a name of its own."""
    if mm < 0:
        raise typer.BadParameter("give --name: what is left of a shrunk structure has no usual name")
    roi = source.name.tg263
    if source.name.interpreted_type in {"GTV", "CTV"} or roi.startswith(("GTV", "CTV", "ITV")):
        return "PTV"
    if mm != round(mm):
        raise typer.BadParameter(f"give --name: {roi}_PRV with a number tells whole millimetres only")
    return f"{roi}_PRV{round(mm):02d}"


def derived(read: "Structures", stack: "Stack", recipe: str) -> tuple["Structures", tuple["Roi", ...]]:
    """The structures that a recipe derives; what it left out, lost or could not hold is among the remarks."""
    from dataclasses import replace

    from contouring.errors import RecipeRefused
    from contouring.names import lookup
    from contouring.recipes import apply_recipe, load_recipe, shipped_recipes
    from contouring.roi import Roi

    if Path(recipe).is_file():
        chosen_recipe = load_recipe(Path(recipe))
    elif recipe in shipped_recipes():
        chosen_recipe = shipped_recipes()[recipe]
    else:
        raise RecipeRefused(f"There is no recipe of this name; there are {', '.join(sorted(shipped_recipes()))}.")
    result = apply_recipe(chosen_recipe, {r.name.tg263: r.region for r in read.rois}, stack.grid)
    rois = tuple(
        Roi(number, lookup(d.name), d.region, d.description, generation="SEMIAUTOMATIC")
        for number, d in enumerate(result.derived, start=1)
    )
    left_out = tuple((name, f"left out: {reason}") for name, reason in result.left_out)
    return replace(read, remarks=(*read.remarks, *result.uncovered, *result.remarks, *left_out)), rois
