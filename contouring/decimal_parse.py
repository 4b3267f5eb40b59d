"""Decimal strings of ContourData to numbers, eight characters at a time; gives the floats that `float` gives.

Contours hold hundreds of thousands of short numbers, and converting them one by one is what reading them costs. Numbers
of up to eight digits and a point are computed in 64-bit words, one byte a digit; whole number over power of ten is one
division of exact values, hence correctly rounded. Everything else goes through Python's own conversion.
"""

import numpy as np
from numpy.typing import NDArray

from contouring.errors import CorruptContourData

__all__ = ["parse_decimals", "parse_with_longest"]

FloatArray = NDArray[np.float64]
WordArray = NDArray[np.uint64]
BoolArray = NDArray[np.bool_]

BACKSLASH, MINUS = ord("\\"), ord("-")
NUMERALS = b"0123456789+-.eE\\ "
WORD = 8
CHUNK_CHARACTERS = 1 << 17
"""Text taken together, so that the words stay in the processor's cache."""

POWERS_OF_TEN = 10.0 ** np.arange(WORD)
LOW_BITS, HIGH_BITS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
POINTS = LOW_BITS * np.uint64(ord("."))
ZEROS = LOW_BITS * np.uint64(ord("0"))
NIBBLES = LOW_BITS * np.uint64(0xF0)
LAST_BYTES = np.array([ALL_BITS ^ (int(ALL_BITS) >> 8 * n) for n in range(WORD + 1)], dtype=np.uint64)
"""Mask of the last n characters of a word; the last character is its highest byte."""


def parse_decimals(joined: bytes) -> FloatArray:
    r"""Numbers of backslash-separated decimal strings.

    Raises
    ------
    CorruptContourData
        Something is no finite number.

    Examples
    --------
    >>> parse_decimals(b"-12.5\\7\\1e-3")
    array([-1.25e+01,  7.00e+00,  1.00e-03])
    """
    return parse_with_longest(joined)[0]


def parse_with_longest(joined: bytes) -> tuple[FloatArray, int]:
    """Numbers of backslash-separated decimal strings, and the characters of the longest of them.

    Raises
    ------
    CorruptContourData
        Something is no finite number.
    """
    if not joined:
        return np.empty(0), 0
    parts: list[FloatArray] = []
    longest, first = 0, 0
    while first <= len(joined):
        end = joined.find(b"\\", first + CHUNK_CHARACTERS)
        end = len(joined) if end < 0 else end
        values, longest_here = _parsed(joined[first:end])
        parts.append(values)
        longest, first = max(longest, longest_here), end + 1
    return np.concatenate(parts), longest


def _parsed(text: bytes) -> tuple[FloatArray, int]:
    separators = _separators(text)
    values, is_left, longest = _short_numbers(text, separators)
    left = np.flatnonzero(is_left)
    bounds = zip(separators[left].tolist(), separators[left + 1].tolist(), strict=True)
    texts = [text[before + 1 : end] for before, end in bounds]
    # What is left goes through `float`, which would also take "nan", "1_000" and digits of other scripts.
    is_number = not b"".join(texts).translate(None, NUMERALS)
    if is_number:
        try:
            values[left] = [float(t) for t in texts]
        except ValueError:
            is_number = False
    if not is_number or not np.isfinite(values[left]).all():
        raise CorruptContourData(
            "ContourData holds something that is no finite number; export the structure set again."
        )
    return values, longest


def _separators(joined: bytes) -> NDArray[np.intp]:
    """Positions of the backslashes, with one before the text and one after it."""
    breaks = np.flatnonzero(np.frombuffer(joined, dtype=np.uint8) == BACKSLASH)
    separators = np.empty(len(breaks) + 2, dtype=np.intp)
    separators[0], separators[1:-1], separators[-1] = -1, breaks, len(joined)
    return separators


def _short_numbers(joined: bytes, separators: NDArray[np.intp]) -> tuple[FloatArray, BoolArray, int]:
    """Values of the numbers that fit into a word, which do not, and the characters of the longest of all."""
    padded = np.frombuffer(b"\0" * WORD + joined + b"\0", dtype=np.uint8)
    # The word at position n holds the eight characters before character n of the text.
    words = np.ndarray((len(padded) - WORD,), dtype="<u8", buffer=padded, strides=(1,))
    begins, ends = separators[:-1] + 1, separators[1:]
    length = ends - begins
    is_negative = padded[begins + WORD] == MINUS
    size, decimals, fits = _magnitudes(words[ends].astype(np.uint64, copy=False), length - is_negative)
    size /= POWERS_OF_TEN[decimals]
    np.negative(size, out=size, where=is_negative)
    return size, ~fits, int(length.max())


def _magnitudes(words: WordArray, length: NDArray[np.intp]) -> tuple[FloatArray, NDArray[np.uint8], BoolArray]:
    """The digits at each word's end as one number, how many stand after the point, and if all fits."""
    word = words & LAST_BYTES.take(length, mode="clip")
    # The lowest byte that is a point: subtracting one borrows into the high bit of zero bytes only, up to the first.
    without = word ^ POINTS
    marks = (without - LOW_BITS) & ~without & HIGH_BITS
    has_point = marks != 0
    before = ((marks & (~marks + np.uint64(1))) >> np.uint64(7)) - np.uint64(1)
    decimals = np.where(has_point, WORD - 1 - (np.bitwise_count(before) >> 3), 0).astype(np.uint8)
    closed = ((word & before) << np.uint64(8)) | (word & ~((before << np.uint64(8)) | np.uint64(0xFF)))
    text = np.where(has_point, closed, word)
    count = length - has_point
    filled = LAST_BYTES.take(count, mode="clip")
    # Adding six carries the characters after "9" into the next sixteen.
    zeros, raised = filled & ZEROS, text + (filled & LOW_BITS * np.uint64(6))
    are_digits = (text & NIBBLES == zeros) & (raised & NIBBLES == zeros)
    fits = (length <= WORD) & (count >= 1) & are_digits
    value = text & ~NIBBLES
    value = (value * np.uint64(10) + (value >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    value = (value * np.uint64(100) + (value >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    value = (value * np.uint64(10000) + (value >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    return value.astype(np.float64), decimals, fits
