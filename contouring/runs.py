"""Foreground as runs along image rows: the compact form in which masks are filled and compared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.volume import Region

__all__ = ["Runs", "runs_of_region"]

IndexArray = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Runs:
    """Foreground as runs along rows, sorted, not empty, disjoint.

    Parameters
    ----------
    lines
        Row of each run, counted through all planes: plane * rows + row.
    firsts, ends
        First column, and the column after the last.
    shape
        (planes, rows, columns) of the grid.
    """

    lines: IndexArray
    firsts: IndexArray
    ends: IndexArray
    shape: tuple[int, int, int]

    @property
    def voxel_count(self) -> int:
        """Number of voxels."""
        return int((self.ends - self.firsts).sum())

    def voxels_per_plane(self) -> IndexArray:
        """Number of voxels of each plane."""
        counts = np.bincount(self.lines // self.shape[1], self.ends - self.firsts, self.shape[0])
        return counts.astype(np.intp)

    def merged(self) -> "Runs":
        """The same voxels with touching runs of a row joined, so that equal masks have equal runs."""
        if not len(self.lines):
            return self
        begins = np.ones(len(self.lines), dtype=np.bool_)
        begins[1:] = (self.lines[1:] != self.lines[:-1]) | (self.firsts[1:] != self.ends[:-1])
        last = np.concatenate([np.flatnonzero(begins)[1:] - 1, [len(self.lines) - 1]])
        return Runs(self.lines[begins], self.firsts[begins], self.ends[last], self.shape)

    def is_same_as(self, other: "Runs") -> bool:
        """Whether both hold the same voxels of the same grid."""
        a, b = self.merged(), other.merged()
        return (
            a.shape == b.shape
            and np.array_equal(a.lines, b.lines)
            and np.array_equal(a.firsts, b.firsts)
            and np.array_equal(a.ends, b.ends)
        )

    def region(self) -> Region:
        """The same voxels as a boolean crop to their bounding box."""
        if not len(self.lines):
            return Region(np.zeros((0, 0, 0), dtype=np.bool_), (0, 0, 0), self.shape)
        rows = self.shape[1]
        planes, row = self.lines // rows, self.lines % rows
        k0, j0, i0 = int(planes[0]), int(row.min()), int(self.firsts.min())
        size = (int(planes[-1]) - k0 + 1, int(row.max()) - j0 + 1, int(self.ends.max()) - i0)
        base = ((planes - k0) * size[1] + row - j0) * size[2] - i0
        keys = np.empty(2 * len(base) + 2, dtype=np.intp)
        keys[0], keys[-1] = 0, size[0] * size[1] * size[2]
        keys[1:-1:2], keys[2:-1:2] = base + self.firsts, base + self.ends
        values = np.zeros(2 * len(base) + 1, dtype=np.bool_)
        values[1::2] = True
        return Region(np.repeat(values, np.diff(keys)).reshape(size), (k0, j0, i0), self.shape)


def runs_of_region(region: Region) -> Runs:
    """The runs of a region."""
    crop = region.crop
    planes, rows, columns = crop.shape
    if not crop.size:
        nothing = np.empty(0, dtype=np.intp)
        return Runs(nothing, nothing, nothing, region.shape)
    padded = np.zeros((planes * rows, columns + 1), dtype=np.bool_)
    padded[:, :columns] = crop.reshape(planes * rows, columns)
    flat = padded.reshape(-1)
    keys = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        keys = np.concatenate([[0], keys])
    line = keys // (columns + 1)
    column = keys - line * (columns + 1) + region.start[2]
    k = line[0::2] // rows
    full_line = (k + region.start[0]) * region.shape[1] + line[0::2] - k * rows + region.start[1]
    return Runs(full_line, column[0::2], column[1::2], region.shape)
