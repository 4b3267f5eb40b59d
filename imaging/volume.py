"""The value types that every package speaks: Volume (an image), Region (a structure's voxels), and their source."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid

__all__ = ["Region", "SourceInstance", "Volume"]


@dataclass(frozen=True)
class SourceInstance:
    """One plane's origin: the instance, and the frame (from 1) where the instance is multi-frame."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    frame_number: int | None = None


@dataclass(frozen=True, eq=False)
class Volume:
    """One image on an even, unsheared grid.

    Parameters
    ----------
    array
        Shape (Z, Y, X), in the order of the grid's planes, rows and columns.
    grid
        Where the voxel centres are; `grid.affine_lps` maps (k, j, i, 1) to LPS mm.
    sources
        The instance behind each plane, in the same order; empty for an image that radgate computed.
    unit
        UCUM code of the values: "[hnsf'U]" for CT, "1" where the scale is arbitrary.
    """

    array: NDArray[Any]
    grid: Grid
    sources: tuple[SourceInstance, ...] = ()
    unit: str = "1"

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise ValueError(f"array of shape {self.array.shape} on a grid of shape {self.grid.shape}")
        if self.sources and len(self.sources) != len(self.array):
            raise ValueError(f"{len(self.sources)} sources for {len(self.array)} planes")
        _ = self.affine_lps

    @property
    def affine_lps(self) -> NDArray[np.float64]:
        """4x4 matrix from (k, j, i, 1) to LPS mm."""
        return self.grid.affine_lps

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(between planes, between rows, between columns)."""
        return self.grid.spacing_mm

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame that the coordinates refer to."""
        return self.grid.frame_of_reference_uid


@dataclass(frozen=True, eq=False)
class Region:
    """The voxels of one structure, kept as the crop of a larger grid to its bounding box.

    Parameters
    ----------
    crop
        Boolean, shape (z, y, x) of the box.
    start
        Index (k, j, i) of the box's first voxel in the full grid.
    shape
        Shape of the full grid.
    probability
        Model's probability over the same box, 0 to 1, where there is one.
    """

    crop: NDArray[np.bool_]
    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    probability: NDArray[np.floating[Any]] | None = None

    def __post_init__(self) -> None:
        if self.crop.dtype != np.bool_ or self.crop.ndim != 3:
            raise ValueError("crop needs to be a three-dimensional boolean array")
        if any(s < 0 or s + n > full for s, n, full in zip(self.start, self.crop.shape, self.shape, strict=True)):
            raise ValueError(f"box at {self.start} of {self.crop.shape} does not fit into {self.shape}")
        if self.probability is not None and self.probability.shape != self.crop.shape:
            raise ValueError("probability and crop differ in shape")

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_], probability: NDArray[Any] | None = None) -> "Region":
        """The region of a full mask (Z, Y, X); of an empty mask, an empty box."""
        box: list[slice] = []
        for axis in range(3):
            hits = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            box.append(slice(int(hits[0]), int(hits[-1]) + 1) if len(hits) else slice(0, 0))
        part = tuple(box)
        return cls(
            crop=np.ascontiguousarray(mask[part]),
            start=(box[0].start, box[1].start, box[2].start),
            shape=(mask.shape[0], mask.shape[1], mask.shape[2]),
            probability=None if probability is None else np.ascontiguousarray(probability[part]),
        )

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Slices of the box in the full grid."""
        k, j, i = (slice(s, s + n) for s, n in zip(self.start, self.crop.shape, strict=True))
        return (k, j, i)

    @property
    def voxel_count(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.crop))

    def mask(self) -> NDArray[np.bool_]:
        """The full boolean array."""
        full = np.zeros(self.shape, dtype=np.bool_)
        full[self.box] = self.crop
        return full
