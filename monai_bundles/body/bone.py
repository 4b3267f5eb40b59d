"""Bone on the coarse grid: dense parts that hold cortical bone, with their marrow."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monai_bundles.body.coarse import Coarse
from monai_bundles.body.morphology import close, dilate, erode, label_parts, label_planes, touches_sides

__all__ = ["BONE_HU", "bone_parts", "midline_column"]

BoolArray = NDArray[np.bool_]

BONE_HU = 180.0
"""Limit on single voxels: above muscle (60) by several times the noise of a usual CT, below spongy bone's rim."""

WEAK_HU, STRONG_HU = 150.0, 280.0
"""Block means: a part counts from the weak limit on when it holds the strong one somewhere."""

SMALLEST_CC = 0.25

MARROW_MM2 = 120.0
"""Enclosed areas up to this are marrow whatever they read. The spinal canal is larger than 150 square millimetres."""

FATTY_MM2, FATTY_HU = 700.0, (-130.0, -15.0)
"""Fatty marrow of long bones."""

SPONGY_MM2, SPONGY_HU = 2000.0, (80.0, 400.0)
"""Spongy bone of vertebrae and of the ends of long bones."""

VESSEL_RADIUS_MM = 5.0
"""Radius from which on something dense can be an enhanced vessel or heart chamber and not a rib."""

MEDIUM_HU = 450.0
"""Compact bone lies above; blood with contrast medium below."""

CORTEX_HU = 40.0
"""Bone has a rim at least this much denser than its inside; contrast medium has none."""

SPONGY_GAP_MM, SPONGY_GAP_HU = 4.0, 80.0
"""Gaps between dense blocks of one plane that are spongy bone: up to twice the radius, above muscle."""


def bone_parts(coarse: Coarse, body: BoolArray) -> BoolArray:
    """Bone with marrow; empty where there is none."""
    weak = body & (coarse.hu > WEAK_HU)
    weak &= ~_contrast_medium(coarse, weak)
    labels, sizes = label_parts(weak)
    holds_strong = np.zeros(len(sizes), dtype=bool)
    holds_strong[labels[weak & (coarse.hu > STRONG_HU)]] = True
    keep = holds_strong & (sizes * coarse.voxel_cc >= SMALLEST_CC)
    keep[0] = False
    bone = keep[labels]
    within_planes = (np.inf, *coarse.spacing_mm[1:])
    closed = bone | (close(bone, SPONGY_GAP_MM, within_planes) & (coarse.hu > SPONGY_GAP_HU))
    return closed | _marrow(coarse, closed)


def _contrast_medium(coarse: Coarse, dense: BoolArray) -> BoolArray:
    """Enhanced vessels and heart chambers: thick dense parts whose rim is not denser than their inside."""
    within_planes = (np.inf, *coarse.spacing_mm[1:])
    labels, _ = label_planes(erode(dense, VESSEL_RADIUS_MM, within_planes))
    margin = [0, *(round(2 * VESSEL_RADIUS_MM / s) for s in coarse.spacing_mm[1:])]
    medium = np.zeros_like(dense)
    for part, box in enumerate(ndimage.find_objects(labels), start=1):
        around = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(box, margin, strict=True))
        core, there = labels[around] == part, dense[around]
        hu = coarse.hu[around]
        grown = dilate(core, 1.5 * VESSEL_RADIUS_MM, within_planes) & there
        inside_hu = hu[core]
        # Neighbouring bone may be the densest part of a vessel's rim, but not more than a tenth of it.
        rim = hu[grown & ~core]
        if not rim.size:
            continue
        rim_hu = float(np.quantile(rim, 0.9))
        if float(np.median(inside_hu)) < MEDIUM_HU and rim_hu < float(np.median(inside_hu)) + CORTEX_HU:
            medium[around] |= grown & (hu <= float(inside_hu.max()) + CORTEX_HU)
    return medium


def _marrow(coarse: Coarse, bone: BoolArray) -> BoolArray:
    """Areas that bone encloses within a plane and that read and measure like marrow."""
    labels, count = label_planes(~bone)
    flat = labels.ravel()
    size = np.bincount(flat, minlength=count + 1)
    mean = np.bincount(flat, weights=coarse.hu.ravel(), minlength=count + 1) / np.maximum(size, 1)
    area = size * coarse.pixel_mm2
    is_marrow = (area <= MARROW_MM2) & (mean > -200.0)
    for largest_mm2, (low, high) in ((FATTY_MM2, FATTY_HU), (SPONGY_MM2, SPONGY_HU)):
        is_marrow |= (area <= largest_mm2) & (mean > low) & (mean < high)
    is_marrow &= ~touches_sides(labels, count)
    is_marrow[0] = False
    return is_marrow[labels]


def midline_column(coarse: Coarse, bone: BoolArray, planes: slice) -> float:
    """Column (left-right index) of the spine: where most bone lies above another within `planes`.

    Falls back on the middle of the array where there is no bone.
    """
    profile = bone[planes].sum(axis=(0, 1)).astype(float)
    if not profile.any():
        return (bone.shape[2] - 1) / 2
    width = max(1, round(30.0 / coarse.spacing_mm[2]))
    smooth = np.convolve(np.pad(profile, width), np.hanning(2 * width + 1), mode="valid")
    return float(np.argmax(smooth))
