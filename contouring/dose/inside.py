"""Whether points lie inside a structure: the sub-voxels of its solid as a grid that can be asked."""

import numpy as np
from numpy.typing import NDArray

from contouring.dose.solid import Caps, Steps, sub_voxels
from contouring.dose.structure import PlanarStructure

__all__ = ["OrganMask"]

FloatArray = NDArray[np.float64]


class OrganMask:
    """The solid of a structure, sampled; a point is inside where half or more of its sub-voxel is.

    Parameters
    ----------
    structure
        The structure.
    steps
        Size of the sub-voxels, which is how exact the answer is.
    caps
        How the structure ends.
    """

    def __init__(self, structure: PlanarStructure, steps: Steps, caps: Caps = "half") -> None:
        voxels = sub_voxels(structure, steps, caps=caps)
        self.axes = voxels.axes
        own = voxels.points_lps @ voxels.axes.T
        # Layers are few and far apart compared with rounding.
        heights, layer = np.unique(np.round(own[:, 2], 6), return_inverse=True)
        thickness = np.zeros(len(heights))
        thickness[layer] = voxels.sizes_mm[:, 1]
        self.lower_mm, self.upper_mm = heights - thickness / 2, heights + thickness / 2
        self.side_mm = float(voxels.sizes_mm[0, 0])
        self.first_mm = own[:, :2].min(axis=0)
        pixel = np.rint((own[:, :2] - self.first_mm) / self.side_mm).astype(np.intp)
        columns, rows = (pixel.max(axis=0) + 1).tolist()
        self.mask = np.zeros((len(heights), rows, columns), dtype=np.bool_)
        self.mask[layer, pixel[:, 1], pixel[:, 0]] = voxels.coverage >= 0.5

    def contains(self, points_lps: FloatArray) -> NDArray[np.bool_]:
        """Whether each point, shape (N, 3), lies inside."""
        own = points_lps @ self.axes.T
        column, row = np.rint((own[:, :2] - self.first_mm) / self.side_mm).astype(np.intp).T
        layer = np.clip(np.searchsorted(self.upper_mm, own[:, 2]), 0, len(self.upper_mm) - 1)
        _, rows, columns = self.mask.shape
        fits = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        fits &= (own[:, 2] >= self.lower_mm[layer]) & (own[:, 2] <= self.upper_mm[layer])
        found = np.zeros(len(own), dtype=np.bool_)
        found[fits] = self.mask[layer[fits], row[fits], column[fits]]
        return found
