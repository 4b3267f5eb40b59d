"""Volumes and centres on even, uneven and single-plane grids."""

import numpy as np
import pytest

from contouring import dice, volume_cc
from contouring.errors import EmptyStructure, GridMismatch
from contouring.overlap import joint_crops
from contouring.volumes import centroid_lps, plane_thickness_mm
from imaging.errors import MissingSlices
from imaging.geometry import Grid
from imaging.volume import Region


def grid_at(*along: float, thickness: float | None = None) -> Grid:
    return Grid(
        np.array([[-31.5, 42.25, -117.5 + z] for z in along]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]),
        (1.1, 0.9), 7, 5, "1.2.3", thickness,
    )  # fmt: skip


def test_even_planes_count_with_the_spacing() -> None:
    region = Region.from_mask(np.ones((4, 7, 5), dtype=np.bool_))

    assert volume_cc(region, grid_at(0, 2.5, 5, 7.5)) == pytest.approx(140 * 2.5 * 1.1 * 0.9 / 1000)


def test_uneven_planes_count_with_their_own_thickness() -> None:
    grid = grid_at(0, 2, 5, 8, 13)

    assert plane_thickness_mm(grid).tolist() == [2, 2.5, 3, 4, 5]
    mask = np.zeros((5, 7, 5), dtype=np.bool_)
    mask[1, 2, 3] = mask[3, 1:3, 1] = True
    assert volume_cc(Region.from_mask(mask), grid) == pytest.approx((2.5 + 2 * 4) * 0.99 / 1000)


def test_one_plane_needs_its_thickness() -> None:
    region = Region.from_mask(np.ones((1, 7, 5), dtype=np.bool_))

    assert volume_cc(region, grid_at(0, thickness=3)) == pytest.approx(35 * 3 * 0.99 / 1000)
    with pytest.raises(MissingSlices):
        volume_cc(region, grid_at(0))


def test_the_centre_of_one_voxel_is_its_position() -> None:
    mask = np.zeros((3, 7, 5), dtype=np.bool_)
    mask[2, 6, 1] = True

    centre = centroid_lps(Region.from_mask(mask), grid_at(0, 2, 5))

    assert centre == pytest.approx([-31.5 + 0.9, 42.25 + 6 * 1.1, -112.5])


def test_thicker_planes_weigh_more_in_the_centre() -> None:
    mask = np.zeros((3, 7, 5), dtype=np.bool_)
    mask[0, 2, 2] = mask[2, 2, 2] = True

    centre = centroid_lps(Region.from_mask(mask), grid_at(0, 2, 5))

    assert centre[2] == pytest.approx(-117.5 + 5 * 3 / (2 + 3))


def test_foreign_and_empty_regions_are_refused() -> None:
    region = Region.from_mask(np.ones((3, 7, 5), dtype=np.bool_))

    with pytest.raises(GridMismatch):
        volume_cc(region, grid_at(0, 2))
    with pytest.raises(EmptyStructure):
        centroid_lps(Region.from_mask(np.zeros((2, 7, 5), dtype=np.bool_)), grid_at(0, 2))


def test_crops_that_do_not_meet_have_no_overlap() -> None:
    a, b = np.zeros((2, 9, 8, 7), dtype=np.bool_)
    a[1:3, 1:4, 1:2] = True
    b[6:8, 5:7, 4:6] = True

    assert dice(Region.from_mask(a), Region.from_mask(b)) == 0
    crop_a, crop_b, start = joint_crops(Region.from_mask(a), Region.from_mask(b))
    assert start == (1, 1, 1)
    assert (crop_a.sum(), crop_b.sum(), crop_a.shape) == (a.sum(), b.sum(), (7, 6, 5))
