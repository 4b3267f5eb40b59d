"""Decimal strings come back as the floats that Python makes of them, whichever way they go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contouring.decimal_parse import parse_decimals, parse_with_longest
from contouring.errors import CorruptContourData

plain = st.from_regex(r"-?([0-9]{1,9}\.?[0-9]{0,8}|\.[0-9]{1,8})", fullmatch=True)
scientific = st.from_regex(r" ?[+-]?[0-9]{1,4}\.?[0-9]{0,4}[eE][+-]?[0-9]{1,2} ?", fullmatch=True)


@given(st.lists(plain | scientific, min_size=1, max_size=60))
def test_numbers_are_those_of_float(texts: list[str]) -> None:
    values, longest = parse_with_longest("\\".join(texts).encode())

    assert values.tolist() == [float(t) for t in texts]
    assert longest == max(map(len, texts))


def test_the_sign_of_zero_and_every_length_survive() -> None:
    texts = ["-0", "-.5", "1.", "007", "12345678", "123456789", "-1234567.", "-249.51171875", "0.0000001", "1.2345678"]

    values = parse_decimals("\\".join(texts * 3000).encode())

    assert [repr(v) for v in values.tolist()] == [repr(float(t)) for t in texts] * 3000


@pytest.mark.parametrize(
    "fault", ["1-2", "1.2.3", "--1", "", ".", "-", "+-1", "e5", "nan", "inf", "1_0", "0x1", "1e999"]
)
@pytest.mark.parametrize("place", ["{}\\1\\2", "1\\{}\\2", "1\\2\\{}"])
def test_what_is_no_finite_number_is_refused(fault: str, place: str) -> None:
    with pytest.raises(CorruptContourData, match="no finite number"):
        parse_decimals(place.format(fault).encode())
