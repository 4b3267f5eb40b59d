"""Values and regions of one image at the voxel centres of another, by the frame of reference that they share."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.geometry import Grid
from imaging.volume import Region, Volume
from monai_bundles.errors import MissingSeries
from monai_bundles.restore import grid_map, snapped

__all__ = ["on_grid_of", "region_on"]

MARGIN_VOXELS = 2
"""Around a region, so that its distance map has an outside."""


def on_grid_of(image: Volume, reference: Volume, outside: float | None = None) -> NDArray[np.float32]:
    """An image's values at the voxel centres of another, by linear interpolation in their common frame of reference.

    Parameters
    ----------
    outside
        Value where the image does not reach; None takes its smallest value.

    Raises
    ------
    MissingSeries
        The two lie in different frames of reference.
    """
    if image.frame_of_reference_uid != reference.frame_of_reference_uid:
        raise MissingSeries(
            "Two series that the bundle needs together lie in different frames of reference; register them first.",
        )
    mapping = snapped(grid_map(reference.affine_lps, image.affine_lps))
    lowest = float(image.array.min()) if outside is None else outside
    return ndimage.affine_transform(
        np.asarray(image.array, dtype=np.float32),
        mapping.matrix,
        mapping.offset,
        output_shape=reference.array.shape,
        order=1,
        mode="constant",
        cval=lowest,
        output=np.float32,
    )


def region_on(region: Region, own: Grid, other: Grid) -> Region | None:
    """A region on the voxels of another grid; None where none of its voxels has its centre inside.

    The signed distance to the region's border is interpolated, so that a coarser or turned grid does not leave steps.

    Raises
    ------
    MissingSeries
        The two lie in different frames of reference.
    """
    if own.frame_of_reference_uid != other.frame_of_reference_uid:
        raise MissingSeries(
            "The series that a contour is to be carried to lies in another frame of reference; register it first.",
        )
    tight = Region.from_mask(region.crop)
    start = np.array(region.start) + tight.start
    inside = np.pad(tight.crop, MARGIN_VOXELS)
    start = start - MARGIN_VOXELS
    distance = ndimage.distance_transform_edt(inside, own.spacing_mm) - ndimage.distance_transform_edt(
        ~inside, own.spacing_mm
    )
    mapping = snapped(grid_map(other.affine_lps, own.affine_lps))
    corners = np.stack(np.meshgrid(*((0, n - 1) for n in inside.shape), indexing="ij"), -1).reshape(-1, 3) + start
    in_other = (corners - mapping.offset) @ np.linalg.inv(mapping.matrix).T
    low = np.clip(np.floor(in_other.min(axis=0)).astype(int), 0, other.shape)
    high = np.clip(np.ceil(in_other.max(axis=0)).astype(int) + 1, 0, other.shape)
    if (high <= low).any():
        return None
    values = ndimage.affine_transform(
        distance.astype(np.float32),
        mapping.matrix,
        mapping.matrix @ low + mapping.offset - start,
        output_shape=tuple(int(n) for n in high - low),
        order=1,
        mode="constant",
        cval=-1.0,
    )
    full = np.zeros(other.shape, dtype=bool)
    full[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))] = values > 0
    carried = Region.from_mask(full)
    return carried if carried.voxel_count else None
