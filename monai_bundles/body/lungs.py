"""Left and right lung on the coarse grid, without the central airways, with vessels inside."""

import numpy as np
from numpy.typing import NDArray

from monai_bundles.body.bone import midline_column
from monai_bundles.body.coarse import Coarse
from monai_bundles.body.morphology import close, dilate, erode, label_parts, touches_sides

__all__ = ["LUNG_HU", "left_and_right_lung"]

BoolArray = NDArray[np.bool_]

LUNG_HU = -400.0
"""Half-way between inflated lung (-850) and soft tissue (50)."""

GAS_MEDIAN_HU = -955.0
"""Gas in bowel, sinuses and bronchi lies below, inflated lung above."""

SEED_MM = (5.0, 7.5, 10.0, 15.0)
"""Erosions tried in turn until nothing spans both sides; the first already takes the main bronchi away."""

SMALLEST_SHARE = 0.02
"""Parts of lung smaller than this share of the largest are sinuses, mastoid cells or bowel."""

RECESS_MM = 40.0

WHOLE_CC = 150.0
"""A smaller lung is only believed where the scan's lowest plane or a side of its field cuts it."""

VESSEL_MM = 5.0


def left_and_right_lung(
    coarse: Coarse, body: BoolArray, bone: BoolArray, airway: BoolArray
) -> tuple[BoolArray, BoolArray]:
    """(left, right) lung, empty where there is none. Left is the patient's left: the higher column."""
    air = body & (coarse.hu < LUNG_HU) & ~dilate(airway, max(coarse.spacing_mm[1:]), coarse.spacing_mm)
    none = np.zeros_like(air)
    planes = np.flatnonzero((air & (coarse.hu > GAS_MEDIAN_HU)).any(axis=(1, 2)))
    if not len(planes):
        return none, none
    for radius_mm in SEED_MM:
        labels, chosen = _lung_like(coarse, erode(air, radius_mm, coarse.spacing_mm))
        if not len(chosen):
            return none, none
        seeds = np.isin(labels, chosen)
        occupied = np.flatnonzero(seeds.any(axis=(1, 2)))
        midline = _midline(coarse, bone, airway, slice(occupied[0], occupied[-1] + 1))
        columns = np.nonzero(seeds)[2]
        in_all = np.bincount(labels[seeds], minlength=labels.max() + 1)[chosen]
        on_left = np.bincount(labels[seeds][columns > midline], minlength=labels.max() + 1)[chosen]
        share_left = on_left / in_all
        if not ((share_left > 0.2) & (share_left < 0.8)).any():
            break
    left = np.isin(labels, chosen[share_left >= 0.5])
    right = np.isin(labels, chosen[share_left < 0.5])
    mixed = np.isin(labels, chosen[(share_left > 0.2) & (share_left < 0.8)])
    if mixed.any():
        # Nothing separates them: the plane of the spine does.
        is_left = np.arange(air.shape[2]) > midline
        left, right = (left & ~mixed) | (mixed & is_left), (right & ~mixed) | (mixed & ~is_left)
    left, right = _grow_back(air, left, right, 1.5 * radius_mm, coarse.spacing_mm)
    # Narrow recesses, as beside the diaphragm: further, but only through what reads like lung and not like gas.
    left, right = _grow_back(air & (coarse.hu > GAS_MEDIAN_HU), left, right, RECESS_MM, coarse.spacing_mm)
    allowed = body & ~dilate(airway, max(coarse.spacing_mm[1:]), coarse.spacing_mm)
    left = close(left, VESSEL_MM, coarse.spacing_mm) & allowed
    right = close(right, VESSEL_MM, coarse.spacing_mm) & allowed & ~left
    return _believed(coarse, left), _believed(coarse, right)


def _midline(coarse: Coarse, bone: BoolArray, airway: BoolArray, planes: slice) -> float:
    """Column between left and right: the trachea's where there is one, else the spine's."""
    columns = np.nonzero(airway)[2]
    return float(np.median(columns)) if len(columns) else midline_column(coarse, bone, planes)


def _lung_like(coarse: Coarse, seeds: BoolArray) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Parts of eroded air, and which of them read like inflated lung."""
    labels, sizes = label_parts(seeds)
    large = np.flatnonzero(sizes * coarse.voxel_cc >= 1.0)
    chosen = [p for p in large[large > 0] if np.median(coarse.hu[labels == p]) > GAS_MEDIAN_HU]
    found = np.array(chosen, dtype=np.intp)
    return labels, found[sizes[found] >= SMALLEST_SHARE * sizes[found].max()] if len(found) else found


def _grow_back(
    air: BoolArray, left: BoolArray, right: BoolArray, reach_mm: float, spacing_mm: tuple[float, float, float]
) -> tuple[BoolArray, BoolArray]:
    """Both seeds grown in turn within `air` by about `reach_mm`; what one has the other cannot."""
    step_mm = max(spacing_mm)
    for _ in range(int(np.ceil(reach_mm / step_mm)) + 1):
        left = (dilate(left, step_mm, spacing_mm) & air & ~right) | left
        right = (dilate(right, step_mm, spacing_mm) & air & ~left) | right
    return left, right


def _believed(coarse: Coarse, lung: BoolArray) -> BoolArray:
    """The lung, or nothing when it is small and yet whole: then it is something else that holds air."""
    cc = float(np.count_nonzero(lung)) * coarse.voxel_cc
    cut = lung[0].any() or touches_sides(lung.astype(np.int32), 1)[1]
    return lung if cc >= WHOLE_CC or (cut and cc >= 4.0) else np.zeros_like(lung)
