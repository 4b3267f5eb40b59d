"""Organs that the caller handed in, and the CT numbers in them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Region
from qc.image.inputs import Inputs

__all__ = ["inner_values", "organ"]

FEWEST_VOXELS = 100


def organ(inputs: Inputs, *names: str) -> Region | None:
    """The first of the named organs that was handed in on the grid of the volume and is not empty."""
    for name in names:
        region = inputs.masks.get(name)
        if region is None or inputs.volume is None or region.shape != inputs.volume.array.shape:
            continue
        if region.voxel_count:
            return region
    return None


def inner_values(inputs: Inputs, *names: str) -> NDArray[np.float64] | None:
    """Values of an organ without its outermost voxels; None where it was not handed in or is too small."""
    region = organ(inputs, *names)
    if region is None or inputs.volume is None:
        return None
    inner = ndimage.binary_erosion(region.crop, np.ones((1, 3, 3), dtype=np.bool_))
    values = inputs.volume.array[region.box][inner]
    return values.astype(np.float64) if len(values) >= FEWEST_VOXELS else None
