"""Shapes between the planes they were drawn on."""

import numpy as np
import pytest
from numpy.typing import NDArray

from contouring.interpolate import between_planes, signed_distance_mm


def discs(*radii: float, centre: float = 20.0) -> NDArray[np.bool_]:
    j, i = np.mgrid[0:47, 0:41]
    return np.stack([np.hypot(1.1 * (j - 24), 0.9 * (i - centre)) <= r for r in radii])


POSITIONS = np.array([0.0, 3.0, 6.0, 9.0])


def test_the_shape_half_way_has_the_mean_radius() -> None:
    masks, made = between_planes(discs(6, 12, 12, 6), POSITIONS, np.array([1.5, 4.5, 7.5]), (1.1, 0.9), fill_gaps=False)

    areas = masks.sum(axis=(1, 2)) * 1.1 * 0.9
    assert areas == pytest.approx([np.pi * 81, np.pi * 144, np.pi * 81], rel=0.08)
    assert made == (0, 1, 2)


def test_a_shape_nearer_to_one_plane_is_more_like_its_shape() -> None:
    masks, _ = between_planes(discs(6, 12), np.array([0.0, 3.0]), np.array([0.75, 2.5]), (1.1, 0.9), fill_gaps=False)

    areas = masks.sum(axis=(1, 2)) * 1.1 * 0.9
    assert areas == pytest.approx([np.pi * 7.5**2, np.pi * 11**2], rel=0.08)


def test_planes_that_were_drawn_stay_as_they_are() -> None:
    shapes = discs(6, 12, 7, 6)

    masks, made = between_planes(shapes, POSITIONS, POSITIONS, (1.1, 0.9), fill_gaps=True)

    assert np.array_equal(masks, shapes)
    assert made == ()


def test_parts_that_do_not_overlap_are_never_bridged() -> None:
    left, right = discs(4, centre=8), discs(4, centre=32)
    shapes = np.concatenate([left, left, right, right])

    masks, _ = between_planes(shapes, POSITIONS, np.array([4.0, 4.6]), (1.1, 0.9), fill_gaps=True)

    assert np.array_equal(masks[0], left[0]), "ends half a slice further on"
    assert np.array_equal(masks[1], right[0])


def test_a_branch_is_joined_with_both_of_its_parts() -> None:
    trunk, arms = discs(14), discs(4, centre=8) | discs(4, centre=32)

    masks, _ = between_planes(
        np.concatenate([trunk, arms]), np.array([0.0, 3.0]), np.array([1.5]), (1.1, 0.9), fill_gaps=False
    )

    assert masks[0, 24, 9]
    assert masks[0, 24, 31]
    assert arms.sum() < masks[0].sum() < trunk.sum()


def test_gaps_stay_empty_until_filling_is_asked_for() -> None:
    shapes, at = discs(6, 7, 8, 9), np.array([0.0, 3.0, 6.0, 18.0])

    empty, _ = between_planes(shapes, at, np.array([9.0, 12.0, 15.0]), (1.1, 0.9), fill_gaps=False)
    filled, _ = between_planes(shapes, at, np.array([9.0, 12.0, 15.0]), (1.1, 0.9), fill_gaps=True)

    assert not empty.any()
    assert filled.any(axis=(1, 2)).all()


def test_ends_are_capped_by_half_a_slice() -> None:
    targets = np.array([-1.6, -1.4, 10.4, 10.6])

    masks, _ = between_planes(discs(6, 7, 8, 9), POSITIONS, targets, (1.1, 0.9), fill_gaps=True)

    assert masks.any(axis=(1, 2)).tolist() == [False, True, True, False]


def test_distances_are_signed_and_in_millimetres() -> None:
    mask = np.zeros((9, 8), dtype=np.bool_)
    mask[3:6, 2:7] = True

    distance = signed_distance_mm(mask, (2.0, 0.5))

    assert distance[4, 2] == 0.5
    assert distance[1, 4] == -4.0
