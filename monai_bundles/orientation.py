"""From a volume's own axes to superior, posterior, left and back: a view of the same voxels, nothing is resampled.

This is the one door between the grid's axis order and the order that bundles of this package think in: axis 0 grows to
superior, axis 1 to posterior, axis 2 to the patient's left (MONAI calls it "SPL").
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Anatomical", "anatomical_axes"]

TOWARDS_LPS = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
"""Superior, posterior and left as unit vectors of LPS, in the order of the anatomical axes."""


@dataclass(frozen=True)
class Anatomical:
    """How to look at an array of a grid so that its axes point (nearly) to superior, posterior and left.

    Parameters
    ----------
    order
        Axis of the source array behind each anatomical axis.
    flipped
        Whether the index of that source axis grows the other way.
    spacing_mm
        Distance of voxel centres along the anatomical axes.
    """

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    spacing_mm: tuple[float, float, float]

    def view(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array seen along the anatomical axes, without a copy."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return array.transpose(self.order)[steps]

    def back(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array on anatomical axes seen along the source axes again; the inverse of `view`."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return array[steps].transpose(np.argsort(self.order))

    def region(
        self,
        crop: NDArray[np.bool_],
        start: tuple[int, int, int],
        shape: tuple[int, int, int],
        probability: NDArray[np.floating[Any]] | None = None,
    ) -> Region:
        """The region of the source grid of a crop on anatomical axes; `start` and `shape` are anatomical too."""
        begins = [
            full - first - size if flip else first
            for first, size, full, flip in zip(start, crop.shape, shape, self.flipped, strict=True)
        ]
        inverse = np.argsort(self.order)
        return Region(
            crop=np.ascontiguousarray(self.back(crop)),
            start=(begins[inverse[0]], begins[inverse[1]], begins[inverse[2]]),
            shape=(shape[inverse[0]], shape[inverse[1]], shape[inverse[2]]),
            probability=None if probability is None else np.ascontiguousarray(self.back(probability)),
        )


def anatomical_axes(grid: Grid) -> Anatomical:
    """The assignment of array axes to superior, posterior and left that agrees best with the grid's directions."""
    affine = grid.affine_lps[:3, :3]
    spacing = np.linalg.norm(affine, axis=0)
    agreement = TOWARDS_LPS @ (affine / spacing)
    best = max(permutations(range(3)), key=lambda order: sum(abs(agreement[i, axis]) for i, axis in enumerate(order)))
    flipped = [bool(agreement[i, axis] < 0) for i, axis in enumerate(best)]
    return Anatomical(
        order=(best[0], best[1], best[2]),
        flipped=(flipped[0], flipped[1], flipped[2]),
        spacing_mm=(float(spacing[best[0]]), float(spacing[best[1]]), float(spacing[best[2]])),
    )
