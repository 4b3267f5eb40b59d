"""Values of a data set without surprises: text, whole numbers and decimals, absent or damaged ones included.

pydicom converts when a value is asked for, and may then raise almost anything or warn in words that quote the value.
"""

import math
import struct
import zlib

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue

from imaging.errors import MissingAttribute

__all__ = ["PARSER_FAULTS", "numbers", "text", "whole"]

PARSER_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on damaged files; collected from fuzzing, not from a promise of theirs."""


def text(dataset: Dataset, keyword: str) -> str:
    """Value of a text attribute (several values stay joined by backslashes); "" where it is absent or unreadable."""
    try:
        element = dataset.get_item(keyword)
        value = None if element is None else element.value
        if isinstance(value, bytes):
            return value.decode("ascii", "replace").strip(" \0")
        if isinstance(value, MultiValue | list | tuple):
            return "\\".join(str(v) for v in value)
        return "" if value is None else str(value)
    except PARSER_FAULTS:
        return ""


def whole(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """Value of a whole-number attribute.

    Raises
    ------
    MissingAttribute
        The attribute is absent (and there is no default), or no whole number.
    """
    try:
        value = dataset.get(keyword)
        if value is None and default is not None:
            return default
        return int(value)
    except PARSER_FAULTS:
        raise MissingAttribute(
            f"{keyword} is absent or no whole number; export the series again with it.", keyword=keyword
        ) from None


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """The `count` finite values of a decimal or integer string (DS, IS) attribute.

    Read from the raw bytes where pydicom has not converted them yet: faster, and no warning about their style.

    Raises
    ------
    MissingAttribute
        The attribute is absent, empty, or does not hold that many numbers.
    """
    try:
        element = dataset.get_item(keyword)
        value = None if element is None else element.value
        if isinstance(value, bytes):
            value = value.strip(b" \0").split(b"\\")
        parts = value if isinstance(value, MultiValue | list | tuple) else [value]
        values = tuple(float(v) for v in parts)
    except PARSER_FAULTS:
        values = ()
    if len(values) != count or not all(math.isfinite(v) for v in values):
        raise MissingAttribute(
            f"{keyword} is absent or does not hold {count} number{'s' * (count > 1)}; export the series again with it.",
            keyword=keyword,
        )
    return values
