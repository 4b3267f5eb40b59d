"""Printed numbers: rounding, signs, precision."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reports.numbers
import reports.study
from reports.numbers import format_number, format_significant, format_volume_cc


@pytest.mark.parametrize("module", [reports.numbers, reports.study])
def test_examples_of_the_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [(0.125, 2, "0.12"), (0.375, 2, "0.38"), (2.5, 0, "2"), (3.5, 0, "4"), (-0.001, 2, "0.00"), (1e-9, 3, "0.000")],
)
def test_halves_round_to_even_and_zero_has_no_sign(value: float, decimals: int, expected: str) -> None:
    assert format_number(value, decimals) == expected


@given(st.floats(-1e12, 1e12), st.integers(0, 6))
def test_a_printed_number_is_within_half_a_unit_of_its_last_digit(value: float, decimals: int) -> None:
    text = format_number(value, decimals)

    assert abs(float(text) - value) <= 0.5 * 10**-decimals * (1 + 1e-9) + abs(value) * 1e-15
    assert "e" not in text.lower()


@pytest.mark.parametrize(("cc", "expected"), [(0.2043, "0.204"), (1.0395, "1.04"), (81.64, "81.6"), (7634.2, "7634")])
def test_volumes_have_the_precision_of_their_size(cc: float, expected: str) -> None:
    assert format_volume_cc(cc) == expected


def test_significant_digits_never_shorten_whole_numbers() -> None:
    assert format_significant(123456.0, 3) == "123456"
    assert format_significant(0.0, 3) == "0"
