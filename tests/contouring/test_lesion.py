"""Lesions of known shape: axes, volumes, density, side, neighbours, RECIST."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contouring.diameters import axes_in_plane, largest_diameter_mm, principal_axes_mm
from contouring.errors import EmptyStructure, GridMismatch
from contouring.lesion import doubling_time_days, measure_lesion, recist_label, side_of
from contouring.midline import Midline
from contouring.volumes import centroid_lps
from imaging.geometry import Grid
from imaging.volume import Region, Volume

DY, DX, DZ = 0.7, 1.1, 2.5
DIAGONAL = math.hypot(DX, DY)
OBLIQUE = np.linalg.qr(np.array([[0.94, -0.21, 0.2], [0.15, 0.95, 0.3], [0.29, 0.2, -0.9]]))[0]
GRID = Grid(
    np.array([-61.5, 20.25, 117.0]) + np.arange(13)[:, None] * DZ * np.cross(OBLIQUE[:, 0], OBLIQUE[:, 1]),
    OBLIQUE[:, 0], OBLIQUE[:, 1], (DY, DX), 97, 83, "1.2.3",
)  # fmt: skip

Mask = NDArray[np.bool_]


def plane_coordinates() -> tuple[NDArray[Any], NDArray[Any]]:
    """Position x and y in mm of each pixel's centre, from a point off the middle."""
    row, column = np.indices((GRID.rows, GRID.columns))
    return np.asarray((column - 38.3) * DX), np.asarray((row - 51.8) * DY)


def in_planes(shape: Mask, *planes: int) -> Region:
    mask = np.zeros(GRID.shape, dtype=np.bool_)
    mask[list(planes)] = shape
    return Region.from_mask(mask)


@pytest.mark.parametrize("turn_deg", [0, 17, 45, 90, 131])
def test_ellipse_gives_both_axes_within_a_pixel_diagonal(turn_deg: float) -> None:
    x, y = plane_coordinates()
    turn = math.radians(turn_deg)
    along, across = x * math.cos(turn) + y * math.sin(turn), -x * math.sin(turn) + y * math.cos(turn)
    ellipse = (along / 21) ** 2 + (across / 12) ** 2 <= 1

    axes = axes_in_plane(in_planes(ellipse, 4), GRID)

    assert axes.long_axis.length_mm == pytest.approx(42, abs=DIAGONAL)
    assert axes.short_axis.length_mm == pytest.approx(24, abs=DIAGONAL)
    assert axes.inside_fraction > 0.98
    ends = np.array(axes.long_axis.ends_lps)
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(axes.long_axis.length_mm)
    assert abs((ends - GRID.positions_lps[4]) @ GRID.normal).max() < 1e-9


def test_rectangle_has_the_closed_form() -> None:
    shape = np.zeros((GRID.rows, GRID.columns), dtype=np.bool_)
    shape[20:40, 10:50] = True
    length, width = 40 * DX, 20 * DY

    axes = axes_in_plane(in_planes(shape, 3), GRID)

    assert axes.long_axis.length_mm == pytest.approx(math.hypot(length, width))
    assert axes.short_axis.length_mm == pytest.approx(width * math.sqrt(1 + (width / length) ** 2), rel=1e-5)


def test_the_ends_of_both_axes_lie_where_the_lesion_lies() -> None:
    shape = np.zeros((GRID.rows, GRID.columns), dtype=np.bool_)
    shape[60:76, 5:25] = True

    axes = axes_in_plane(in_planes(shape, 7), GRID)

    corners = [GRID.points_lps(7, np.array([[u, w]]))[0] for u in (4.5, 24.5) for w in (59.5, 75.5)]
    for end in axes.long_axis.ends_lps:
        assert min(np.linalg.norm(np.array(end) - corner) for corner in corners) < 1e-6
    columns_rows = GRID.columns_rows(np.array([7, 7]), np.array(axes.short_axis.ends_lps))
    assert (columns_rows >= [4.5 - 1e-6, 59.5 - 1e-6]).all()
    assert (columns_rows <= [24.5 + 1e-6, 75.5 + 1e-6]).all()


def test_chords_across_stand_at_right_angles() -> None:
    x, y = plane_coordinates()
    egg = (x / 25) ** 2 + ((y + 0.3 * x) / (9 + 0.2 * x.clip(-20, 20))) ** 2 <= 1

    axes = axes_in_plane(in_planes(egg, 5), GRID)

    first, second = (np.diff(np.array(c.ends_lps), axis=0)[0] for c in (axes.long_axis, axes.short_axis))
    assert abs(first @ second) / np.linalg.norm(first) / np.linalg.norm(second) < 1e-5
    assert np.linalg.norm(second) == pytest.approx(axes.short_axis.length_mm)


def test_the_slice_with_the_largest_diameter_is_taken() -> None:
    x, y = plane_coordinates()
    mask = np.zeros(GRID.shape, dtype=np.bool_)
    for plane, radius in ((3, 8), (4, 15), (5, 11)):
        mask[plane] = x**2 + y**2 < radius**2

    assert axes_in_plane(Region.from_mask(mask), GRID).plane == 4


def test_an_l_shape_is_flagged_as_concave() -> None:
    shape = np.zeros((GRID.rows, GRID.columns), dtype=np.bool_)
    shape[20:80, 10:16] = shape[74:80, 10:50] = True

    axes = axes_in_plane(in_planes(shape, 3), GRID)

    assert axes.is_concave
    assert axes.inside_fraction < 0.5


def test_one_voxel_has_its_own_diagonal() -> None:
    shape = np.zeros((GRID.rows, GRID.columns), dtype=np.bool_)
    shape[20, 10] = True
    region = in_planes(shape, 6)

    axes = axes_in_plane(region, GRID)

    assert axes.long_axis.length_mm == pytest.approx(DIAGONAL)
    assert axes.short_axis.length_mm == pytest.approx(DY * math.sqrt(1 + (DY / DX) ** 2), rel=1e-5)
    assert largest_diameter_mm(region, GRID) == pytest.approx(math.sqrt(DX**2 + DY**2 + DZ**2))
    assert axes_in_plane(region, GRID, ends="centre").long_axis.length_mm == 0


def test_centres_give_a_shorter_axis_than_corners_and_say_so() -> None:
    shape = np.zeros((GRID.rows, GRID.columns), dtype=np.bool_)
    shape[20:40, 10:50] = True

    centre = axes_in_plane(in_planes(shape, 3), GRID, ends="centre")

    assert centre.ends == "centre"
    assert centre.long_axis.length_mm == pytest.approx(math.hypot(39 * DX, 19 * DY))


def test_swapped_pixel_spacing_changes_the_diameter() -> None:
    """The planted fault: rows and columns exchanged."""
    shape = np.zeros((GRID.rows, GRID.columns), dtype=np.bool_)
    shape[20:24, 10:50] = True
    swapped = Grid(
        GRID.positions_lps, GRID.row_direction, GRID.column_direction, (DX, DY), GRID.rows, GRID.columns, "1.2.3"
    )

    right, wrong = (axes_in_plane(in_planes(shape, 3), g).long_axis.length_mm for g in (GRID, swapped))

    assert right == pytest.approx(math.hypot(40 * DX, 4 * DY))
    assert abs(wrong - right) > 10


def test_a_ball_has_equal_principal_axes() -> None:
    k, j, i = np.indices(GRID.shape)
    squared = ((k - 6.2) * DZ) ** 2 + ((j - 50.4) * DY) ** 2 + ((i - 40.7) * DX) ** 2
    region = Region.from_mask(squared < 13**2)

    axes = principal_axes_mm(region, GRID)

    assert axes == pytest.approx([4 * 13 / math.sqrt(5)] * 3, rel=0.02)
    assert largest_diameter_mm(region, GRID) == pytest.approx(26, abs=math.sqrt(DX**2 + DY**2 + DZ**2))


def test_density_of_a_ramp_and_of_its_core() -> None:
    values = np.broadcast_to(np.arange(83, dtype=np.int16) * 2 - 50, GRID.shape).copy()
    shape = np.zeros((GRID.rows, GRID.columns), dtype=np.bool_)
    shape[20:30, 10:21] = True

    found = measure_lesion(in_planes(shape, 3, 4, 5, 6, 7), GRID, volume=Volume(values, GRID, unit="[hnsf'U]"))

    assert found.density is not None
    assert found.core_density is not None
    assert (found.density.unit, found.density.mean, found.density.median) == ("[hnsf'U]", -20.0, -20.0)
    assert (found.density.minimum, found.density.maximum) == (-30, -10)
    assert found.density.sd == pytest.approx(np.std(np.arange(11) * 2.0) * math.sqrt(550 / 549))
    assert found.core_density.voxels == 3 * 8 * 9
    assert (found.core_density.minimum, found.core_density.maximum) == (-28, -12)


def test_a_small_lesion_has_no_core() -> None:
    values = np.zeros(GRID.shape, dtype=np.int16)
    shape = np.zeros((GRID.rows, GRID.columns), dtype=np.bool_)
    shape[20:24, 10:14] = True

    found = measure_lesion(in_planes(shape, 3, 4, 5), GRID, volume=Volume(values, GRID))

    assert found.core_density is None


def test_side_and_neighbours_come_from_geometry() -> None:
    body, lung, heart, lesion = np.zeros((4, *GRID.shape), dtype=np.bool_)
    body[1:12, 5:90, 5:80] = True
    lung[2:11, 20:60, 50:75] = True
    heart[2:11, 20:60, 30:44] = True
    lesion[5:8, 30:40, 46:56] = True

    found = measure_lesion(
        Region.from_mask(lesion),
        GRID,
        organs={n: Region.from_mask(m) for n, m in (("Body", body), ("Lung_L", lung), ("Heart", heart))},
        midline=Midline(float(centroid_lps(Region.from_mask(body), GRID)[0])),
    )

    assert [(n.name, round(n.share, 2)) for n in found.neighbours] == [("Lung_L", 0.6), ("Heart", 0.0)]
    assert found.neighbours[1].distance_mm == pytest.approx(3 * DX)
    # The rows of this grid run towards the patient's right.
    assert GRID.row_direction[0] < 0
    assert found.side == "R"
    assert side_of(found.centroid_lps[0], found.centroid_lps[0] - 40) == "L"
    assert side_of(3.0, 0.0) == "midline"


def test_no_side_without_both_halves_of_the_body_or_near_its_uncertain_midline() -> None:
    limb, lesion = np.zeros((2, *GRID.shape), dtype=np.bool_)
    limb[1:12, 5:90, 5:80] = True
    lesion[5:8, 30:40, 46:56] = True
    region = Region.from_mask(lesion)
    x = float(centroid_lps(region, GRID)[0])

    assert measure_lesion(region, GRID, organs={"Body": Region.from_mask(limb)}).side is None
    assert measure_lesion(region, GRID, midline=Midline(None, reason="a limb")).side is None
    assert measure_lesion(region, GRID, midline=Midline(x - 24.0, 20.0)).side is None
    assert measure_lesion(region, GRID, midline=Midline(x - 26.0, 20.0)).side == "L"


def test_recist_needs_the_right_axis() -> None:
    shape = np.zeros((GRID.rows, GRID.columns), dtype=np.bool_)
    shape[20:32, 10:21] = True  # 12.1 by 8.4 mm: axes of 14.7 and 10.2 mm
    found = measure_lesion(in_planes(shape, 3, 4), GRID)

    assert recist_label(found, is_node=False, slice_thickness_mm=2.5) == "target"
    assert recist_label(found, is_node=False, slice_thickness_mm=10) == "non-target"
    assert recist_label(found, is_node=True, slice_thickness_mm=2.5) == "non-target"


def test_doubling_time() -> None:
    assert doubling_time_days(1, 4, 100) == pytest.approx(50)
    assert doubling_time_days(4, 1, 100) == pytest.approx(-50)
    assert doubling_time_days(2, 2, 100) == math.inf
    with pytest.raises(ValueError, match="positive"):
        doubling_time_days(0, 1, 100)


def test_empty_and_foreign_lesions_are_refused() -> None:
    empty = Region.from_mask(np.zeros(GRID.shape, dtype=np.bool_))
    shape = np.ones((GRID.rows, GRID.columns), dtype=np.bool_)

    for call in (axes_in_plane, largest_diameter_mm, principal_axes_mm, measure_lesion):
        with pytest.raises(EmptyStructure):
            call(empty, GRID)
    with pytest.raises(GridMismatch):
        measure_lesion(Region.from_mask(np.ones((2, 3, 4), dtype=np.bool_)), GRID)
    other = Grid(GRID.positions_lps + 1, GRID.row_direction, GRID.column_direction, (DY, DX), 97, 83, "1.2.3")
    with pytest.raises(GridMismatch):
        measure_lesion(in_planes(shape, 3), GRID, volume=Volume(np.zeros(GRID.shape), other))
