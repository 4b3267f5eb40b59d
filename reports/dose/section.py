"""A dose on the planes of an image that is turned the same way: which part of the dose grid a picture shows, and where.

Between two planes of the dose grid the dose is interpolated linearly here; within the plane whoever shows it does so.
Both together are the trilinear dose of `contouring.dose`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.errors import RadgateError
from imaging.geometry import Grid
from reports.errors import ForeignGeometry
from reports.planes import Plane

__all__ = ["Cut", "Overlay", "overlay_of"]

FloatArray = NDArray[np.float64]

TURNED_MM = 0.05
"""How far a dose grid may leave the image's axes over its own extent: written cosines are rounded."""

EDGE = 1e-3
"""Planes this much beyond the outermost one, in planes, count as on it."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A dose on one plane of the image, as it is shown.

    Parameters
    ----------
    values
        Shape (rows, columns) of the dose grid; NaN where the dose is not known.
    first, step
        Row and column on the image's picture of the first value, and how many of its pixels lie between values.
    """

    values: NDArray[np.float32]
    first: tuple[float, float]
    step: tuple[float, float]

    def at(self, rows: FloatArray, columns: FloatArray) -> FloatArray:
        """Dose at places of the image's picture (fractional rows and columns), linear in between; NaN outside."""
        place = [(rows - self.first[0]) / self.step[0], (columns - self.first[1]) / self.step[1]]
        found = ndimage.map_coordinates(self.values, place, order=1, mode="constant", cval=np.nan, prefilter=False)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True)
class Overlay:
    """Index on the dose grid of an index on the image: start + step * index, along each axis of the arrays."""

    start: tuple[float, float, float]
    step: tuple[float, float, float]

    def cut(self, dose_gy: NDArray[Any], plane: Plane, index: int, image_shape: tuple[int, int, int]) -> Cut | None:
        """The dose on one plane of the image; None where the plane lies outside the dose grid.

        Parameters
        ----------
        dose_gy
            On the dose grid.
        plane, index
            One of the image's planes.
        image_shape
            Shape of the image.
        """
        place = self.start[plane.through] + self.step[plane.through] * index
        last = dose_gy.shape[plane.through] - 1
        if not -EDGE <= place <= last + EDGE:
            return None
        low = int(np.clip(np.floor(place), 0, last - 1))
        share = float(np.clip(place - low, 0, 1))
        below, above = (np.take(dose_gy, n, axis=plane.through) for n in (low, low + 1))
        values = below if share == 0 else above if share == 1 else below + (above - below) * share
        shown = values if plane.down < plane.across else values.T
        shown = shown[::-1] if plane.flip_down else shown
        shown = shown[:, ::-1] if plane.flip_across else shown
        firsts = [
            self._first(axis, dose_gy.shape[axis], image_shape[axis], turned=turned)
            for axis, turned in ((plane.down, plane.flip_down), (plane.across, plane.flip_across))
        ]
        return Cut(
            np.ascontiguousarray(shown, dtype=np.float32),
            (firsts[0], firsts[1]),
            (1 / self.step[plane.down], 1 / self.step[plane.across]),
        )

    def _first(self, axis: int, dose_size: int, image_size: int, *, turned: bool) -> float:
        """Place on the picture of the dose grid's index that is shown first."""
        if turned:
            return image_size - 1 - (dose_size - 1 - self.start[axis]) / self.step[axis]
        return -self.start[axis] / self.step[axis]


def overlay_of(image: Grid, dose: Grid) -> Overlay:
    """How the two grids lie on each other.

    Raises
    ------
    ForeignGeometry
        They are turned against each other, lie in different frames, or are not evenly spaced.
    """
    try:
        found = np.linalg.inv(dose.affine_lps) @ image.affine_lps
    except RadgateError as fault:
        raise ForeignGeometry(f"The dose cannot be shown on the image: {fault.message}") from fault
    steps = np.diag(found)[:3]
    strayed = np.abs(found[:3, :3] - np.diag(steps)) @ np.array(image.shape) * np.array(dose.spacing_mm)
    if strayed.max() > TURNED_MM or steps.min() <= 0 or image.frame_of_reference_uid != dose.frame_of_reference_uid:
        raise ForeignGeometry(
            "The dose grid is turned against the image, or lies in another frame of reference; map the dose to the "
            "image first.",
            deviation_mm=float(strayed.max()),
        )
    start = found[:3, 3]
    return Overlay((start[0], start[1], start[2]), (steps[0], steps[1], steps[2]))
