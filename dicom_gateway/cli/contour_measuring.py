"""What `radgate contour measure` says of each structure, as JSON prints it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dicom_gateway.cli.contour_reading import even_volume

if TYPE_CHECKING:
    from contouring.convert import Structures
    from contouring.roi import Roi
    from imaging.series import Stack

__all__ = ["measured"]


def measured(rois: Sequence["Roi"], read: "Structures", stack: "Stack") -> list[dict[str, Any]]:
    """One row a structure that has voxels; density, side and uptake are None where the series does not tell them."""
    from dataclasses import asdict

    from contouring.lesion import MIDLINE_MM, OUTLINES, measure_lesion
    from contouring.midline import midline_of
    from contouring.suv import suv_metrics, suv_volume
    from imaging.headers import text

    # Volume and axes need no even grid; density is left out, and null says so.
    volume = even_volume(stack)
    if volume is not None and stack.modality == "PT":
        volume = suv_volume(volume, stack.headers)
    outline = next((r for r in read.rois if r.name.tg263 in OUTLINES and r.region.voxel_count), None)
    examined = text(stack.header, "BodyPartExamined")
    midline = midline_of(None if outline is None else outline.region, volume, stack.grid, examined)
    midline_from = None if midline.x_mm is None else "image" if outline is None else outline.name.tg263
    rows = []
    for roi in rois:
        if not roi.region.voxel_count:
            continue
        others = {r.name.tg263: r.region for r in read.rois if r.region is not roi.region}
        found = measure_lesion(roi.region, stack.grid, volume=volume, organs=others, midline=midline)
        uptake = suv_metrics(roi.region, volume) if volume is not None and stack.modality == "PT" else None
        named = {"name": roi.name.tg263, "zh": roi.name.zh}
        no_side = None
        if found.side is None:
            no_side = (
                midline.reason or f"the centre lies within {midline.uncertainty_mm + MIDLINE_MM:.0f} mm of a midline"
            )
        side = {"midline_from": midline_from, "no_side_because": no_side}
        rows.append({**named, **asdict(found), **side, "uptake": uptake and asdict(uptake)})
    return rows
