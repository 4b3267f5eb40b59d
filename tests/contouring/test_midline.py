"""The midline found in an image without contours."""

import numpy as np
import pytest

from contouring.midline import midline_of_image_mm
from contouring.shapes import Placed, ellipsoid, rotation
from imaging.geometry import Grid
from imaging.volume import Volume

HU = "[hnsf'U]"


def volume_of(turn: tuple[float, float, float], centre_mm: float, *, unit: str = HU, columns: int = 75) -> Volume:
    """A body with two lungs, fat beside a table, `centre_mm` to the left of the middle of the image."""
    axes = rotation(*turn)
    grid = Grid(
        np.array([-71.3, 17.7, -205.1]) + np.arange(19)[:, None] * 5.0 * axes[:, 2],
        axes[:, 0], axes[:, 1], (2.9, 2.3), 61, columns, "1.2.3",
    )  # fmt: skip
    k, j, i = (np.array(n) // 2 for n in grid.shape)
    middle = grid.points_lps(k, np.array([[i, j]]))[0] + np.array([centre_mm, 0.0, 0.0])
    values = np.full(grid.shape, -1000.0)
    values[Placed(ellipsoid(58, 41, 90), middle).mask(grid)] = 40.0
    for side in (-25, 27):
        values[Placed(ellipsoid(14, 17, 60), middle + np.array([side, 0.0, 0.0])).mask(grid)] = -800.0
    values[Placed(ellipsoid(66, 5, 90), middle + np.array([9.0, 62.0, 0.0])).mask(grid)] = -100.0
    if unit != HU:
        values = values + 1000.0
    return Volume(values, grid, unit=unit)


@pytest.mark.parametrize("unit", [HU, "1"])
@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.0, 0.0, 180.0), (8.0, -6.0, 11.0)])
def test_the_middle_of_the_body_is_found_in_any_orientation(turn: tuple[float, float, float], unit: str) -> None:
    volume = volume_of(turn, 7.0, unit=unit)
    k, j, i = (np.array(n) // 2 for n in volume.grid.shape)
    truth = volume.grid.points_lps(k, np.array([[i, j]]))[0, 0] + 7.0

    assert midline_of_image_mm(volume) == pytest.approx(truth, abs=2.5)


def test_an_image_cropped_within_the_body_has_none() -> None:
    assert midline_of_image_mm(volume_of((0.0, 0.0, 0.0), 7.0, columns=37)) is None
    empty = volume_of((0.0, 0.0, 0.0), 7.0)
    assert midline_of_image_mm(Volume(np.full_like(empty.array, -1000.0), empty.grid, unit=HU)) is None
