"""The one door between DICOM's patient frame (LPS: left, posterior, superior) and NIfTI's (RAS: right, anterior)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imaging.geometry import Grid

__all__ = ["affine_ras", "flip_lps_ras"]

FLIP = np.array([-1.0, -1.0, 1.0])


def affine_ras(grid: Grid) -> NDArray[np.float64]:
    """4x4 matrix from voxel index (i, j, k, 1) to RAS mm, as NIfTI wants it: column index first, plane last.

    The array that belongs to it is the volume's array transposed to (X, Y, Z).

    Raises
    ------
    MissingSlices
        The planes are not evenly spaced.
    GantryTilt
        The planes are shifted against each other.
    """
    lps = grid.affine_lps
    affine = lps[:, [2, 1, 0, 3]].copy()
    affine[:3] *= FLIP[:, None]
    return affine


def flip_lps_ras(points: ArrayLike) -> NDArray[np.float64]:
    """Points (N, 3) in LPS as RAS, or in RAS as LPS: both ways are the same flip of x and y."""
    return np.asarray(points, dtype=np.float64) * FLIP
