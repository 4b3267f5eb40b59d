"""Metrics of agreement against the published definition's numbers, closed forms, and empty structures."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from contouring.errors import GridMismatch
from contouring.metrics import (
    added_path_length,
    agreement,
    dice,
    hausdorff_mm,
    jaccard,
    mean_surface_distance_mm,
    surface_dice,
    volume_difference,
)
from contouring.nearest import _joined, _reach_where_joined_mm, nearest_mm
from contouring.surface import element_areas_mm2, surface_distances
from imaging.errors import GantryTilt, MissingSlices
from imaging.geometry import Grid
from imaging.volume import Region

SHAPE = (24, 60, 64)
SPACING = (2.5, 0.9, 1.1)


def axial_grid(
    shape: tuple[int, int, int] = SHAPE, spacing: tuple[float, float, float] = SPACING, positions: object = None
) -> Grid:
    along = np.arange(shape[0]) * spacing[0] if positions is None else np.array(positions)
    return Grid(
        positions_lps=np.stack([np.full(len(along), -31.0), np.full(len(along), 12.5), along + 7], axis=1),
        row_direction=np.array([1.0, 0, 0]),
        column_direction=np.array([0, 1.0, 0]),
        pixel_spacing_mm=spacing[1:],
        rows=shape[1],
        columns=shape[2],
        frame_of_reference_uid="1.2.3",
        slice_thickness_mm=spacing[0],
    )


def sphere(radius_mm: float, shift: tuple[float, float, float] = (0, 0, 0)) -> NDArray[np.bool_]:
    axes = [np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    centre = np.array((29, 26.5, 34.7)) + shift
    return np.asarray((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius_mm**2)


def box(planes: slice, rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[planes, rows, columns] = True
    return mask


BOX = box(slice(6, 18), slice(15, 45), slice(16, 48))

# Reference values of DeepMind's surface-distance 0.1: masks, voxels, Dice, surface Dice at 1 and 2 mm, HD95, HD100,
# mean distance A to B and B to A, added path length in pixels.
REFERENCE = {
    "shifted sphere": (
        sphere(15), sphere(15, (2.5, 1.8, 2.2)), 5736, 5736,
        0.812238, 0.420561, 0.598683, 3.271085, 3.785499, 1.407252, 1.408756, 715,
    ),
    "smaller sphere": (
        sphere(15), sphere(13), 5736, 3719,
        0.786674, 0.259010, 0.662767, 2.500000, 2.875761, 1.541039, 1.395603, 789,
    ),
    "box moved by 2 columns": (
        BOX, box(slice(6, 18), slice(15, 45), slice(18, 50)), 11520, 11520,
        0.937500, 0.704915, 0.736437, 2.200000, 2.200000, 0.628921, 0.628921, 720,
    ),
    "box without its 2 top slices": (
        BOX, box(slice(6, 16), slice(15, 45), slice(16, 48)), 11520, 9600,
        0.909091, 0.788912, 0.799597, 5.000000, 5.000000, 1.098667, 0.686445, 240,
    ),
    "hollow and solid sphere": (
        sphere(15) & ~sphere(7), sphere(15), 5158, 5736,
        0.946943, 0.903217, 0.903217, 7.487323, 8.269220, 1.236464, 0.000000, 191,
    ),
    "two voxels": (
        box(slice(10, 11), slice(20, 21), slice(20, 21)), box(slice(10, 11), slice(20, 21), slice(23, 24)), 1, 1,
        0.0, 0.0, 0.0, 3.300000, 3.300000, 2.750000, 2.750000, 1,
    ),
}  # fmt: skip

# The table prints six decimals.
PRINTED = 6e-7


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_values_are_reproduced(name: str) -> None:
    first, second, count_a, count_b, *numbers = REFERENCE[name]
    a, b = Region.from_mask(first), Region.from_mask(second)

    d = surface_distances(a, b, axial_grid())
    means = mean_surface_distance_mm(d)
    found = [
        dice(a, b), surface_dice(d, 1), surface_dice(d, 2), hausdorff_mm(d, 95), hausdorff_mm(d, 100),
        means.a_to_b_mm, means.b_to_a_mm, added_path_length(a, b, axial_grid()).pixels,
    ]  # fmt: skip

    assert (a.voxel_count, b.voxel_count) == (count_a, count_b)
    assert found == pytest.approx(numbers, abs=PRINTED)


@pytest.mark.parametrize(
    ("mask", "area"),
    [
        (sphere(15), 3238.4665),
        (BOX, 5496.6640),
        (sphere(15) & ~sphere(7), 3932.4949),
        (box(slice(10, 11), slice(20, 21), slice(20, 21)), 3.6885),
    ],
)
def test_surface_areas_are_the_published_ones(mask: NDArray[np.bool_], area: float) -> None:
    region = Region.from_mask(mask)

    assert surface_distances(region, region, axial_grid()).a_areas.sum() == pytest.approx(area, abs=6e-5)


def test_element_areas_do_not_change_when_axes_are_exchanged() -> None:
    """A planted swap of two spacings must change the table, and exchanging patterns as well must undo it."""
    plain, swapped = element_areas_mm2((2.5, 0.9, 1.1)), element_areas_mm2((2.5, 1.1, 0.9))
    exchange = [sum(1 << (b & 4 | (b & 1) << 1 | b >> 1 & 1) for b in range(8) if c >> b & 1) for c in range(256)]

    assert not np.allclose(plain, swapped)
    assert np.allclose(plain, swapped[exchange])
    assert (plain[1:255] > 0).all()


def test_tolerance_is_inclusive() -> None:
    a = Region.from_mask(BOX)
    b = Region.from_mask(box(slice(6, 18), slice(15, 45), slice(18, 50)))

    d = surface_distances(a, b, axial_grid())

    assert surface_dice(d, 2.2 + 1e-9) == 1.0
    assert surface_dice(d, 2.2 - 1e-9) < 1.0


def test_both_empty_is_not_a_number_and_one_empty_is_infinitely_far() -> None:
    empty, full = Region.from_mask(np.zeros(SHAPE, dtype=np.bool_)), Region.from_mask(BOX)

    nothing, missed = agreement(empty, empty, axial_grid()), agreement(full, empty, axial_grid())

    assert all(math.isnan(v) for v in (nothing.dice, nothing.hausdorff95_mm, nothing.surface_dice[1.0]))
    assert math.isnan(nothing.mean_surface_distance.mean_mm)
    assert dice(empty, empty, both_empty=1.0) == 1.0
    assert (missed.dice, missed.surface_dice[2.0], missed.hausdorff_mm) == (0.0, 0.0, math.inf)
    assert missed.mean_surface_distance.pooled_mm == math.inf
    assert missed.volume_difference == -1.0


def test_one_plane_is_measured_along_its_contour() -> None:
    grid = axial_grid((1, 60, 64))
    square, moved = np.zeros((2, 1, 60, 64), dtype=np.bool_)
    square[0, 10:30, 10:40] = True
    moved[0, 13:33, 10:40] = True

    d = surface_distances(Region.from_mask(square), Region.from_mask(moved), grid)

    corner = math.hypot(0.9, 1.1) / 2
    assert d.a_areas.sum() == pytest.approx(2 * 19 * 0.9 + 2 * 29 * 1.1 + 4 * corner)
    assert hausdorff_mm(d, 100) == pytest.approx(2.7)


def test_voxel_border_convention_gives_other_numbers_and_says_so() -> None:
    a, b = Region.from_mask(sphere(15)), Region.from_mask(sphere(13))

    border = surface_distances(a, b, axial_grid(), "voxel_border")

    assert border.convention == "voxel_border"
    assert surface_dice(border, 2) != pytest.approx(surface_dice(surface_distances(a, b, axial_grid()), 2), abs=0.01)


def test_added_path_with_a_tolerance_forgives_a_neighbouring_pixel() -> None:
    a = Region.from_mask(BOX)
    b = Region.from_mask(box(slice(6, 18), slice(15, 45), slice(17, 49)))

    assert added_path_length(a, b, axial_grid()).pixels == 12 * (30 + 28)
    assert added_path_length(a, b, axial_grid(), tolerance_px=1).pixels == 0
    assert added_path_length(a, b, axial_grid()).length_mm == pytest.approx(696 * math.sqrt(0.99))


def test_agreement_reports_volume_and_shift() -> None:
    a = Region.from_mask(BOX)
    b = Region.from_mask(box(slice(6, 16), slice(15, 45), slice(18, 50)))

    found = agreement(a, b, axial_grid())

    assert found.reference_cc == pytest.approx(12 * 30 * 32 * 2.5 * 0.9 * 1.1 / 1000)
    assert found.volume_difference == pytest.approx(-1 / 6)
    assert found.centroid_shift_lps_mm == pytest.approx((2.2, 0, -2.5))
    assert jaccard(a, b) == pytest.approx(found.dice / (2 - found.dice))


def test_other_grids_and_uneven_or_tilted_stacks_are_refused() -> None:
    a = Region.from_mask(BOX)
    other = Region.from_mask(np.ones((24, 60, 63), dtype=np.bool_))
    uneven = axial_grid(positions=[0, 2, *range(5, 27)])
    tilted = Grid(
        axial_grid().positions_lps + np.arange(24)[:, None] * np.array([0, 0.3, 0]),
        np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), SPACING[1:], 60, 64, "1.2.3",
    )  # fmt: skip

    for call in (dice, jaccard, volume_difference):
        with pytest.raises(GridMismatch):
            call(a, other)
    with pytest.raises(GridMismatch):
        surface_distances(a, other, axial_grid())
    with pytest.raises(MissingSlices):
        surface_distances(a, a, uneven)
    with pytest.raises(GantryTilt):
        surface_distances(a, a, tilted)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_metrics_are_symmetric_and_vanish_for_equal_masks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (Region.from_mask(rng.random((5, 7, 6)) > 0.6) for _ in range(2))
    grid = axial_grid((5, 7, 6))

    there, back, same = (surface_distances(*pair, grid) for pair in ((a, b), (b, a), (a, a)))

    assert surface_dice(there, 1.0) == pytest.approx(surface_dice(back, 1.0))
    assert hausdorff_mm(there) == pytest.approx(hausdorff_mm(back))
    assert hausdorff_mm(same, 100) == 0
    assert surface_dice(same, 0) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(2.5, 0.9, 1.1), (9.0, 0.5, 0.4), (0.6, 1.3, 0.8)]),
    st.sampled_from([None, 0.5, 4.0, 400.0]),
)
def test_nearest_elements_near_and_far_equal_brute_force(
    seed: int, spacing: tuple[float, float, float], reach_mm: float | None
) -> None:
    """Asked around, and joined with a reach that is too short, middling and longer than the box; boxes may be apart."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, [9, 40, 50], (2, 3))
    corners = rng.integers(-20, 30, (2, 3))
    points, targets = (
        rng.integers(0, size, (int(rng.integers(1, 90)), 3)) + corner
        for size, corner in zip(sizes, corners, strict=True)
    )
    mm = np.array(spacing)

    found = nearest_mm(points, targets, mm) if reach_mm is None else _joined(points, targets, mm, reach_mm)

    assert found == pytest.approx(cdist(points * mm, targets * mm).min(axis=1))


def test_planes_are_joined_for_far_surfaces_and_not_for_near_ones() -> None:
    """Both ways are taken, each where it is meant to be, and give the same."""
    spacing, shape = np.array([2.5, 0.9, 1.1]), np.array([40, 160, 170])
    j, i = np.meshgrid(np.arange(160), np.arange(170), indexing="ij")
    sheet = np.stack([np.full(j.size, 3), j.ravel(), i.ravel()], axis=1)
    near, far = sheet + np.array([1, 0, 0]), sheet + np.array([30, 0, 0])

    assert _reach_where_joined_mm(sheet, near, spacing, shape) is None
    reach_mm = _reach_where_joined_mm(sheet, far, spacing, shape)

    assert reach_mm is not None and reach_mm > 75
    assert nearest_mm(sheet, far, spacing) == pytest.approx(75.0)
