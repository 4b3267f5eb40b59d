"""Coordinates to decimal strings of DICOM, a whole structure at a time: fixed point, at most 16 characters."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contouring.errors import UnwritableNumber

__all__ = ["contour_data", "decimal_text"]

FloatArray = NDArray[np.float64]

LONGEST = 16
"""Characters of a DS value (PS3.5, 6.2)."""

BACKSLASH = ord("\\")

MOST_PLACES = 1 << 22
"""Largest span of a coordinate, in units of its last decimal, in which numbers that repeat are looked for."""

Table = tuple[NDArray[np.void], NDArray[np.intp], NDArray[np.intp]]
"""Different texts with their separator, padded with NUL; the length of each; and which of them each point has."""


@lru_cache(maxsize=4096)
def decimal_text(value: float) -> str:
    """A number as DS: shortest form that reads back as the same float, or as many decimals as 16 characters hold.

    Raises
    ------
    UnwritableNumber
        The number is not finite, or its integer part alone is longer than 16 characters.
    """
    if not np.isfinite(value):
        raise UnwritableNumber("A coordinate is not a finite number; check the geometry of the series.")
    text = np.format_float_positional(value, trim="-")
    digits = LONGEST
    while len(text) > LONGEST and digits > 0:
        digits -= 1
        text = np.format_float_positional(value, precision=digits, unique=True, fractional=True, trim="-")
    if len(text) > LONGEST:
        raise UnwritableNumber("A coordinate has more than 16 characters before its point; check the geometry.")
    return "0" if text in {"-0", ""} else text


def contour_data(
    points_lps: FloatArray, starts: NDArray[np.intp], decimals: int, fixed: Sequence[Sequence[str] | None]
) -> list[bytes]:
    """Values of ContourData, one per contour, padded to even length.

    Parameters
    ----------
    points_lps
        Points of all contours, shape (M, 3), mm.
    starts
        Index of each contour's first point, and M at the end.
    decimals
        Digits after the point; trailing zeros, a bare point and the sign of zero are left out.
    fixed
        For each of x, y, z the text of each contour's constant coordinate, or None where it varies.

    Raises
    ------
    UnwritableNumber
        A coordinate is not finite or needs more than 16 characters.
    """
    counts = np.diff(starts)
    parts = [
        _varying(points_lps[:, axis], decimals) if texts is None else _constant(texts, counts)
        for axis, texts in enumerate(fixed)
    ]
    characters = np.empty(
        len(points_lps), dtype=[(f"f{axis}", table.dtype) for axis, (table, _, _) in enumerate(parts)]
    )
    length = np.zeros(len(points_lps), dtype=np.intp)
    for axis, (table, lengths, which) in enumerate(parts):
        characters[f"f{axis}"] = table.take(which)
        length += lengths.take(which)
    joined = characters.tobytes().translate(None, b"\0")
    ends = np.concatenate([[0], np.cumsum(length)])
    values: list[bytes] = []
    for first, last in zip(ends[starts[:-1]].tolist(), ends[starts[1:]].tolist(), strict=True):
        value = joined[first : last - 1]
        values.append(value + b" " if len(value) % 2 else value)
    return values


def _varying(values: FloatArray, decimals: int) -> Table:
    """The numbers in decimals; each different one is spelled once, for coordinates along the axes repeat.

    Raises
    ------
    UnwritableNumber
        A number is not finite or too long.
    """
    if not np.isfinite(values).all():
        raise UnwritableNumber("A coordinate is not a finite number; check the geometry of the series.")
    scaled = np.rint(values * 10.0**decimals)
    low = float(scaled.min(initial=np.inf))
    span = float(scaled.max(initial=-np.inf)) - low + 1
    if not 0 < span <= MOST_PLACES:
        return *_spelled(scaled, decimals), np.arange(len(scaled))
    place = (scaled - low).astype(np.intp)
    is_used = np.zeros(int(span), dtype=np.bool_)
    is_used[place] = True
    used = np.flatnonzero(is_used)
    if 2 * len(used) > len(scaled):
        return *_spelled(scaled, decimals), np.arange(len(scaled))
    number = np.empty(int(span), dtype=np.intp)
    number[used] = np.arange(len(used))
    return *_spelled(used.astype(np.float64) + low, decimals), number.take(place)


def _spelled(scaled: FloatArray, decimals: int) -> tuple[NDArray[np.void], NDArray[np.intp]]:
    """Text and length of whole multiples of the last decimal."""
    characters, used = _digits(scaled, decimals)
    characters *= used
    length = np.zeros(len(scaled), dtype=np.intp)
    for column in used.T:
        length += column
    return characters.view(f"V{characters.shape[1]}").reshape(-1), length


def _digits(scaled: FloatArray, decimals: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Characters of each number in fixed columns, with its separator, and which of them to use.

    Raises
    ------
    UnwritableNumber
        A number is too long.
    """
    largest = float(np.abs(scaled).max(initial=0))
    whole_digits = max(len(f"{largest:.0f}") - decimals, 1)
    if whole_digits + decimals + (decimals > 0) + bool((scaled < 0).any()) > LONGEST:
        raise UnwritableNumber(
            f"A coordinate needs more than {LONGEST} characters with {decimals} decimals; use fewer decimals.",
            decimals=decimals,
        )
    kind: type[np.unsignedinteger[Any]] = np.uint32 if largest < 2**32 else np.uint64
    size: NDArray[np.unsignedinteger[Any]] = np.abs(scaled).astype(kind)
    ten = kind(10)
    width = 1 + whole_digits + (1 + decimals if decimals else 0) + 1
    characters = np.empty((len(scaled), width), dtype=np.uint8)
    used = np.empty((len(scaled), width), dtype=np.bool_)
    characters[:, 0], used[:, 0] = ord("-"), scaled < 0
    characters[:, -1], used[:, -1] = BACKSLASH, True
    rest = size
    pending = np.zeros(len(scaled), dtype=np.bool_)
    for place in range(decimals):
        rest, before = rest // ten, rest
        digit = before - rest * ten
        pending |= digit != 0
        column = width - 2 - place
        characters[:, column], used[:, column] = digit + ord("0"), pending
    if decimals:
        characters[:, 1 + whole_digits], used[:, 1 + whole_digits] = ord("."), pending
    for place in range(whole_digits):
        column = whole_digits - place
        used[:, column] = True if place == 0 else rest != 0
        rest, before = rest // ten, rest
        characters[:, column] = before - rest * ten + ord("0")
    return characters, used


def _constant(texts: Sequence[str], counts: NDArray[np.intp]) -> Table:
    """The text of each contour for each of its points."""
    encoded = [t.encode("ascii") + b"\\" for t in texts]
    width = max((len(e) for e in encoded), default=1)
    table = np.array([e.ljust(width, b"\0") for e in encoded], dtype=f"V{width}")
    lengths = np.array([len(e) for e in encoded], dtype=np.intp)
    return table, lengths, np.repeat(np.arange(len(encoded)), counts)
