"""A CT at about 2.5 mm for decisions about shape, and the way back to the CT's own voxels at the borders.

All masks of this package are decided on block means, which are small and quiet; only the last step, `refine`, looks at
single voxels, and only between what is certainly inside and what can be inside at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coarse", "block_means", "refine"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Coarse:
    """Block means of a CT on anatomical axes.

    Parameters
    ----------
    hu
        Means, float32; axes superior, posterior, left.
    spacing_mm
        Block sizes in mm.
    factors
        Fine voxels per block along each axis; the last block of an axis may be smaller.
    fine
        The CT's own voxels in HU, on the same axes (a view).
    """

    hu: NDArray[np.float32]
    spacing_mm: tuple[float, float, float]
    factors: tuple[int, int, int]
    fine: NDArray[Any]

    @property
    def voxel_cc(self) -> float:
        """Volume of one block."""
        return self.spacing_mm[0] * self.spacing_mm[1] * self.spacing_mm[2] / 1000.0

    @property
    def pixel_mm2(self) -> float:
        """Area of one block within its plane."""
        return self.spacing_mm[1] * self.spacing_mm[2]


def block_means(fine: NDArray[Any], spacing_mm: tuple[float, float, float], target_mm: float) -> Coarse:
    """Means over blocks of about `target_mm` a side; axes already coarser than that are kept as they are."""
    factors = tuple(max(1, round(target_mm / s)) for s in spacing_mm)
    shape = tuple(-(-n // f) for n, f in zip(fine.shape, factors, strict=True))
    hu = np.zeros(shape, dtype=np.float32)
    padding = [(0, shape[axis] * factors[axis] - fine.shape[axis]) for axis in (1, 2)]
    for block in range(shape[0]):
        planes = fine[block * factors[0] : (block + 1) * factors[0]]
        for plane in planes:
            padded = np.pad(plane, padding, mode="edge") if any(p[1] for p in padding) else plane
            for row in range(factors[1]):
                for column in range(factors[2]):
                    hu[block] += padded[row :: factors[1], column :: factors[2]]
        hu[block] /= len(planes) * factors[1] * factors[2]
    return Coarse(
        hu=hu,
        spacing_mm=(spacing_mm[0] * factors[0], spacing_mm[1] * factors[1], spacing_mm[2] * factors[2]),
        factors=(factors[0], factors[1], factors[2]),
        fine=fine,
    )


def refine(
    coarse: Coarse,
    certain: BoolArray,
    possible: BoolArray,
    is_inside: Callable[[NDArray[Any]], BoolArray],
) -> tuple[BoolArray, tuple[int, int, int]]:
    """A mask on the CT's own voxels: all of `certain`, and of the rest of `possible` what `is_inside` says.

    Returns
    -------
    crop, start
        The mask within the fine box of `possible | certain`, and that box's first index.
    """
    either = possible | certain
    low, high = [], []
    for axis in range(3):
        hits = np.flatnonzero(either.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(hits):
            return np.zeros((0, 0, 0), dtype=bool), (0, 0, 0)
        low.append(int(hits[0]))
        high.append(int(hits[-1]) + 1)
    start = tuple(a * f for a, f in zip(low, coarse.factors, strict=True))
    stop = tuple(min(b * f, n) for b, f, n in zip(high, coarse.factors, coarse.fine.shape, strict=True))
    crop = np.zeros([b - a for a, b in zip(start, stop, strict=True)], dtype=bool)
    rows, columns = crop.shape[1:]
    for block in range(low[0], high[0]):
        box = (block, slice(low[1], high[1]), slice(low[2], high[2]))
        sure, open_question = (
            part[box].repeat(coarse.factors[1], axis=0).repeat(coarse.factors[2], axis=1)[:rows, :columns]
            for part in (certain, possible)
        )
        for plane in range(block * coarse.factors[0], min((block + 1) * coarse.factors[0], stop[0])):
            inside = is_inside(coarse.fine[plane, start[1] : stop[1], start[2] : stop[2]])
            inside &= open_question
            inside |= sure
            crop[plane - start[0]] = inside
    return crop, (start[0], start[1], start[2])
