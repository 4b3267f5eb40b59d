"""Coordinates as DICOM's decimal strings."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contouring.decimals import contour_data, decimal_text
from contouring.errors import UnwritableNumber

COORDINATES = st.floats(-9999, 9999)


@given(st.lists(st.tuples(COORDINATES, COORDINATES, COORDINATES), min_size=1, max_size=30), st.integers(0, 6))
def test_numbers_keep_their_value_and_have_16_characters_at_most(
    points: list[tuple[float, ...]], decimals: int
) -> None:
    (data,) = contour_data(np.array(points), np.array([0, len(points)]), decimals, [None] * 3)

    texts = data.decode("ascii").rstrip(" ").split("\\")
    assert len(data) % 2 == 0
    for text, value in zip(texts, np.ravel(points), strict=True):
        assert len(text) <= 16
        assert text != "-0"
        assert "e" not in text
        assert not ("." in text and text.endswith(("0", ".")))
        assert abs(float(text) - value) <= 0.5 * 10.0**-decimals + 1e-9


@given(st.floats(-1e12, 1e12))
def test_single_numbers_are_the_same_float_again_where_16_characters_allow(value: float) -> None:
    text = decimal_text(value)

    assert len(text) <= 16
    assert "e" not in text
    if len(np.format_float_positional(value, trim="-")) <= 16:
        assert float(text) == value
    else:
        assert float(text) == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_a_constant_coordinate_keeps_all_the_digits_of_the_image() -> None:
    points = np.array([[1.25, -0.0004, 0.0], [100.0, 7.0, 0.0], [-3.0, 2.5, 0.0]])

    values = contour_data(points, np.array([0, 2, 3]), 3, [None, None, ["-12.3456789", "7"]])

    assert values == [b"1.25\\0\\-12.3456789\\100\\7\\-12.3456789", b"-3\\2.5\\7"]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e15])
def test_what_does_not_fit_is_refused(value: float) -> None:
    with pytest.raises(UnwritableNumber):
        contour_data(np.array([[0.0, value, 1.0]]), np.array([0, 1]), 3, [None] * 3)


@pytest.mark.parametrize("value", [math.nan, -math.inf, 1e300])
def test_a_single_number_that_does_not_fit_is_refused(value: float) -> None:
    with pytest.raises(UnwritableNumber):
        decimal_text(value)
