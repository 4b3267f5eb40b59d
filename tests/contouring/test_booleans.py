"""Booleans of crops against Booleans of whole masks, and what is made from them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contouring.booleans import (
    cropped_from_skin,
    exclusive_or,
    intersection,
    largest_part,
    ring,
    subtract,
    union,
    wall,
    with_filled_holes,
    without_small_parts,
)
from contouring.errors import GridMismatch
from contouring.volumes import volume_cc
from imaging.geometry import Grid
from imaging.volume import Region

SHAPE = (19, 47, 53)
GRID = Grid(
    np.arange(19)[:, None] * np.array([0, 0, 2.5]) + [-20.0, 11.0, 100.0],
    np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (0.9, 1.1), 47, 53, "1.2.3",
)  # fmt: skip

Mask = NDArray[np.bool_]


def box(z: slice, y: slice, x: slice) -> Mask:
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[z, y, x] = True
    return mask


@pytest.mark.parametrize(
    ("operation", "plain"),
    [
        (union, lambda a, b: a | b),
        (intersection, lambda a, b: a & b),
        (subtract, lambda a, b: a & ~b),
        (exclusive_or, lambda a, b: a ^ b),
    ],
)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_crops_combine_like_whole_masks(
    operation: Callable[..., Region], plain: Callable[[Mask, Mask], Mask], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(2):
        low = rng.integers(0, [6, 7, 8])
        high = rng.integers(low, [7, 8, 9])
        mask = np.zeros((7, 8, 9), dtype=np.bool_)
        part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        mask[part] = rng.random(mask[part].shape) > 0.4
        masks.append(mask)

    found = operation(*(Region.from_mask(m) for m in masks))

    assert np.array_equal(found.mask(), plain(*masks))


def test_regions_of_different_grids_are_not_combined() -> None:
    with pytest.raises(GridMismatch):
        union(Region.from_mask(box(slice(2, 4), slice(3, 9), slice(1, 5))), Region.from_mask(np.ones((2, 3, 4), bool)))


def test_a_ring_and_a_wall_lie_outside_and_inside() -> None:
    region = Region.from_mask(box(slice(6, 13), slice(15, 33), slice(16, 36)))

    around, layer = ring(region, GRID, 2, 5), wall(region, GRID, 3)

    assert not (around.mask() & region.mask()).any()
    assert not (layer.mask() & ~region.mask()).any()
    assert layer.mask()[6, 24, 26]
    assert not layer.mask()[9, 24, 26]
    assert not around.mask()[9, 34, 26]
    assert around.mask()[9, 36, 26]
    with pytest.raises(ValueError, match="larger"):
        ring(region, GRID, 5, 5)


def test_skin_is_kept_free() -> None:
    body = Region.from_mask(box(slice(1, 18), slice(4, 43), slice(5, 48)))
    target = Region.from_mask(box(slice(6, 13), slice(2, 20), slice(16, 36)))

    cropped = cropped_from_skin(target, body, GRID, 5)

    first_row = np.flatnonzero(cropped.mask()[9].any(axis=1))[0]
    assert (first_row - 3.5) * 0.9 == pytest.approx(5, abs=0.9)
    assert np.array_equal(cropped_from_skin(target, body, GRID, 0).mask(), target.mask() & body.mask())


def test_the_largest_part_is_kept_and_the_others_are_counted() -> None:
    big, small = box(slice(2, 9), slice(5, 20), slice(4, 19)), box(slice(12, 14), slice(30, 33), slice(30, 33))
    region = Region.from_mask(big | small)

    kept, dropped = largest_part(region)

    assert np.array_equal(kept.mask(), big)
    assert dropped == 1
    assert volume_cc(kept, GRID) > 0.5
    sieved, gone = without_small_parts(region, GRID, 0.1)
    assert (gone, sieved.voxel_count) == (1, int(big.sum()))


def test_holes_are_filled_slice_by_slice_and_counted() -> None:
    outer, hole = box(slice(4, 9), slice(5, 20), slice(4, 19)), box(slice(5, 8), slice(10, 13), slice(9, 12))

    filled, added = with_filled_holes(Region.from_mask(outer & ~hole))

    assert np.array_equal(filled.mask(), outer)
    assert added == hole.sum()
