"""The patient's midline from an image alone, for naming sides where no outline of the body is drawn."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume

__all__ = ["midline_of_image_mm"]

BoolArray = NDArray[np.bool_]

BODY_HU = -300.0
"""Between air and fat, far from both."""

BODY_SHARE = 0.1
"""In other images the body is brighter than this share of the 99th percentile above the darkest value."""

HOUNSFIELD = "[hnsf'U]"

MOST_VOXELS_A_SIDE = 128
"""Finer voxels are skipped: the midline needs millimetres, not tenths."""

FEWEST_SLABS = 3
"""Slabs across the patient that must show air on both sides."""


def midline_of_image_mm(volume: Volume) -> float | None:
    """Middle, as x in LPS mm, of the largest bright part of an image, its slabs' holes filled; +x is the left.

    Only slabs across the patient in which the part ends before the border of the image on both sides count.

    Returns
    -------
    float or None
        None where fewer than three slabs show both sides, as in an image cropped around an organ.
    """
    steps = [max(1, -(-size // MOST_VOXELS_A_SIDE)) for size in volume.array.shape]
    values = volume.array[tuple(slice(None, None, step) for step in steps)].astype(np.float32)
    body = _largest_part(values > _threshold(values, volume.unit))
    directions = volume.affine_lps[:3, :3] / np.linalg.norm(volume.affine_lps[:3, :3], axis=0)
    sideways = int(np.abs(directions[0]).argmax())
    others = [axis for axis in range(3) if axis != sideways]
    upwards = max(others, key=lambda axis: float(abs(directions[2, axis])))
    slabs = np.moveaxis(body, (upwards, sideways), (0, 2))
    filled = np.array([ndimage.binary_fill_holes(slab) for slab in slabs], dtype=np.bool_).reshape(slabs.shape)
    is_whole = filled.any(axis=(1, 2)) & ~filled[:, :, 0].any(axis=1) & ~filled[:, :, -1].any(axis=1)
    if int(is_whole.sum()) < FEWEST_SLABS:
        return None
    filled[~is_whole] = False
    index = np.argwhere(np.moveaxis(filled, (0, 2), (upwards, sideways))) * steps
    return float((index.mean(axis=0) @ volume.affine_lps[:3, :3].T + volume.affine_lps[:3, 3])[0])


def _threshold(values: NDArray[np.float32], unit: str) -> float:
    if unit == HOUNSFIELD:
        return BODY_HU
    darkest = float(values.min())
    return darkest + BODY_SHARE * (float(np.percentile(values, 99)) - darkest)


def _largest_part(mask: BoolArray) -> BoolArray:
    labels, count = ndimage.label(mask)
    return mask if count <= 1 else np.asarray(labels == 1 + int(np.bincount(labels.ravel())[1:].argmax()))
