"""Whether points lie inside a structure: the sub-voxels of its solid as a grid that can be asked."""

import numpy as np
from numpy.typing import NDArray

from contouring.dose.places import turned
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
        places = voxels.places
        self.side_mm, thickness = voxels.sizes_mm
        # The lower cap runs downwards.
        rank = np.argsort(np.argsort(places.layers_mm, kind="stable"), kind="stable")
        layer = np.repeat(rank, places.counts)
        across = np.zeros(len(places.counts))
        across[layer] = thickness
        heights = np.sort(places.layers_mm)
        self.lower_mm, self.upper_mm = heights - across / 2, heights + across / 2
        self.first_mm = np.array([places.x_mm[0], places.y_mm[0]])
        self.mask = np.zeros((len(across), len(places.y_mm), len(places.x_mm)), dtype=np.bool_)
        self.mask.reshape(len(across), -1)[layer, places.at] = voxels.coverage >= 0.5

    def contains(self, points_lps: FloatArray) -> NDArray[np.bool_]:
        """Whether each point, shape (N, 3), lies inside."""
        own = turned(points_lps, self.axes.T)
        column, row = np.rint((own[:, :2] - self.first_mm) / self.side_mm).astype(np.intp).T
        layer = np.clip(np.searchsorted(self.upper_mm, own[:, 2]), 0, len(self.upper_mm) - 1)
        _, rows, columns = self.mask.shape
        fits = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        fits &= (own[:, 2] >= self.lower_mm[layer]) & (own[:, 2] <= self.upper_mm[layer])
        found = np.zeros(len(own), dtype=np.bool_)
        found[fits] = self.mask[layer[fits], row[fits], column[fits]]
        return found
