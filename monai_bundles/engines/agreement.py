"""Whether two engines give the same structures: share of equal voxels, and Dice of each structure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Agreement", "compare"]

LEAST_VOXELS, LEAST_DICE = 0.999, 0.999
"""What an engine must reach to be taken: it is another way to compute, not another network."""


@dataclass(frozen=True)
class Agreement:
    """How far an engine agrees with eager PyTorch.

    Parameters
    ----------
    voxels
        Share of voxels with equal labels in every structure.
    dice
        Smallest Dice over structures that either of the two has; 1 where none has any.
    """

    voxels: float
    dice: float

    @property
    def is_equal(self) -> bool:
        """Whether it may be taken."""
        return self.voxels >= LEAST_VOXELS and self.dice >= LEAST_DICE


def compare(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Agreement:
    """Compare masks of shape (structures, ...)."""
    equal = float((first == second).all(axis=0).mean())
    overlaps = [1.0]
    for a, b in zip(first, second, strict=True):
        total = np.count_nonzero(a) + np.count_nonzero(b)
        if total:
            overlaps.append(2.0 * np.count_nonzero(a & b) / total)
    return Agreement(equal, float(min(overlaps)))
