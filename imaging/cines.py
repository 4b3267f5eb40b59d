"""Cines: one plane of the patient at several phases of the heart, with its place in the patient.

They are no `Volume`: all phases lie at one position. Which files are such cines is told by `imaging.cine_scan`.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from imaging.geometry import Grid
from imaging.planes import PlaneSeries
from imaging.volume import SourceInstance

__all__ = ["Cine", "CineSeries"]


@dataclass(frozen=True, eq=False)
class CineSeries(PlaneSeries):
    """The phases of one plane in order of their time, with their headers and without their pixels.

    Parameters
    ----------
    grid
        Of the one plane that all phases share.
    sources, files, headers, pixels
        See `PlaneSeries`; one for each phase.
    """

    grid: Grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """(phases, rows, columns)."""
        return (len(self.sources), self.grid.rows, self.grid.columns)

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame that the coordinates refer to; "" where the series names none."""
        return self.grid.frame_of_reference_uid


@dataclass(frozen=True, eq=False)
class Cine:
    """The values of a cine.

    Parameters
    ----------
    array
        Shape (phases, rows, columns), after rescaling.
    grid
        Of the one plane.
    sources
        The instance behind each phase; empty for a cine that radgate computed.
    unit
        UCUM code of the values.
    """

    array: NDArray[Any]
    grid: Grid
    sources: tuple[SourceInstance, ...] = ()
    unit: str = "1"

    def __post_init__(self) -> None:
        if self.array.ndim != 3 or (1, *self.array.shape[1:]) != self.grid.shape:
            raise ValueError(f"phases of shape {self.array.shape} on a grid of shape {self.grid.shape}")
        if self.sources and len(self.sources) != len(self.array):
            raise ValueError(f"{len(self.sources)} sources for {len(self.array)} phases")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(phases, rows, columns)."""
        return (self.array.shape[0], self.array.shape[1], self.array.shape[2])
