"""Closed rings in index space, many at once: the form in which contours are traced and rasterised."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rings"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Rings:
    """Closed polygons on the planes of a grid, as flat arrays.

    Parameters
    ----------
    columns_rows
        Vertices (column index u, row index w), shape (M, 2), ring after ring; the last vertex of a ring joins its
        first. A pixel centre has integer (u, w).
    starts
        Index of each ring's first vertex, and M at the end, shape (R + 1,).
    planes
        Plane of each ring, shape (R,).
    """

    columns_rows: FloatArray
    starts: IndexArray
    planes: IndexArray

    @classmethod
    def of(cls, polygons: Iterable[FloatArray], planes: Sequence[int]) -> "Rings":
        """Rings from one (N, 2) array per polygon."""
        parts = [np.asarray(p, dtype=np.float64).reshape(-1, 2) for p in polygons]
        starts = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.intp)
        vertices = np.concatenate(parts) if parts else np.empty((0, 2))
        return cls(vertices, starts, np.asarray(planes, dtype=np.intp))

    def __len__(self) -> int:
        return len(self.planes)

    @cached_property
    def counts(self) -> IndexArray:
        """Number of vertices of each ring."""
        return np.diff(self.starts)

    @cached_property
    def vertex_planes(self) -> IndexArray:
        """Plane of each vertex."""
        return np.repeat(self.planes, self.counts)

    @cached_property
    def successors(self) -> IndexArray:
        """Index of the vertex that follows each vertex in its ring."""
        following = np.arange(1, len(self.columns_rows) + 1, dtype=np.intp)
        filled = self.counts > 0
        following[self.starts[1:][filled] - 1] = self.starts[:-1][filled]
        return following

    @cached_property
    def areas(self) -> FloatArray:
        """Signed area of each ring in pixels: positive where an edge towards larger u has the inside at larger w."""
        u, w = self.columns_rows[:, 0], self.columns_rows[:, 1]
        after = self.successors
        cross = u * w[after] - u[after] * w
        sums = np.concatenate([[0.0], np.cumsum(cross)])
        return np.asarray((sums[self.starts[1:]] - sums[self.starts[:-1]]) / 2)

    def polygon(self, ring: int) -> FloatArray:
        """Vertices of one ring, shape (N, 2)."""
        return self.columns_rows[self.starts[ring] : self.starts[ring + 1]]

    def selected(self, keep: Iterable[int] | NDArray[np.bool_]) -> "Rings":
        """Some of the rings, in the given order."""
        chosen = (
            np.flatnonzero(keep) if isinstance(keep, np.ndarray) and keep.dtype == np.bool_ else np.array([*keep], int)
        )
        return Rings.of([self.polygon(int(r)) for r in chosen], [int(self.planes[r]) for r in chosen])
