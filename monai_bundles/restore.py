"""From a network's grid back to the source's voxels: interpolation of one structure within its box only."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Region

__all__ = ["GridMap", "grid_map", "restore", "snapped"]

FloatArray = NDArray[np.float64]

ALIGNED_TOLERANCE = 1e-4
"""Largest off-axis entry, in voxels per voxel, of a map that counts as axis by axis: a hundredth of a voxel in 100."""

MARGIN_VOXELS = 1.5
"""Box around a structure, in voxels of the network: beyond it nothing can be above the threshold."""


@dataclass(frozen=True, eq=False)
class GridMap:
    """Affine map from source indices (k, j, i) to indices of the network's array."""

    matrix: FloatArray
    offset: FloatArray

    @property
    def order(self) -> tuple[int, int, int] | None:
        """Axis of the network's array along each source axis, where the map goes axis by axis; else None."""
        best = np.abs(self.matrix).argmax(axis=0)
        if len(set(best.tolist())) < 3:
            return None
        rest = self.matrix.copy()
        rest[best, np.arange(3)] = 0.0
        return (int(best[0]), int(best[1]), int(best[2])) if np.abs(rest).max() < ALIGNED_TOLERANCE else None


def grid_map(source_affine: FloatArray, network_affine: FloatArray) -> GridMap:
    """The map between two arrays by their 4x4 affines (both from index to the same patient coordinates)."""
    joined = np.linalg.inv(network_affine) @ source_affine
    return GridMap(matrix=joined[:3, :3], offset=joined[:3, 3])


def snapped(mapping: GridMap) -> GridMap:
    """The map without the last bits of its arithmetic, which would put the outermost voxels outside the array."""
    return GridMap(matrix=np.round(mapping.matrix, 7) + 0.0, offset=np.round(mapping.offset, 5) + 0.0)


def restore(
    probability: NDArray[np.float32], mapping: GridMap, shape: tuple[int, int, int], threshold: float, order: int = 3
) -> Region | None:
    """The structure on the source grid, with its probability in the box; None where nothing reaches the threshold.

    Parameters
    ----------
    probability
        On the network's grid.
    mapping
        From source indices to the network's.
    shape
        Of the source grid.
    threshold
        A voxel belongs to the structure from here on.
    order
        1 linear, 3 cubic.
    """
    hits = np.argwhere(probability >= threshold)
    if not len(hits):
        return None
    low, high = hits.min(axis=0) - MARGIN_VOXELS, hits.max(axis=0) + MARGIN_VOXELS
    corners = np.array(list(product(*zip(low, high, strict=True)))) - mapping.offset
    in_source = corners @ np.linalg.inv(mapping.matrix).T
    start = np.clip(np.floor(in_source.min(axis=0)).astype(int), 0, shape)
    stop = np.clip(np.ceil(in_source.max(axis=0)).astype(int) + 1, 0, shape)
    if (stop <= start).any():
        return None
    # Interpolate from a crop of the network's array: the spline filter then runs over little.
    first = np.clip(np.floor(low).astype(int) - 8, 0, None)
    crop = probability[tuple(slice(int(a), int(b) + 10) for a, b in zip(first, np.ceil(high), strict=True))]
    offset = mapping.matrix @ start + mapping.offset - first
    values = _interpolated(crop, mapping, offset, (stop - start).tolist(), order)
    inside = values >= threshold
    if not inside.any():
        return None
    tight = Region.from_mask(inside)
    # One voxel of margin, so that a contour can run between the outermost voxels and their neighbours.
    box_low = np.maximum(np.array(tight.start) - 1, 0)
    box_high = np.minimum(np.array(tight.start) + tight.crop.shape + 1, inside.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(box_low, box_high, strict=True))
    begin = (start + box_low).tolist()
    return Region(
        crop=np.ascontiguousarray(inside[box]),
        start=(begin[0], begin[1], begin[2]),
        shape=shape,
        probability=values[box].astype(np.float16),
    )


def _interpolated(
    crop: NDArray[np.float32], mapping: GridMap, offset: FloatArray, size: list[int], order: int
) -> NDArray[np.float32]:
    """Values at the source's voxel centres, 0 to 1; axis by axis where the map allows it, which is much faster."""
    axes = mapping.order
    if axes is None:
        values = ndimage.affine_transform(
            crop, mapping.matrix, offset, output_shape=tuple(size), order=order, mode="nearest", output=np.float32
        )
    else:
        turned = crop.transpose(axes)
        steps = np.array([mapping.matrix[axes[a], a] for a in range(3)])
        begins = offset[list(axes)]
        if np.allclose(steps, np.round(steps), atol=ALIGNED_TOLERANCE) and np.allclose(
            begins, np.round(begins), atol=ALIGNED_TOLERANCE
        ):
            # The same voxels in another order: take them as they are.
            order, steps, begins = 0, np.round(steps), np.round(begins)
        values = ndimage.affine_transform(
            turned, steps, begins, output_shape=tuple(size), order=order, mode="nearest", output=np.float32
        )
    return np.clip(values, 0.0, 1.0)
