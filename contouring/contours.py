"""Contours in patient space, many at once, as a structure set holds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["AREA_TYPES", "Contours"]

FloatArray = NDArray[np.float64]

AREA_TYPES = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})


@dataclass(frozen=True, eq=False)
class Contours:
    """The contours of one ROI.

    Parameters
    ----------
    points_lps
        Points of all contours in drawing order, shape (M, 3), mm, patient LPS.
    starts
        Index of each contour's first point, and M at the end, shape (C + 1,).
    types
        ContourGeometricType of each.
    referenced_uids
        SOP instance that each names, "" where it names none.
    referenced_frames
        Frame of a multi-frame instance (from 1), 0 where none is named.
    """

    points_lps: FloatArray
    starts: NDArray[np.intp]
    types: tuple[str, ...]
    referenced_uids: tuple[str, ...]
    referenced_frames: tuple[int, ...]

    @classmethod
    def of(cls, polygons: Sequence[FloatArray], geometric_type: str = "CLOSED_PLANAR") -> "Contours":
        """Contours without references, from one (N, 3) array each."""
        parts = [np.asarray(p, dtype=np.float64).reshape(-1, 3) for p in polygons]
        starts = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.intp)
        points = np.concatenate(parts) if parts else np.empty((0, 3))
        number = len(parts)
        return cls(points, starts, (geometric_type,) * number, ("",) * number, (0,) * number)

    def __len__(self) -> int:
        return len(self.types)

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """Number of points of each contour."""
        return np.diff(self.starts)

    @cached_property
    def encloses_area(self) -> NDArray[np.bool_]:
        """Which contours are closed and have at least three different points."""
        closed = np.array([t in AREA_TYPES for t in self.types], dtype=np.bool_) & (self.counts >= 3)
        first = self.starts[:-1][closed]
        a, b, c = (self.points_lps[first + n] for n in range(3))
        repeats = ((a == b).all(axis=1)) | ((b == c).all(axis=1)) | ((a == c).all(axis=1))
        for n in np.flatnonzero(closed)[repeats]:
            closed[n] = len(np.unique(self.polygon(int(n)), axis=0)) >= 3
        return closed

    def polygon(self, number: int) -> FloatArray:
        """Points of one contour, shape (N, 3)."""
        return self.points_lps[self.starts[number] : self.starts[number + 1]]

    def selected(self, keep: NDArray[np.bool_]) -> "Contours":
        """Some of the contours, in the same order."""
        if keep.all():
            return self
        chosen = np.flatnonzero(keep)
        points = np.repeat(keep, self.counts)
        return Contours(
            self.points_lps[points],
            np.concatenate([[0], np.cumsum(self.counts[chosen])]).astype(np.intp),
            tuple(self.types[n] for n in chosen),
            tuple(self.referenced_uids[n] for n in chosen),
            tuple(self.referenced_frames[n] for n in chosen),
        )
