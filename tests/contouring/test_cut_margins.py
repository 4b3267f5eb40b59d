"""What of a margin lies beyond the image, against closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from contouring.cut_margins import share_beyond_image
from contouring.margins import Margin
from contouring.shapes import rotation
from imaging.geometry import Grid
from imaging.volume import Region

TURN = rotation(0.0, 0.0, 90.0)
GRID = Grid(
    np.array([-41.3, 17.7, -205.1]) + np.arange(23)[:, None] * 2.5 * TURN[:, 2],
    TURN[:, 0], TURN[:, 1], (0.9, 1.1), 61, 53, "1.2.3", 2.5,
)  # fmt: skip


def box(planes: slice, rows: slice, columns: slice) -> Region:
    mask = np.zeros(GRID.shape, dtype=np.bool_)
    mask[planes, rows, columns] = True
    return Region.from_mask(mask)


def test_nothing_lies_beyond_where_the_margin_ends_within_the_image() -> None:
    region = box(slice(9, 14), slice(20, 40), slice(20, 33))

    assert share_beyond_image(region, GRID, Margin.uniform(8)) == 0
    assert share_beyond_image(region, GRID, Margin.uniform(0)) == 0


def test_a_box_at_the_top_of_the_scan_loses_what_lies_above() -> None:
    """Grown upwards only: 5 planes of 2.5 mm with 10 mm above, of which all lie beyond."""
    region = box(slice(18, 23), slice(20, 40), slice(20, 33))
    upwards = Margin(0, 0, 0, 0, 10, 0)

    assert share_beyond_image(region, GRID, upwards) == pytest.approx(10 / 22.5, abs=0.03)
    assert share_beyond_image(region, GRID, Margin(0, 0, 0, 0, 0, 10)) == 0


def test_a_voxel_in_the_corner_keeps_an_eighth() -> None:
    region = box(slice(0, 1), slice(0, 1), slice(0, 1))

    assert share_beyond_image(region, GRID, Margin.uniform(15)) == pytest.approx(7 / 8, abs=0.05)


def test_a_box_at_the_last_columns_loses_what_lies_beside_them() -> None:
    """Pixels are three times as wide as high, so that rows taken for columns would be seen; columns go to posterior."""
    grid = replace(GRID, pixel_spacing_mm=(0.6, 1.8))
    region = box(slice(9, 14), slice(20, 40), slice(43, 53))

    assert share_beyond_image(region, grid, Margin(0, 0, 0, 10, 0, 0)) == pytest.approx(10 / 28, abs=0.03)
    assert share_beyond_image(region, grid, Margin(0, 0, 10, 0, 0, 0)) == 0
