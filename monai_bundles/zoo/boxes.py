"""The one door between the boxes that networks give and patient space, and the lesion inside a box.

A detector's box is (x, y, z, x, y, z) in voxels of the preprocessed image, counted from the centre of its first voxel.
Some bundles turn it to centre and size in RAS millimetres themselves; that is exact only where the image's axes are the
patient's, so radgate takes the voxels wherever it can.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from imaging.ras import flip_lps_ras
from imaging.volume import Region, Volume
from monai_bundles.bundle import Box

__all__ = ["box_from_voxels", "box_from_world_ras", "lesion_in_box", "voxels_in_box"]

AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

LEAST_CONTRAST = 1e-6


def box_from_voxels(corners: ArrayLike, affine_ras: NDArray[np.float64]) -> Box:
    """A box (x, y, z, x, y, z) in voxels of an image with this affine; oblique where the image is."""
    values = np.asarray(corners, dtype=np.float64).reshape(2, 3)
    low, high = values.min(axis=0), values.max(axis=0)
    linear = affine_ras[:3, :3]
    spacing = np.linalg.norm(linear, axis=0)
    centre = linear @ ((low + high) / 2) + affine_ras[:3, 3]
    directions = flip_lps_ras((linear / spacing).T)
    return Box(
        centre_lps=_triple(flip_lps_ras(centre[None])[0]),
        size_mm=_triple((high - low) * spacing),
        directions=tuple(_triple(d) for d in directions),
    )


def box_from_world_ras(centre_size: ArrayLike) -> Box:
    """A box (centre x, y, z, size x, y, z) in RAS millimetres, along the patient's axes."""
    values = np.asarray(centre_size, dtype=np.float64)
    return Box(_triple(flip_lps_ras(values[None, :3])[0]), _triple(np.abs(values[3:6])), AXES)


def voxels_in_box(box: Box, volume: Volume) -> tuple[tuple[slice, slice, slice], NDArray[np.bool_]]:
    """The part of the volume around a box, and which of its voxels have their centre inside."""
    directions = np.array(box.directions)
    half = np.array(box.size_mm) / 2
    signs = np.array(np.meshgrid((-1, 1), (-1, 1), (-1, 1), indexing="ij")).reshape(3, -1).T
    corners = np.array(box.centre_lps) + (signs * half) @ directions
    to_index = np.linalg.inv(volume.affine_lps)
    indices = corners @ to_index[:3, :3].T + to_index[:3, 3]
    low = np.clip(np.floor(indices.min(axis=0)).astype(int), 0, volume.array.shape)
    high = np.clip(np.ceil(indices.max(axis=0)).astype(int) + 1, 0, volume.array.shape)
    part = tuple(slice(int(a), max(int(a), int(b))) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in part), indexing="ij"), axis=-1)
    points = grid @ volume.affine_lps[:3, :3].T + volume.affine_lps[:3, 3] - np.array(box.centre_lps)
    inside = (np.abs(points @ directions.T) <= half + 1e-6).all(axis=-1)
    return (part[0], part[1], part[2]), inside


def lesion_in_box(box: Box, volume: Volume) -> Region | None:
    """The voxels of what a box stands around: the part about its centre that differs from the box's rim.

    The limit lies half-way between the middle of the box and its rim (for a nodule in the lung about half-way between
    soft tissue and lung). Without a difference all of the box is taken; a box beside the volume gives None.
    """
    part, inside = voxels_in_box(box, volume)
    if not inside.any():
        return None
    values = np.asarray(volume.array[part], dtype=np.float32)
    shares = _distance_from_centre(box, volume, part)
    middle, rim = inside & (shares <= 0.34), inside & (shares >= 0.9)
    middle = middle if middle.any() else inside & (shares == shares[inside].min())
    lesion = inside
    if rim.any():
        at_middle, at_rim = float(np.median(values[middle])), float(np.median(values[rim]))
        if abs(at_middle - at_rim) > LEAST_CONTRAST:
            limit = (at_middle + at_rim) / 2
            bright = values >= limit if at_middle > at_rim else values <= limit
            labels, _ = ndimage.label(bright & inside)
            own = np.bincount(labels[middle], minlength=1)
            own[0] = 0
            if own.any():
                lesion = ndimage.binary_fill_holes(labels == own.argmax()) & inside
    full = np.zeros(volume.array.shape, dtype=bool)
    full[part] = lesion
    return Region.from_mask(full)


def _distance_from_centre(box: Box, volume: Volume, part: Sequence[slice]) -> NDArray[np.float64]:
    """For each voxel the largest share of the way from the box's centre to its sides."""
    grid = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in part), indexing="ij"), axis=-1)
    points = grid @ volume.affine_lps[:3, :3].T + volume.affine_lps[:3, 3] - np.array(box.centre_lps)
    half = np.maximum(np.array(box.size_mm) / 2, 1e-6)
    shares: NDArray[np.float64] = (np.abs(points @ np.array(box.directions).T) / half).max(axis=-1)
    return shares


def _triple(values: ArrayLike) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in np.asarray(values, dtype=np.float64))
    return x, y, z
