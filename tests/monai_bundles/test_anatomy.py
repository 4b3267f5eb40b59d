"""Whether a CT shows a head and neck is seen in the image."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from imaging.testing.phantom import make_phantom
from imaging.volume import Volume
from monai_bundles.anatomy import head_extent, shows_head_and_neck


@cache
def patient() -> Volume:
    return make_phantom(shape=(118, 190, 210), seed=2).volume


def planes(volume: Volume, first: int, last: int) -> Volume:
    grid = replace(volume.grid, positions_lps=volume.grid.positions_lps[first:last])
    return Volume(volume.array[first:last], grid, unit=volume.unit)


def test_a_head_with_its_neck_is_seen() -> None:
    extent = head_extent(patient())

    assert shows_head_and_neck(patient())
    assert extent.brain_mm > 80
    assert extent.below_mm > 200


def test_a_chest_is_no_head_and_neck() -> None:
    assert not shows_head_and_neck(planes(patient(), 0, 58))


def test_a_head_without_a_neck_is_not_enough() -> None:
    assert not shows_head_and_neck(planes(patient(), 88, 118))


def test_a_head_is_seen_when_the_slices_run_downwards() -> None:
    volume = patient()
    grid = volume.grid
    # The planes must ascend along the normal, so turning the order turns the rows too: a feet-first prone scan.
    turned = replace(
        grid,
        positions_lps=(grid.positions_lps + (grid.rows - 1) * grid.pixel_spacing_mm[0] * grid.column_direction)[::-1],
        column_direction=-grid.column_direction,
    )

    assert shows_head_and_neck(Volume(volume.array[::-1, ::-1], turned, unit=volume.unit))


@pytest.mark.parametrize("hu", [-1000, 40])
def test_an_empty_or_even_block_is_no_head(hu: int) -> None:
    volume = patient()

    assert not shows_head_and_neck(Volume(np.full_like(volume.array, hu), volume.grid, unit=volume.unit))
