"""A dose on its own grid: Gy at the voxel centres, trilinear in mm between them, unknown beyond them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from contouring.dose.places import LatticePlaces, sampled_on_lattice, turned
from imaging.geometry import Grid

__all__ = ["DoseFacts", "DoseVolume", "SampledDose"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

EDGE_MM = 1e-3
"""Points this near outside the outermost voxel centres count as on them: the rounding of written positions."""

CHUNK_POINTS = 1 << 18


@dataclass(frozen=True, eq=False)
class DoseFacts:
    """What an RT dose says of itself, besides its voxels.

    Parameters
    ----------
    sop_instance_uid
        The object; "" for a dose that radgate computed.
    dose_type, summation_type
        DoseType and DoseSummationType.
    plan_uids
        Plans in ReferencedRTPlanSequence.
    fraction_groups
        ReferencedFractionGroupNumber of the plan, where the dose names some.
    header
        The data set without its pixels, for what a derived object takes over.
    """

    sop_instance_uid: str = ""
    dose_type: str = "PHYSICAL"
    summation_type: str = "PLAN"
    plan_uids: tuple[str, ...] = ()
    fraction_groups: tuple[int, ...] = ()
    header: Dataset = field(default_factory=Dataset, repr=False)

    @property
    def is_of_several_plans(self) -> bool:
        """Whether it is the sum of several plans, by what it says or by the plans that it names."""
        return self.summation_type in {"MULTI_PLAN", "PLAN_OVERVIEW"} or len(set(self.plan_uids)) > 1


@dataclass(frozen=True, eq=False)
class SampledDose:
    """Dose at points.

    Parameters
    ----------
    dose_gy
        Shape (N,); 0 where it is not known.
    gradient_gy_per_mm
        Gradient of the trilinear dose, shape (N, 3), along x, y, z of the frame that the points were given in.
    is_known
        Whether the point lies within the dose grid.
    cell_low_gy, cell_high_gy
        Least and largest dose at the corners of the cell that the point lies in, shape (N,): between them lies every
        dose within the cell.
    """

    dose_gy: FloatArray
    gradient_gy_per_mm: FloatArray
    is_known: BoolArray
    cell_low_gy: FloatArray
    cell_high_gy: FloatArray

    @property
    def reach_gy(self) -> tuple[float, float]:
        """Least and largest dose that the cells of the known points can hold; nothing where none is known."""
        low = self.cell_low_gy.min(initial=np.inf, where=self.is_known)
        return float(low), float(self.cell_high_gy.max(initial=-np.inf, where=self.is_known))


@dataclass(frozen=True, eq=False)
class DoseVolume:
    """A dose in gray on its grid.

    Parameters
    ----------
    dose_gy
        Shape (planes, rows, columns), float32 or float64.
    grid
        Where the voxel centres are; the planes may be unevenly spaced.
    facts
        What the object says of itself.
    """

    dose_gy: NDArray[np.floating]
    grid: Grid
    facts: DoseFacts = field(default_factory=DoseFacts)

    def __post_init__(self) -> None:
        if self.dose_gy.shape != self.grid.shape:
            raise ValueError(f"dose of shape {self.dose_gy.shape} on a grid of shape {self.grid.shape}")
        if min(self.dose_gy.shape) < 2:
            raise ValueError("a dose needs at least two voxels along each axis")

    @cached_property
    def axes(self) -> FloatArray:
        """Unit vectors of the planes' normal, the columns and the rows, one a row: what (k, j, i) grow along."""
        return np.stack([self.grid.normal, self.grid.column_direction, self.grid.row_direction])

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(smallest distance of planes, between rows, between columns)."""
        return (float(self.grid.slice_steps_mm.min()), *self.grid.pixel_spacing_mm)

    def indices(self, points_lps: FloatArray) -> FloatArray:
        """Fractional index (k, j, i) of points, shape (N, 3); planes beyond the ends follow the outermost distance."""
        shift = np.asarray(points_lps, dtype=np.float64) - self.grid.positions_lps[0]
        # The written cosines are not quite at right angles: the dual basis is the exact inverse of index to point.
        along = turned(shift, np.asarray(np.linalg.inv(self.axes), dtype=np.float64))
        planes = self.grid.plane_positions_mm - self.grid.plane_positions_mm[0]
        k = np.clip(np.searchsorted(planes, along[:, 0], side="right") - 1, 0, len(planes) - 2)
        along[:, 0] = k + (along[:, 0] - planes[k]) / (planes[k + 1] - planes[k])
        along[:, 1] /= self.grid.pixel_spacing_mm[0]
        along[:, 2] /= self.grid.pixel_spacing_mm[1]
        return along

    def between(self, index: FloatArray, axis: int) -> tuple[NDArray[np.intp], FloatArray, BoolArray]:
        """Of fractional indices along one axis: the voxel before each, how far it is to the next, and what is known."""
        last = self.dose_gy.shape[axis] - 1
        edge = EDGE_MM / self.spacing_mm[axis]
        low = np.clip(index.astype(np.intp), 0, last - 1)
        return low, np.clip(index - low, 0.0, 1.0), np.asarray((index >= -edge) & (index <= last + edge))

    def sample(self, places: FloatArray | LatticePlaces) -> SampledDose:
        """Dose and its gradient at points in the dose's own frame, shape (N, 3), or at the places of a lattice."""
        if isinstance(places, LatticePlaces):
            found = sampled_on_lattice(self, places, np.eye(4))
            return self.sample(places.points_lps) if found is None else found
        points = np.asarray(places, dtype=np.float64)
        dose = np.zeros(len(points))
        gradient = np.zeros((len(points), 3))
        known = np.zeros(len(points), dtype=np.bool_)
        low, high = np.zeros(len(points)), np.zeros(len(points))
        for first in range(0, len(points), CHUNK_POINTS):
            part = slice(first, first + CHUNK_POINTS)
            dose[part], gradient[part], known[part], low[part], high[part] = self._sample(points[part])
        return SampledDose(dose, gradient, known, low, high)

    def values(self, points_lps: FloatArray) -> tuple[NDArray[np.float32], BoolArray]:
        """Dose at points without its gradient, and whether each is known: `sample`, several times faster."""
        from scipy.ndimage import map_coordinates

        index = self.indices(points_lps)
        last = np.array(self.dose_gy.shape) - 1
        edge = EDGE_MM / np.array(self.spacing_mm)
        known = np.asarray(((index >= -edge) & (index <= last + edge)).all(axis=1), dtype=np.bool_)
        # "nearest" takes points on the rounded edge as on it; what lies beyond is told apart by `known`.
        dose = map_coordinates(self.dose_gy, index.T, np.float32, order=1, mode="nearest")
        return np.where(known, dose, np.float32(0)), known

    def _sample(self, points: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray, FloatArray, FloatArray]:
        index = self.indices(points)
        last = np.array(self.dose_gy.shape) - 1
        edge = EDGE_MM / np.array(self.spacing_mm)
        known = np.asarray(((index >= -edge) & (index <= last + edge)).all(axis=1))
        low = np.clip(index.astype(np.intp), 0, last - 1)
        t = np.clip(index - low, 0.0, 1.0)
        _, rows, columns = self.dose_gy.shape
        at = (low[:, 0] * rows + low[:, 1]) * columns + low[:, 2]
        flat = self.dose_gy.reshape(-1)
        corner = [
            flat[at + (k * rows + j) * columns + i].astype(np.float64) for k in (0, 1) for j in (0, 1) for i in (0, 1)
        ]
        tk, tj, ti = t.T
        along_i = [corner[n] + (corner[n + 1] - corner[n]) * ti for n in (0, 2, 4, 6)]
        along_j = [along_i[n] + (along_i[n + 1] - along_i[n]) * tj for n in (0, 2)]
        dose = along_j[0] + (along_j[1] - along_j[0]) * tk
        slope = np.empty((len(points), 3))
        slope[:, 0] = along_j[1] - along_j[0]
        slope[:, 1] = (along_i[1] - along_i[0]) * (1 - tk) + (along_i[3] - along_i[2]) * tk
        bottom = (corner[1] - corner[0]) * (1 - tj) + (corner[3] - corner[2]) * tj
        top = (corner[5] - corner[4]) * (1 - tj) + (corner[7] - corner[6]) * tj
        slope[:, 2] = bottom * (1 - tk) + top * tk
        slope[:, 0] /= self.grid.slice_steps_mm[low[:, 0]]
        slope[:, 1] /= self.grid.pixel_spacing_mm[0]
        slope[:, 2] /= self.grid.pixel_spacing_mm[1]
        ends = np.minimum.reduce(corner), np.maximum.reduce(corner)
        return np.where(known, dose, 0.0), np.where(known[:, None], turned(slope, self.axes), 0.0), known, *ends
