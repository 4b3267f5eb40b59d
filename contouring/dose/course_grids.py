"""Sums of doses that lie on one grid already: physical, and EQD2 made when it is asked for and never kept.

A grid of 512 x 512 x 300 voxels takes 0.3 GB, and there is one EQD2 for each alpha/beta.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from contouring.dose.accumulate import MappedDose, known_course
from contouring.dose.radiobiology import eqd2
from contouring.dose.resample import GridSum, facts_of_sum
from contouring.dose.volume import DoseVolume

__all__ = ["Eqd2Grids", "sum_of_grids"]


def sum_of_grids(
    doses: Sequence[MappedDose], courses: Sequence[GridSum], alpha_beta_gy: float | None = None
) -> GridSum:
    """Physical sum, or EQD2 for one alpha/beta, of doses that are known on one grid.

    Parameters
    ----------
    doses
        The doses, for their courses.
    courses
        Each of them on the grid.
    alpha_beta_gy
        None for the physical sum.

    Raises
    ------
    FractionCountUnknown
        EQD2 is asked for and a course is not known.
    """
    given = [None if alpha_beta_gy is None else known_course(m) for m in doses]
    grid = courses[0].volume.grid
    total = np.zeros(grid.shape, dtype=np.float32)
    known = np.ones(grid.shape, dtype=np.bool_)
    for found, course in zip(courses, given, strict=True):
        known &= found.is_known
        for plane, values in zip(total, found.volume.dose_gy, strict=True):
            if course is not None and alpha_beta_gy is not None:
                effect = (1 - course.recovery) * eqd2(values, course.fractions, alpha_beta_gy)
                plane += effect.astype(np.float32)
            else:
                plane += values
    return GridSum(DoseVolume(total, grid, facts_of_sum(doses, alpha_beta_gy)), known)


@dataclass(frozen=True, eq=False)
class Eqd2Grids(Mapping[float, GridSum]):
    """EQD2 of a sum by alpha/beta in Gy.

    Parameters
    ----------
    doses, courses
        See `sum_of_grids`.
    ratios
        Each alpha/beta that there is, ascending.
    """

    doses: tuple[MappedDose, ...]
    courses: tuple[GridSum, ...]
    ratios: tuple[float, ...]

    def __getitem__(self, ratio: float) -> GridSum:
        """The EQD2 of one alpha/beta, made anew.

        Raises
        ------
        KeyError
            It is none of them.
        """
        if ratio not in self.ratios:
            raise KeyError(ratio)
        return sum_of_grids(self.doses, self.courses, ratio)

    def __iter__(self) -> Iterator[float]:
        """Each alpha/beta."""
        return iter(self.ratios)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.ratios)
