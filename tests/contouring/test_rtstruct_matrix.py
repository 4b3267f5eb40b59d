"""Every orientation and kind of grid, both modes, all forms of holes: the same voxels, points where they belong."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

import contouring.outline
import contouring.raster
from contouring import read_rtstruct, write_rtstruct
from contouring.errors import RoundTripMismatch
from contouring.rings import Rings
from contouring.smooth import smooth_rings
from contouring.trace import trace_cracks
from imaging.geometry import Grid
from imaging.volume import Region
from tests.contouring.cases import ALGORITHM, CONDITIONS, knotty_mask, plainly_read, roi, stack_of

MADE_AT = datetime(2026, 3, 4, 10, 15)
FORMS = [(mode, holes) for mode in ("crack", "smooth") for holes in ("nested", "keyhole", "xor")]


def assert_written_exactly(
    written: Dataset, mask: NDArray[np.bool_], grid: Grid, uids: tuple[str, ...], mode: str
) -> None:
    """The checks of one cell of the matrix: two readers, the points' place, the referenced images."""
    (structure,) = read_rtstruct(written, grid).structures
    assert np.array_equal(structure.region.mask(), mask), "radgate's reader"
    assert np.array_equal(plainly_read(written, 1, grid), mask), "the independent reader"
    rings = trace_cracks(Region.from_mask(mask)) if mode == "crack" else smooth_rings(Region.from_mask(mask))
    for contour in written.ROIContourSequence[0].ContourSequence:
        uid = contour.ContourImageSequence[0].ReferencedSOPInstanceUID
        plane = uids.index(uid)
        points = np.array([float(v) for v in contour.ContourData]).reshape(-1, 3)
        normal = np.cross(grid.row_direction, grid.column_direction)
        normal /= np.linalg.norm(normal)
        assert np.abs((points - grid.positions_lps[plane]) @ normal).max() < 0.001, "on its image's plane"
        here = np.flatnonzero(rings.planes == plane)
        expected = np.concatenate([rings.polygon(int(n)) for n in here])
        truth = (
            grid.positions_lps[plane]
            + expected[:, :1] * grid.pixel_spacing_mm[1] * grid.row_direction
            + expected[:, 1:] * grid.pixel_spacing_mm[0] * grid.column_direction
        )
        nearest = np.linalg.norm(points[:, None] - truth[None], axis=2).min(axis=1)
        bridges = 2 * 2 * len(here)
        assert (nearest > 0.001).sum() <= bridges, "vertices where the pixels' corners are"


def write(mask: NDArray[np.bool_], mode: str, holes: str, **condition: Any) -> tuple[Dataset, Grid, tuple[str, ...]]:
    stack = stack_of(**condition)
    written = write_rtstruct([roi(mask)], stack, made_at=MADE_AT, algorithm=ALGORITHM, mode=mode, holes=holes)  # type: ignore[arg-type]
    return written.dataset, stack.grid, tuple(s.sop_instance_uid for s in stack.sources)


@pytest.mark.parametrize(("mode", "holes"), FORMS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_voxels_points_and_references_are_exact(condition: str, mode: str, holes: str) -> None:
    grid = stack_of(**CONDITIONS[condition]).grid
    mask = knotty_mask(grid)

    dataset, grid, uids = write(mask, mode, holes, **CONDITIONS[condition])

    assert_written_exactly(dataset, mask, grid, uids, mode)


def whole_image(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.ones(shape, dtype=np.bool_)


def corners(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[0, 0, 0] = mask[1, 0, -1] = mask[2, -1, 0] = mask[3, -1, -1] = True
    return mask


def nested_rings(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    j, i = np.indices(shape[1:])
    return np.broadcast_to((np.maximum(np.abs(j - 25), np.abs(i - 21)) // 3) % 2 == 0, shape).copy()


def shell(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    k, j, i = np.indices(shape)
    distance = np.sqrt((2 * (k - 8)) ** 2 + (j - 24) ** 2 + (i - 20) ** 2)
    return np.asarray(np.abs(distance - 13) < 0.5)


def two_holes_in_one_row(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[3:6, 5:20, 4:30] = True
    mask[3:6, 10, [8, 12, 13, 20]] = False
    mask[4, 9:12, 24:27] = False
    mask[4, 10, 25] = True
    return mask


def staircase(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=np.bool_)
    for n in range(40):
        mask[2, n, n] = mask[5, n, 45 - n] = True
    return mask


@pytest.mark.parametrize(("mode", "holes"), FORMS)
@pytest.mark.parametrize("make", [whole_image, corners, nested_rings, shell, two_holes_in_one_row, staircase])
def test_topology(make: Callable[[tuple[int, ...]], NDArray[np.bool_]], mode: str, holes: str) -> None:
    mask = make(stack_of().grid.shape)

    dataset, grid, uids = write(mask, mode, holes)

    assert_written_exactly(dataset, mask, grid, uids, mode)


def test_a_keyhole_needs_one_contour_for_each_part_and_xor_says_so() -> None:
    mask = two_holes_in_one_row(stack_of().grid.shape)

    nested = write(mask, "crack", "nested")[0].ROIContourSequence[0].ContourSequence
    keyhole = write(mask, "crack", "keyhole")[0].ROIContourSequence[0].ContourSequence
    xor = write(mask, "crack", "xor")[0].ROIContourSequence[0].ContourSequence

    assert len(keyhole) == 4, "three slices of one part, and an island"
    assert len(nested) == len(xor) > len(keyhole)
    assert {c.ContourGeometricType for c in xor} == {"CLOSEDPLANAR_XOR"}
    assert {c.ContourGeometricType for c in keyhole} == {"CLOSED_PLANAR"}


# Planted faults. A fault in the writer alone is caught by the writer itself; one that its reader shares, by the matrix.

Move = Callable[[NDArray[np.float64], Grid], NDArray[np.float64]]


def half_voxel_shift(columns_rows: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    return columns_rows + 0.5


def row_column_swap(columns_rows: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    return columns_rows[:, ::-1].copy()


def spacing_swap(columns_rows: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    dy, dx = grid.pixel_spacing_mm
    return columns_rows * (dy / dx, dx / dy)


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    right_points, right_rings = contouring.outline.points_of, contouring.raster.rings_on_planes

    def faulty(move: Move | None = None, *, undo: Move | None = None, flip: bool = False) -> None:
        def points(rings: Rings, grid: Grid) -> NDArray[np.float64]:
            planes = grid.shape[0] - 1 - rings.planes if flip else rings.planes
            moved = rings.columns_rows if move is None else move(rings.columns_rows, grid)
            return right_points(Rings(moved, rings.starts, planes), grid)

        def back(*args: Any) -> Rings:
            rings = right_rings(*args)
            grid = args[2]
            planes = grid.shape[0] - 1 - rings.planes if flip else rings.planes
            moved = rings.columns_rows if undo is None else undo(rings.columns_rows, grid)
            return Rings(moved, rings.starts, planes)

        monkeypatch.setattr(contouring.outline, "points_of", points)
        if undo is not None or (flip and move is None):
            monkeypatch.setattr(contouring.raster, "rings_on_planes", back)

    return faulty


@pytest.mark.parametrize("fault", [half_voxel_shift, row_column_swap, spacing_swap])
def test_the_writer_refuses_to_hand_out_what_it_wrote_wrongly(plant: Callable[..., None], fault: Move) -> None:
    mask = knotty_mask(stack_of().grid)
    plant(fault)

    with pytest.raises(RoundTripMismatch):
        write(mask, "smooth", "nested")


@pytest.mark.parametrize(
    ("fault", "undo"),
    [
        (half_voxel_shift, lambda uw, grid: uw - 0.5),
        (row_column_swap, row_column_swap),
        (
            spacing_swap,
            lambda uw, grid: (
                uw
                / (grid.pixel_spacing_mm[0] / grid.pixel_spacing_mm[1], 1)
                / (1, grid.pixel_spacing_mm[1] / grid.pixel_spacing_mm[0])
            ),
        ),
    ],
)
def test_the_matrix_catches_a_fault_that_writer_and_reader_share(
    plant: Callable[..., None], fault: Move, undo: Move
) -> None:
    mask = knotty_mask(stack_of().grid)
    plant(fault, undo=undo)

    dataset, grid, uids = write(mask, "crack", "nested")

    with pytest.raises(AssertionError, match="independent reader"):
        assert_written_exactly(dataset, mask, grid, uids, "crack")


def test_the_matrix_catches_a_z_flip_that_writer_and_reader_share(plant: Callable[..., None]) -> None:
    mask = knotty_mask(stack_of().grid)
    plant(flip=True)

    dataset, grid, uids = write(mask, "crack", "nested")

    with pytest.raises(AssertionError, match="independent reader"):
        assert_written_exactly(dataset, mask, grid, uids, "crack")
