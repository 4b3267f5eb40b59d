"""The midline: found where both halves of the body are seen, and nowhere else."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from contouring.midline import midline_of_body, midline_of_image
from contouring.shapes import Placed, ellipsoid, rotation
from imaging.geometry import Grid
from imaging.volume import Region, Volume

HU = "[hnsf'U]"

X, Y = np.meshgrid(-251.0 + 4.3 * np.arange(121), -130.5 + 5.1 * np.arange(57))
FIELD = Grid(
    np.array([-251.0, -130.5, -205.0]) + np.arange(13)[:, None] * [0, 0, 5.0],
    np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (5.1, 4.3), 57, 121, "1.2.3",
)  # fmt: skip

Mask = NDArray[np.bool_]


def volume_of(turn: tuple[float, float, float], centre_mm: float, *, unit: str = HU, columns: int = 121) -> Volume:
    """A trunk with two lungs, fat beside a table, `centre_mm` to the left of the middle of the image."""
    axes = rotation(*turn)
    grid = Grid(
        np.array([-171.3, 57.7, -205.1]) + np.arange(19)[:, None] * 9.0 * axes[:, 2],
        axes[:, 0], axes[:, 1], (5.9, 4.3), 75, columns, "1.2.3",
    )  # fmt: skip
    k, j, i = (np.array(n) // 2 for n in grid.shape)
    middle = grid.points_lps(k, np.array([[i, j]]))[0] + np.array([centre_mm, 0.0, 0.0])
    values = np.full(grid.shape, -1000.0)
    values[Placed(ellipsoid(174, 106, 190), middle).mask(grid)] = 40.0
    for side in (-75, 81):
        values[Placed(ellipsoid(42, 51, 120), middle + np.array([side, 0.0, 0.0])).mask(grid)] = -800.0
    values[Placed(ellipsoid(198, 12, 190), middle + np.array([27.0, 148.0, 0.0])).mask(grid)] = -100.0
    if unit != HU:
        values = values + 1000.0
    return Volume(values, grid, unit=unit)


def seen(shape: Callable[[], Mask]) -> Volume:
    values = np.full(FIELD.shape, -1000.0)
    values[:, shape()] = 40.0
    return Volume(values, FIELD, unit=HU)


def disc(x_mm: float, radius_mm: float, y_mm: float = 0.0) -> Mask:
    return np.asarray((X - x_mm) ** 2 + (Y - y_mm) ** 2 < radius_mm**2)


def trunk(x_mm: float = 13.0) -> Mask:
    return np.asarray(((X - x_mm) / 170) ** 2 + (Y / 95) ** 2 < 1)


@pytest.mark.parametrize("unit", [HU, "1"])
@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.0, 0.0, 180.0), (8.0, -6.0, 11.0)])
def test_the_middle_of_the_trunk_is_found_in_any_orientation(turn: tuple[float, float, float], unit: str) -> None:
    volume = volume_of(turn, 7.0, unit=unit)
    k, j, i = (np.array(n) // 2 for n in volume.grid.shape)
    truth = volume.grid.points_lps(k, np.array([[i, j]]))[0, 0] + 7.0

    found = midline_of_image(volume)

    assert found.x_mm == pytest.approx(truth, abs=3)
    assert 0 < found.uncertainty_mm <= (25 if unit == HU else 50)


def test_an_image_cropped_within_the_body_has_none() -> None:
    cropped = midline_of_image(volume_of((0.0, 0.0, 0.0), 7.0, columns=67))
    assert (cropped.x_mm, cropped.reason) == (None, "the border of the image cuts the body at a side")
    empty = volume_of((0.0, 0.0, 0.0), 7.0)
    assert midline_of_image(Volume(np.full_like(empty.array, -1000.0), empty.grid, unit=HU)).x_mm is None


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (lambda: disc(-95, 90), "the outline is no wider than a limb may be"),
        (lambda: disc(-95, 85) | disc(92, 80), "the outline is in several parts, as legs are"),
        (lambda: disc(-95, 85) | disc(230, 80), "the outline is in several parts, as legs are"),
        (lambda: trunk() & (X < 120), "the body ends at a straight line at a side"),
        (lambda: trunk(130.0), "the border of the image cuts the body at a side"),
    ],
)
def test_what_may_not_show_both_halves_has_no_midline_but_the_reason(shape: Callable[[], Mask], reason: str) -> None:
    found = midline_of_image(seen(shape))

    assert (found.x_mm, found.reason) == (None, reason)
    drawn = midline_of_body(Region.from_mask(np.broadcast_to(shape(), FIELD.shape).copy()), FIELD)
    assert (drawn.x_mm, drawn.reason) == (None, reason)


def test_a_round_field_that_cuts_the_body_is_a_border() -> None:
    volume = seen(trunk)
    volume.array[:, (X - 60) ** 2 + Y**2 > 190**2] = -2000.0

    assert midline_of_image(volume).reason == "the border of the image cuts the body at a side"


@pytest.mark.parametrize(
    "shape", [trunk, lambda: trunk() | disc(-172, 38), lambda: trunk() | (abs(Y - 96) < 8) & (abs(X + 25) < 200)]
)
def test_the_truth_lies_within_the_uncertainty(shape: Callable[[], Mask]) -> None:
    """A trunk alone, with an arm at one side, and on a table that stands off the middle."""
    found = midline_of_image(seen(shape))

    assert found.x_mm is not None
    assert abs(found.x_mm - 13.0) <= found.uncertainty_mm


def test_the_header_says_a_limb_or_a_head() -> None:
    head = seen(lambda: np.asarray(((X - 31) / 78) ** 2 + (Y / 95) ** 2 < 1))

    assert midline_of_image(seen(trunk), "EXTREMITY").reason == "the image is one of a limb"
    assert midline_of_image(head).x_mm is None
    assert midline_of_image(head, "HEAD").x_mm == pytest.approx(31, abs=2)
