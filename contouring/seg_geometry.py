"""Where the frames of a DICOM segmentation lie on an image's grid: the same pixels, flipped or cropped, or a refusal.

Nothing is resampled here: every pixel of a frame must fall onto a voxel centre.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from contouring.errors import CorruptSegmentation, FrameOfReferenceMismatch, SegmentationOffGrid
from imaging.geometry import Grid

__all__ = [
    "FramePlane",
    "Placement",
    "check_frame_of_reference",
    "check_plane_spacing",
    "frame_planes",
    "place",
    "seg_grid",
]

VOXEL_TOLERANCE = 0.02
"""Largest distance of a frame's corner from a voxel centre, as a share of the spacing: rounded decimal strings stay far
below it, and half a voxel is 25 times as much."""

COSINE_TOLERANCE = 1e-3
"""Largest difference of a direction cosine between frame and image; the corners are what is held to account."""

SAME_STEP = 1.5
"""From this many plane distances on, frames stand for thicker slices than the image's: the next is twice as thick."""


@dataclass(frozen=True, eq=False)
class FramePlane:
    """Geometry of one frame as written: position, orientation (row direction, column direction), (dy, dx)."""

    position_lps: NDArray[np.float64]
    orientation: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Direction across the frame, of length 1."""
        return np.asarray(np.cross(self.orientation[:3], self.orientation[3:]))


@dataclass(frozen=True)
class Placement:
    """How a frame falls onto a plane of the grid.

    Parameters
    ----------
    plane
        Index of the plane; -1 where the frame lies on none.
    rows, columns
        Index of the frame's first and last row (column) in the grid; descending where the frame is flipped.
    transposed
        Whether the frame's rows are the grid's columns.
    shift_mm
        Largest distance of a corner from its voxel centre.
    """

    plane: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    transposed: bool
    shift_mm: float

    def onto(self, pixels: NDArray[Any], grid: Grid) -> tuple[NDArray[Any], tuple[int, int]]:
        """The frame's pixels in the order of the grid, cut to it, and the index (row, column) of the first.

        Raises
        ------
        SegmentationOffGrid
            Something that is marked lies outside the image.
        """
        turned = pixels.T if self.transposed else pixels
        turned = turned[:: -1 if self.rows[0] > self.rows[1] else 1, :: -1 if self.columns[0] > self.columns[1] else 1]
        top, left = min(self.rows), min(self.columns)
        cut = (
            slice(max(0, -top), max(0, min(turned.shape[0], grid.rows - top))),
            slice(max(0, -left), max(0, min(turned.shape[1], grid.columns - left))),
        )
        inside = turned[cut]
        if np.count_nonzero(inside) != np.count_nonzero(turned):
            raise SegmentationOffGrid(
                "A segment reaches beyond the rows or columns of the image; choose the series it was drawn on.",
                plane=self.plane,
            )
        return inside, (max(0, top), max(0, left))


def check_frame_of_reference(ds: Dataset, grid: Grid) -> None:
    """Refuse a segmentation of another frame of reference.

    Raises
    ------
    FrameOfReferenceMismatch
        Both name a frame of reference, and not the same.
    """
    theirs = str(ds.get("FrameOfReferenceUID", "") or "")
    if theirs and grid.frame_of_reference_uid and theirs != grid.frame_of_reference_uid:
        raise FrameOfReferenceMismatch(
            "The segmentation refers to another frame of reference than the image; choose the series it was drawn on, "
            "or register the two.",
            expected=grid.frame_of_reference_uid,
            got=theirs,
        )


def check_plane_spacing(ds: Dataset, planes: Collection[int], grid: Grid) -> None:
    """Refuse a segmentation made on slices some of the image's planes apart: the planes between would stay empty.

    One that leaves out empty frames states the image's own spacing, or has frames on neighbouring planes.

    Parameters
    ----------
    ds
        The segmentation.
    planes
        Planes of the grid on which it has frames.
    grid
        Grid of the image.

    Raises
    ------
    SegmentationOffGrid
        It states a spacing of slices well above the image's, and no two frames are neighbours.
    """
    steps = grid.slice_steps_mm
    order = sorted(planes)
    if not len(steps) or any(b - a == 1 for a, b in pairwise(order)):
        return
    step = float(np.median(steps))
    spacing, thickness = _stated_mm(ds, "SpacingBetweenSlices"), _stated_mm(ds, "SliceThickness")
    if spacing is None and thickness is not None:
        # Slices may overlap: a thickness that is the image's own says nothing about the distance.
        spacing = step * thickness / max(step, grid.slice_thickness_mm or step)
    if spacing is not None and spacing >= SAME_STEP * step:
        raise SegmentationOffGrid(
            f"The segmentation's slices are {spacing:.2f} mm apart and the image's {step:.2f} mm, so planes between "
            "would stay empty; resample it onto the image, or choose the series it was drawn on.",
            spacing_mm=spacing,
            image_spacing_mm=step,
        )


def _stated_mm(ds: Dataset, keyword: str) -> float | None:
    """A length in the first PixelMeasuresSequence; None where there is none above zero."""
    groups = (
        *(ds.get("SharedFunctionalGroupsSequence") or ()),
        *(ds.get("PerFrameFunctionalGroupsSequence") or ())[:1],
    )
    for measures in (m for g in groups for m in g.get("PixelMeasuresSequence") or ()):
        try:
            value = float(measures.get(keyword) or 0)
        except (TypeError, ValueError):
            continue
        if np.isfinite(value) and value > 0:
            return value
    return None


def frame_planes(ds: Dataset) -> Iterator[FramePlane]:
    """Geometry of each frame, from its own functional groups or the shared ones.

    Raises
    ------
    CorruptSegmentation
        A frame has no position, orientation or spacing, or its numbers are none.
    """
    shared = (list(ds.get("SharedFunctionalGroupsSequence") or ()) or [Dataset()])[0]
    for number, own in enumerate(ds.get("PerFrameFunctionalGroupsSequence") or (), start=1):
        try:
            spacing = _numbers(own, shared, "PixelMeasuresSequence", "PixelSpacing", 2)
            yield FramePlane(
                position_lps=_numbers(own, shared, "PlanePositionSequence", "ImagePositionPatient", 3),
                orientation=_numbers(own, shared, "PlaneOrientationSequence", "ImageOrientationPatient", 6),
                pixel_spacing_mm=(float(spacing[0]), float(spacing[1])),
            )
        except (AttributeError, IndexError, TypeError, ValueError) as fault:
            raise CorruptSegmentation(
                f"Frame {number} has no readable position, orientation or pixel spacing; export the object again.",
                frame=number,
            ) from fault


def place(frame: FramePlane, size: tuple[int, int], grid: Grid) -> Placement:
    """Where a frame of `size` (rows, columns) falls onto the grid; plane -1 where it lies between or beyond planes.

    Raises
    ------
    SegmentationOffGrid
        Orientation or spacing differ, or the pixels fall between the voxels.
    """
    row_direction, column_direction = frame.orientation[:3], frame.orientation[3:]
    normal = frame.normal
    if abs(abs(float(normal @ grid.normal)) - 1) > COSINE_TOLERANCE:
        raise SegmentationOffGrid(
            "The segmentation is sliced in another orientation than the image; resample it, or choose its own series.",
            angle_deg=float(np.degrees(np.arccos(min(1.0, abs(float(normal @ grid.normal)))))),
        )
    rows, columns = size
    dy, dx = frame.pixel_spacing_mm
    corners = frame.position_lps + np.array([
        np.zeros(3),
        row_direction * dx * (columns - 1),
        column_direction * dy * (rows - 1),
    ])
    along = corners @ grid.normal
    plane = int(np.abs(grid.plane_positions_mm - along.mean()).argmin())
    off_plane = float(np.abs(along - grid.plane_positions_mm[plane]).max())
    if off_plane > VOXEL_TOLERANCE * _step_mm(grid, plane):
        return Placement(-1, (0, 0), (0, 0), transposed=False, shift_mm=off_plane)
    uw = grid.columns_rows(plane, corners)
    whole = np.rint(uw)
    spacing = np.array([grid.pixel_spacing_mm[1], grid.pixel_spacing_mm[0]])
    shift = np.abs(uw - whole)
    steps = np.abs(whole[1:] - whole[0])
    transposed = bool(abs(float(row_direction @ grid.row_direction)) < 0.5)
    expected = np.array([[0, columns - 1], [rows - 1, 0]] if transposed else [[columns - 1, 0], [0, rows - 1]])
    if shift.max() > VOXEL_TOLERANCE or not np.array_equal(steps, expected):
        raise SegmentationOffGrid(
            f"The segmentation's pixels miss the image's voxels by up to {float((shift * spacing).max()):.3f} mm, or "
            "have another size; resample it, or choose the series it was drawn on.",
            shift_mm=float((shift * spacing).max()),
            plane=plane,
        )
    far = whole[[2, 1]] if transposed else whole[[1, 2]]
    return Placement(
        plane=plane,
        rows=(int(whole[0, 1]), int(far[1, 1])),
        columns=(int(whole[0, 0]), int(far[0, 0])),
        transposed=transposed,
        shift_mm=max(off_plane, float((shift * spacing).max())),
    )


def seg_grid(ds: Dataset) -> Grid:
    """The grid that the frames of a segmentation span by themselves; planes without a frame are not in it.

    Raises
    ------
    CorruptSegmentation
        There are no frames, or they differ in orientation or pixel spacing.
    """
    frames = list(frame_planes(ds))
    if not frames:
        raise CorruptSegmentation("The segmentation has no frames; there is nothing to read.")
    first = frames[0]
    if any(
        np.abs(f.orientation - first.orientation).max() > COSINE_TOLERANCE
        or not np.allclose(f.pixel_spacing_mm, first.pixel_spacing_mm, rtol=1e-4)
        for f in frames
    ):
        raise CorruptSegmentation("The frames differ in orientation or pixel spacing; give the image series.")
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    positions: dict[float, NDArray[np.float64]] = {}
    for frame in frames:
        positions.setdefault(round(float(frame.position_lps @ normal), 2), frame.position_lps)
    measures = (list(ds.get("SharedFunctionalGroupsSequence") or ()) or [Dataset()])[0].get("PixelMeasuresSequence")
    thickness = measures[0].get("SliceThickness") if measures else None
    return Grid(
        positions_lps=np.array([positions[key] for key in sorted(positions)]),
        row_direction=first.orientation[:3],
        column_direction=first.orientation[3:],
        pixel_spacing_mm=first.pixel_spacing_mm,
        rows=int(ds.Rows),
        columns=int(ds.Columns),
        frame_of_reference_uid=str(ds.get("FrameOfReferenceUID", "") or ""),
        slice_thickness_mm=float(thickness) if thickness else None,
    )


def _step_mm(grid: Grid, plane: int) -> float:
    """Distance of a plane to its nearer neighbour; the thickness, or 1 mm, where there is none."""
    steps = grid.slice_steps_mm[max(0, plane - 1) : plane + 1]
    return float(steps.min()) if len(steps) else (grid.slice_thickness_mm or 1.0)


def _numbers(own: Dataset, shared: Dataset, group: str, keyword: str, count: int) -> NDArray[np.float64]:
    items = own.get(group) or shared.get(group)
    values = np.array([float(v) for v in items[0][keyword].value])
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(keyword)
    return values
