"""The geometry of a stack of planes: one position per plane, index to patient and back.

A `Grid` allows uneven distances and gantry tilt, because it keeps the position of every plane; an affine exists only
where the planes are evenly spaced and not sheared. Reading headers is left to `imaging.series`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imaging.errors import DuplicatePlanes, GantryTilt, MissingSlices, MixedOrientation

__all__ = ["Grid"]

FloatArray = NDArray[np.float64]

DUPLICATE_TOLERANCE_MM = 0.001
"""Planes nearer than this are the same plane (specification of contouring, section 3)."""

UNIFORM_TOLERANCE_MM = 0.01
"""Largest deviation of a slice distance from the mean in an even stack (contouring, section 3)."""

COSINE_TOLERANCE = 1e-3
"""Largest deviation of a direction's norm from 1, and of the two directions' product from 0 (contouring, section 3)."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxel centres of a stack of parallel planes in patient space (LPS, mm).

    Parameters
    ----------
    positions_lps
        Centre of the first pixel (column index 0, row index 0) of each plane, shape (N, 3), ascending along `normal`.
    row_direction
        Unit vector along which the column index grows (ImageOrientationPatient, first triple).
    column_direction
        Unit vector along which the row index grows (second triple).
    pixel_spacing_mm
        (between rows, between columns): PixelSpacing as DICOM orders it, that is (dy, dx).
    rows, columns
        Size of each plane.
    frame_of_reference_uid
        Frame that the coordinates refer to.
    slice_thickness_mm
        SliceThickness where it is known; used only where one plane has no neighbour.

    Raises
    ------
    MixedOrientation
        The directions are no right-angled unit vectors.
    DuplicatePlanes
        Two planes lie within 0.001 mm of each other.
    """

    positions_lps: FloatArray
    row_direction: FloatArray
    column_direction: FloatArray
    pixel_spacing_mm: tuple[float, float]
    rows: int
    columns: int
    frame_of_reference_uid: str
    slice_thickness_mm: float | None = None

    def __post_init__(self) -> None:
        for name in ("positions_lps", "row_direction", "column_direction"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if self.positions_lps.ndim != 2 or self.positions_lps.shape[1] != 3 or not len(self.positions_lps):
            raise ValueError("positions_lps needs the shape (N, 3) with N of at least 1")
        norms = [float(np.linalg.norm(v)) for v in (self.row_direction, self.column_direction)]
        product = float(self.row_direction @ self.column_direction)
        if max(abs(n - 1) for n in norms) > COSINE_TOLERANCE or abs(product) > COSINE_TOLERANCE:
            raise MixedOrientation(
                "The orientation cosines are no right-angled unit vectors; export the series again from its source.",
                norms=norms,
                product=product,
            )
        steps = self.slice_steps_mm
        if len(steps) and float(steps.min()) < DUPLICATE_TOLERANCE_MM:
            plane = int(steps.argmin())
            raise DuplicatePlanes(
                f"Planes {plane} and {plane + 1} lie at the same position (or planes are not sorted); "
                "select one instance per position.",
                plane=plane,
            )

    @cached_property
    def normal(self) -> FloatArray:
        """Unit normal of the planes: row direction x column direction."""
        cross = np.cross(self.row_direction, self.column_direction)
        return cross / np.linalg.norm(cross)

    @cached_property
    def plane_positions_mm(self) -> FloatArray:
        """Position of each plane along `normal`, shape (N,), ascending."""
        return self.positions_lps @ self.normal

    @cached_property
    def slice_steps_mm(self) -> FloatArray:
        """Distance of each plane to the next along `normal`, shape (N - 1,)."""
        return np.diff(self.plane_positions_mm)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(planes, rows, columns)."""
        return (len(self.positions_lps), self.rows, self.columns)

    @cached_property
    def is_even(self) -> bool:
        """Whether no slice distance deviates from the mean by more than 0.01 mm."""
        steps = self.slice_steps_mm
        return len(steps) == 0 or bool(np.abs(steps - steps.mean()).max() <= UNIFORM_TOLERANCE_MM)

    @cached_property
    def tilt_deg(self) -> float:
        """Angle between `normal` and the step from the first to the last plane's origin; 0 for one plane."""
        if len(self.positions_lps) == 1:
            return 0.0
        step = self.positions_lps[-1] - self.positions_lps[0]
        across = float(np.linalg.norm(step - (step @ self.normal) * self.normal))
        return float(np.degrees(np.arctan2(across, step @ self.normal)))

    @cached_property
    def shear_mm(self) -> float:
        """Largest in-plane deviation of a plane's origin from the line along `normal` through the first origin."""
        offsets = self.positions_lps - self.positions_lps[0]
        in_plane = offsets - np.outer(offsets @ self.normal, self.normal)
        return float(np.linalg.norm(in_plane, axis=1).max())

    @property
    def slice_spacing_mm(self) -> float:
        """Distance between planes of an even stack; SliceThickness for a single plane.

        Raises
        ------
        MissingSlices
            The distances differ, or a single plane has no SliceThickness.
        """
        if len(self.positions_lps) == 1:
            if self.slice_thickness_mm is None:
                raise MissingSlices("A single slice without SliceThickness has no extent; state the thickness.")
            return self.slice_thickness_mm
        if not self.is_even:
            steps = self.slice_steps_mm
            plane = int(np.abs(steps - np.median(steps)).argmax())
            raise MissingSlices(
                f"The slice distance is {np.median(steps):.3f} mm but {steps[plane]:.3f} mm after slice {plane + 1} of "
                f"{len(steps) + 1}, at {self.plane_positions_mm[plane]:.2f} mm along the normal; send the missing "
                "slices or select one evenly spaced stack.",
                plane=plane,
                position_mm=float(self.plane_positions_mm[plane]),
                expected_mm=float(np.median(steps)),
                got_mm=float(steps[plane]),
            )
        return float(self.slice_steps_mm.mean())

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(between planes, between rows, between columns) of an even stack, matching arrays (Z, Y, X).

        Raises
        ------
        MissingSlices
            The planes are not evenly spaced.
        """
        return (self.slice_spacing_mm, *self.pixel_spacing_mm)

    @cached_property
    def affine_lps(self) -> FloatArray:
        """4x4 matrix from voxel index (k, j, i, 1), in the order of the array's axes, to LPS mm.

        Raises
        ------
        MissingSlices
            The planes are not evenly spaced.
        GantryTilt
            The planes are shifted against each other (more than 0.01 mm).
        """
        spacing = self.slice_spacing_mm
        if self.shear_mm > UNIFORM_TOLERANCE_MM:
            raise GantryTilt(
                f"The slices are tilted by {self.tilt_deg:.2f} degrees against the scan axis; "
                "reconstruct without gantry tilt, or resample the series before sending it.",
                tilt_deg=self.tilt_deg,
            )
        affine = np.eye(4)
        if len(self.positions_lps) > 1:
            affine[:3, 0] = (self.positions_lps[-1] - self.positions_lps[0]) / (len(self.positions_lps) - 1)
        else:
            affine[:3, 0] = self.normal * spacing
        affine[:3, 1] = self.column_direction * self.pixel_spacing_mm[0]
        affine[:3, 2] = self.row_direction * self.pixel_spacing_mm[1]
        affine[:3, 3] = self.positions_lps[0]
        affine.setflags(write=False)
        return affine

    def points_lps(self, plane: int | NDArray[np.intp], columns_rows: ArrayLike) -> FloatArray:
        """Patient coordinates of in-plane positions (column index u, row index w), shape (N, 2), on `plane`.

        The indices may be fractional; (0, 0) is the centre of the first pixel. `plane` is one index or one per point.
        """
        uw = np.asarray(columns_rows, dtype=np.float64)
        a = self.row_direction * self.pixel_spacing_mm[1]
        b = self.column_direction * self.pixel_spacing_mm[0]
        points = uw @ np.stack([a, b])
        points += self.positions_lps[plane]
        return np.asarray(points, dtype=np.float64)

    def columns_rows(self, plane: int | NDArray[np.intp], points_lps: ArrayLike) -> FloatArray:
        """In-plane positions (column index u, row index w), shape (N, 2), of points, projected onto `plane`.

        Solves the 2 x 2 Gram system, so it is the exact inverse of `points_lps` also where the written cosines are
        rounded and not quite at right angles.
        """
        q = np.asarray(points_lps, dtype=np.float64) - self.positions_lps[plane]
        a = self.row_direction * self.pixel_spacing_mm[1]
        b = self.column_direction * self.pixel_spacing_mm[0]
        gram = np.array([[a @ a, a @ b], [a @ b, b @ b]])
        # The system is the same for all points and well conditioned, since a and b are all but at right angles.
        return np.asarray(q @ (np.linalg.inv(gram) @ np.stack([a, b])).T, dtype=np.float64)

    def is_same_as(self, other: "Grid", tolerance_mm: float = 0.001) -> bool:
        """Whether both grids have the same shape and frame and no voxel centre differs by more than the tolerance."""
        if self.shape != other.shape or self.frame_of_reference_uid != other.frame_of_reference_uid:
            return False
        far = np.array([[0, 0], [self.columns - 1, self.rows - 1]], dtype=np.float64)
        return all(
            bool(np.abs(self.points_lps(k, far) - other.points_lps(k, far)).max() <= tolerance_mm)
            for k in range(len(self.positions_lps))
        )
