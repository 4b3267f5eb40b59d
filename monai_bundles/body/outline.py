"""The patient's outline on the coarse grid: without couch, mask, head rest and clothes; airways and lungs filled.

Couch shells, masks and clothes are thin: they vanish under an erosion that leaves a core of every part of the body.
What is grown back from the cores, within tissue only, is the patient.
"""

import numpy as np
from numpy.typing import NDArray

from monai_bundles.body.coarse import Coarse
from monai_bundles.body.morphology import close, dilate, erode, fill_planes, label_parts, label_planes, touches_sides

__all__ = ["body_outline"]

BoolArray = NDArray[np.bool_]

SOLID_HU = -350.0
"""Between fat (-100) and the densest clothes and foams met in the development data (-500)."""

THIN_MM = 5.0
"""Half the thickness up to which something solid is taken for couch shell, mask or cushion cover."""

THICK_MM = 13.0
"""Half the thickness up to which something solid is taken for a board or a table's edge, unless it is small."""

THICK_ALONG_MM = 8.0
"""The same along the body."""

APPENDAGE_CC = 40.0
"""Thin parts up to this size that hang on the body are ears, noses, fingers; larger ones are boards and tables."""

SMALLEST_PART_CC = 12.0
"""Smallest core of a further part of the body (a second leg, an arm) after erosion."""

SMALLEST_SHARE = 0.004
"""The same as a share of the largest core."""

LUNG_MEDIAN_HU = -960.0
"""Inflated lung lies above, room air below."""

OPENING_MM = 5.0
"""Nostrils, mouth and ear canals up to about twice this width belong to the body."""


def body_outline(coarse: Coarse) -> BoolArray:
    """The outline; empty where nothing looks like a patient."""
    solid = coarse.hu > SOLID_HU
    core = _cores(coarse, erode(solid, THIN_MM, coarse.spacing_mm))
    if not core.any():
        return core
    body = _grown_back(coarse, core, solid, 1.5 * THIN_MM)
    body = _with_cut_lungs(coarse, _with_open_cavities(coarse, fill_planes(body)))
    return _without_boards(coarse, body)


def _cores(coarse: Coarse, eroded: BoolArray) -> BoolArray:
    """The largest part of the eroded tissue, and every further one that is large and reads like soft tissue."""
    labels, sizes = label_parts(eroded)
    if len(sizes) == 1:
        return eroded
    sums = np.bincount(labels.ravel(), weights=coarse.hu.ravel(), minlength=len(sizes))
    means = sums / np.maximum(sizes, 1)
    keep = (sizes * coarse.voxel_cc >= SMALLEST_PART_CC) & (np.abs(means) <= 250.0)
    keep[0] = False
    if not keep.any():
        return np.zeros_like(eroded)
    keep &= sizes >= SMALLEST_SHARE * sizes[keep].max()
    return keep[labels]


def _grown_back(coarse: Coarse, core: BoolArray, within: BoolArray, reach_mm: float) -> BoolArray:
    """The core grown by `reach_mm` in small steps within a mask, and the small parts that then still hang on it."""
    body = core
    for _ in range(round(reach_mm / coarse.spacing_mm[1])):
        body = dilate(body, coarse.spacing_mm[1], coarse.spacing_mm) & within
    labels, sizes = label_parts(within & ~body)
    hanging = np.zeros(len(sizes), dtype=bool)
    hanging[labels[dilate(body, max(coarse.spacing_mm), coarse.spacing_mm)]] = True
    hanging &= sizes * coarse.voxel_cc <= APPENDAGE_CC
    hanging[0] = False
    return body | hanging[labels]


def _without_boards(coarse: Coarse, body: BoolArray) -> BoolArray:
    """The outline without boards and table edges: flat, large, and hanging on the thick parts of the body."""
    # Less along the body: shoulders on the last slices are low caps, but they are thick within their planes.
    stretched_mm = coarse.spacing_mm[0] * THICK_MM / THICK_ALONG_MM
    thick = erode(body, THICK_MM, (stretched_mm, *coarse.spacing_mm[1:]))
    if not thick.any():
        return body
    return _grown_back(coarse, _cores(coarse, thick), body, 1.4 * THICK_MM)


def _with_open_cavities(coarse: Coarse, body: BoolArray) -> BoolArray:
    """The outline with cavities that open through narrow gaps (mouth, nose, a thin chest wall), and those gaps.

    Gaps that lead to no cavity, as between the thighs, stay open.
    """
    closed = close(body, OPENING_MM, coarse.spacing_mm)
    filled = fill_planes(closed)
    added, count = label_planes(filled & ~body)
    leads_to_cavity = np.zeros(count + 1, dtype=bool)
    leads_to_cavity[added[filled & ~closed]] = True
    leads_to_cavity[0] = False
    return body | leads_to_cavity[added]


def _with_cut_lungs(coarse: Coarse, body: BoolArray) -> BoolArray:
    """The outline with lungs that a cropped field of view opens at its sides.

    Air at the side of the field counts as lung when its median is above that of room air and most of its surface is
    tissue.
    """
    labels, sizes = label_parts(~body)
    candidates = np.flatnonzero(touches_sides(labels, len(sizes) - 1) & (sizes * coarse.voxel_cc >= 5.0))
    filled = body.copy()
    for part in candidates[candidates > 0]:
        inside = labels == part
        if np.median(coarse.hu[inside]) < LUNG_MEDIAN_HU:
            continue
        at_sides = sum(
            int(np.count_nonzero(e)) for e in (inside[:, 0], inside[:, -1], inside[:, :, 0], inside[:, :, -1])
        )
        surface = int(np.count_nonzero(dilate(inside, max(coarse.spacing_mm), coarse.spacing_mm) & body))
        if at_sides < 0.7 * surface:
            filled |= inside
    return fill_planes(filled) if filled.any() else body
