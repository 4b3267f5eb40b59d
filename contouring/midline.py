"""The patient's midline, told only from an outline that shows both halves of the body: a wrong side is worse than none.

A slice (across the patient) counts where one part stands alone, ends before the border of the image on both sides, and
is as wide as a trunk. A single limb, two legs apart, a body that the field cuts, or one of the small kind that only its
header could tell from a limb give no midline but the reason.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.geometry import Grid
from imaging.volume import Region, Volume

__all__ = ["Midline", "midline_of_body", "midline_of_image"]

BoolArray = NDArray[np.bool_]

BODY_HU = -300.0
"""Between air and fat, far from both."""

BEYOND_HU = -1500.0
"""Darker than any air: what a scanner writes where it has not looked."""

BODY_SHARE = 0.1
"""In other images the body is brighter than this share of the 99th percentile above the darkest value."""

HOUNSFIELD = "[hnsf'U]"

MOST_VOXELS_A_SIDE = 128
"""Finer voxels are skipped: the midline needs millimetres, not tenths."""

FEWEST_SLABS = 3
"""Slabs across the patient that must show both halves."""

TRUNK_MM = 300.0
"""Narrowest part that no single limb is."""

HEAD_MM = 120.0
"""Narrowest part that is taken for a head where BodyPartExamined says that it is one."""

HEADS = ("BRAIN", "HEAD", "HEADNECK", "SKULL")
"""BodyPartExamined of images whose parts may be as narrow as a head."""

LIMBS = (
    "ANKLE", "ARM", "CALF", "ELBOW", "EXTREMITY", "FEET", "FEMUR", "FIBULA", "FINGER", "FOOT", "HAND", "HIP", "HUMERUS",
    "KNEE", "LEG", "LIMB", "SHOULDER", "THIGH", "TIBIA", "TOE", "ULNA", "WRIST",
)  # fmt: skip
"""What BodyPartExamined holds where the image is one of a limb."""

OTHER_PART = 0.2
"""Size, against the largest part of a slab, from which on another may be the other leg; arms and tables are less."""

FLAT_SIDE = 0.5
"""Share of the rows that end at the same place where a side was cut off."""

SHARE_OF_WIDTH = 0.08
"""Uncertainty of the midline: an arm that touches the trunk moves its middle by up to this share of its width."""

LARGEST_UNCERTAINTY_MM = 25.0


@dataclass(frozen=True)
class Midline:
    """Where the patient's middle lies.

    Parameters
    ----------
    x_mm
        In LPS, +x is the patient's left; None where no outline shows both halves of the body.
    uncertainty_mm
        How far off it may be.
    reason
        Why there is none.
    """

    x_mm: float | None
    uncertainty_mm: float = 0.0
    reason: str = ""


def midline_of(body: Region | None, volume: Volume | None, grid: Grid, body_part: str = "") -> Midline:
    """The middle of the drawn outline where there is one, else of the image; neither, and the reason, without both."""
    if body is not None and body.voxel_count:
        return midline_of_body(body, grid, body_part)
    if volume is not None:
        return midline_of_image(volume, body_part)
    return Midline(None, reason="the planes are uneven, and no Body is drawn")


def midline_of_image(volume: Volume, body_part: str = "") -> Midline:
    """The middle of the bright part of an image, its slabs' holes filled.

    Parameters
    ----------
    volume
        CT; in other images the uncertainty is twice as large, since dim tissue is missing from the outline.
    body_part
        BodyPartExamined: a limb has no midline; a head may be narrower than a trunk.
    """
    steps = _steps(volume.grid)
    values = volume.array[tuple(slice(None, None, step) for step in steps)].astype(np.float32)
    beyond = values < BEYOND_HU if volume.unit == HOUNSFIELD else np.zeros(values.shape, dtype=np.bool_)
    found = _midline(values > _threshold(values, volume.unit), beyond, volume.grid, steps, body_part)
    if volume.unit == HOUNSFIELD:
        return found
    return Midline(found.x_mm, 2 * found.uncertainty_mm, found.reason)


def midline_of_body(body: Region, grid: Grid, body_part: str = "") -> Midline:
    """The middle of a drawn outline of the body, under the same conditions."""
    steps = _steps(grid)
    mask = body.mask()[tuple(slice(None, None, step) for step in steps)]
    return _midline(mask, np.zeros(mask.shape, dtype=np.bool_), grid, steps, body_part)


def _midline(body: BoolArray, beyond: BoolArray, grid: Grid, steps: list[int], body_part: str) -> Midline:
    examined = body_part.upper()
    if any(limb in examined for limb in LIMBS):
        return Midline(None, reason="the image is one of a limb")
    narrowest_mm = HEAD_MM if examined in HEADS else TRUNK_MM
    directions = np.stack([grid.normal, grid.column_direction, grid.row_direction], axis=1)
    sideways = int(np.abs(directions[0]).argmax())
    others = [axis for axis in range(3) if axis != sideways]
    upwards = max(others, key=lambda axis: float(abs(directions[2, axis])))
    plane_mm = float(grid.slice_steps_mm.mean()) if len(grid.slice_steps_mm) else 0.0
    pixel_mm = (plane_mm, *grid.pixel_spacing_mm)[sideways] * steps[sideways]
    slabs, around = (np.moveaxis(a, (upwards, sideways), (0, 2)) for a in (body, beyond))
    middles, widths, reasons = [], [], []
    for n, slab in enumerate(slabs):
        part, reason = _whole_part(slab, around[n])
        columns = np.flatnonzero(part.any(axis=0))
        width_mm = (columns[-1] - columns[0] + 1) * pixel_mm if len(columns) else 0.0
        if not reason and width_mm < narrowest_mm:
            reason = "the outline is no wider than a limb may be"
        if reason:
            reasons.append(reason)
            continue
        flat = np.zeros(body.shape, dtype=np.bool_)
        np.moveaxis(flat, (upwards, sideways), (0, 2))[n] = part
        index = np.argwhere(flat) * steps
        middles.append(float(grid.points_lps(index[:, 0], index[:, [2, 1]].astype(np.float64))[:, 0].mean()))
        widths.append(width_mm)
    if len(middles) < FEWEST_SLABS:
        return Midline(None, reason=max(sorted(set(reasons)), key=reasons.count, default="the image is empty"))
    uncertainty_mm = min(LARGEST_UNCERTAINTY_MM, SHARE_OF_WIDTH * float(np.median(widths)))
    return Midline(float(np.median(middles)), uncertainty_mm)


def _whole_part(slab: BoolArray, beyond: BoolArray) -> tuple[BoolArray, str]:
    """The one part of a slab, filled, columns running sideways; and why it does not show both halves of the body."""
    labels, count = ndimage.label(slab)
    if not count:
        return slab, "the image is empty"
    sizes = np.bincount(labels.ravel())[1:]
    largest = int(sizes.argmax())
    part = np.asarray(ndimage.binary_fill_holes(labels == 1 + largest), dtype=np.bool_)
    inside = set(np.unique(labels[part]).tolist())
    if any(sizes[n] > OTHER_PART * sizes[largest] for n in range(count) if n + 1 not in inside):
        return part, "the outline is in several parts, as legs are"
    if part[:, 0].any() or part[:, -1].any() or (ndimage.binary_dilation(part) & beyond).any():
        return part, "the border of the image cuts the body at a side"
    rows = part[part.any(axis=1)]
    for seen in (rows, rows[:, ::-1]):
        ends = seen.argmax(axis=1)
        if float((ends == ends.min()).mean()) > FLAT_SIDE:
            return part, "the body ends at a straight line at a side"
    return part, ""


def _steps(grid: Grid) -> list[int]:
    return [max(1, -(-size // MOST_VOXELS_A_SIDE)) for size in grid.shape]


def _threshold(values: NDArray[np.float32], unit: str) -> float:
    if unit == HOUNSFIELD:
        return BODY_HU
    darkest = float(values.min())
    return darkest + BODY_SHARE * (float(np.percentile(values, 99)) - darkest)
