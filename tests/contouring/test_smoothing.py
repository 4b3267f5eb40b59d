"""Smoothing at constant volume: what it keeps, what it evens out, and what it says it has lost."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from contouring.errors import EmptyStructure, GridMismatch
from contouring.overlap import dice
from contouring.shapes import Placed, ellipsoid, rotation
from contouring.smoothing import _weights_along, smoothed
from contouring.surface import surface_distances
from contouring.volumes import volume_cc
from imaging.geometry import Grid
from imaging.volume import Region

TURN = rotation(21.0, -13.0, 34.0)


def grid_of_planes(along_mm: NDArray[np.float64]) -> Grid:
    return Grid(
        np.array([-41.3, 17.7, -205.1]) + along_mm[:, None] * TURN[:, 2],
        TURN[:, 0], TURN[:, 1], (0.9, 1.1), 61, 53, "1.2.3", 2.5,
    )  # fmt: skip


EVEN = grid_of_planes(np.arange(23, dtype=np.float64) * 2.5)
UNEVEN = grid_of_planes(np.array([2.0, 3.0, 2.5] * 8).cumsum()[:23].astype(np.float64))


def test_planes_weigh_by_their_own_thickness() -> None:
    """The mean position around a plane, weighed by the volumes of the planes, is nearly its own."""
    grid = grid_of_planes(np.random.default_rng(3).choice([1.5, 3.0, 5.0], 23).cumsum())
    along = grid.plane_positions_mm
    weights = _weights_along(grid, slice(0, len(along)), 4.0)

    assert np.abs((weights @ along - along)[5:-5]).max() < 0.4  # with another plane's thickness, 1 mm


def middle_of(grid: Grid) -> NDArray[np.float64]:
    return np.asarray(grid.points_lps(11, np.array([[24.3, 31.2]]))[0])


def rough(grid: Grid) -> tuple[Region, Region]:
    """An ellipsoid, and the same with a surface that noise has moved by up to a few voxels."""
    plain = Placed(ellipsoid(17, 14, 19), middle_of(grid), TURN).mask(grid)
    rng = np.random.default_rng(5)
    k, j, i = np.indices(grid.shape).reshape(3, -1)
    own = (grid.points_lps(k, np.stack([i, j], axis=1)) - middle_of(grid)) @ TURN / (17, 14, 19)
    radius = np.linalg.norm(own, axis=1).reshape(grid.shape)
    return Region.from_mask(plain), Region.from_mask(radius + rng.normal(0, 0.09, grid.shape) < 1)


@pytest.mark.parametrize("grid", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_volume_stays_and_roughness_falls(grid: Grid) -> None:
    plain, noisy = rough(grid)

    found = smoothed(noisy, grid, 3.0).region

    assert volume_cc(found, grid) == pytest.approx(volume_cc(noisy, grid), rel=0.005)
    assert dice(found, plain) > 0.96 > 0.93 > dice(noisy, plain)


def test_the_surface_of_a_rough_ellipsoid_gets_as_small_as_that_of_the_plain_one() -> None:
    plain, noisy = rough(EVEN)

    found = smoothed(noisy, EVEN, 3.0).region

    areas = [float(surface_distances(r, plain, EVEN).a_areas.sum()) for r in (plain, found, noisy)]
    assert areas[1] == pytest.approx(areas[0], rel=0.04)
    assert areas[2] > 1.3 * areas[0]


def test_a_plain_ellipsoid_stays_where_it_is() -> None:
    plain, _ = rough(EVEN)

    assert dice(smoothed(plain, EVEN, 1.5).region, plain) > 0.985


def test_separate_parts_keep_their_volume_each_and_small_ones_do_not_vanish() -> None:
    mask = np.zeros(EVEN.shape, dtype=np.bool_)
    mask[5:15, 8:30, 9:31] = True
    mask[9, 45, 40:43] = True

    found = smoothed(Region.from_mask(mask), EVEN, 3.0)

    assert found.region.voxel_count == mask.sum()
    assert found.region.mask()[:, 40:, :].sum() == 3


@pytest.mark.parametrize("grid", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_parts_that_grow_into_each_other_keep_their_volume_and_are_told(grid: Grid) -> None:
    mask = np.zeros(grid.shape, dtype=np.bool_)
    mask[5:15, 8:25, 9:31] = mask[7:16, 27:45, 12:29] = True
    region = Region.from_mask(mask)

    found = smoothed(region, grid, 5.0)

    assert volume_cc(found.region, grid) == pytest.approx(volume_cc(region, grid), rel=5e-4)
    assert (found.parts_before, found.parts_after) == (2, 1)


def test_a_thin_spike_that_is_lost_is_told() -> None:
    mask = np.zeros(EVEN.shape, dtype=np.bool_)
    mask[5:15, 8:30, 9:31] = True
    mask[9, 30:50, 20] = True

    found = smoothed(Region.from_mask(mask), EVEN, 2.0)

    assert not found.region.mask()[9, 45:50, 20].any()
    assert found.thin_cc == pytest.approx(20 * 0.9 * 1.1 * 2.5 / 1000, rel=0.25)
    assert smoothed(rough(EVEN)[0], EVEN, 2.0).thin_cc == 0


@pytest.mark.parametrize("grid", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_holes_and_tunnels_that_close_are_told_with_their_volume(grid: Grid) -> None:
    mask = np.zeros(grid.shape, dtype=np.bool_)
    mask[5:17, 8:38, 9:37] = True
    hole, tunnel, wide = mask.copy(), mask.copy(), mask.copy()
    hole[8:12, 15:19, 20:26] = False
    tunnel[:, 21:24, 19:23] = False
    wide &= ~Placed(ellipsoid(9, 8, 10), grid.points_lps(11, np.array([[22.7, 22.4]]))[0], TURN).mask(grid)

    closed, bored, kept, plain = (smoothed(Region.from_mask(m), grid, 3.0) for m in (hole, tunnel, wide, mask))

    assert not (~closed.region.mask() & mask & ~hole).any()
    own_cc = volume_cc(Region.from_mask(mask & ~hole), grid)
    assert closed.holes_closed == 1
    assert closed.filled_cc == pytest.approx(own_cc)
    assert closed.losses[-1] == f"{own_cc:.2f} cc of holes (1 closed) and narrow gaps were filled by smoothing"
    assert bored.filled_cc == pytest.approx(volume_cc(Region.from_mask(mask & ~tunnel), grid), rel=0.35)
    assert (kept.holes_closed, kept.filled_cc) == (plain.holes_closed, plain.filled_cc) == (0, 0)


def test_empty_foreign_and_impossible_ones_are_refused() -> None:
    with pytest.raises(EmptyStructure):
        smoothed(Region.from_mask(np.zeros(EVEN.shape, dtype=np.bool_)), EVEN, 2.0)
    with pytest.raises(GridMismatch):
        smoothed(Region.from_mask(np.ones((2, 3, 4), dtype=np.bool_)), EVEN, 2.0)
    for width in (0.0, -1.0, 21.0, float("nan")):
        with pytest.raises(ValueError, match="width"):
            smoothed(rough(EVEN)[0], EVEN, width)


def test_a_square_is_rounded_alike_along_rows_and_columns() -> None:
    """Pixels are three times as wide as high: a width that is taken for the other axis leaves a bar."""
    grid = replace(EVEN, pixel_spacing_mm=(0.6, 1.8))
    mask = np.zeros(grid.shape, dtype=np.bool_)
    mask[9:14, 20:38, 24:30] = True

    found = smoothed(Region.from_mask(mask), grid, 3.0).region

    _, rows, columns = np.nonzero(found.mask())
    assert np.std(rows * 0.6) == pytest.approx(np.std(columns * 1.8), rel=0.05)
