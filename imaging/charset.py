"""Text of a header in the character set that it states: decoded without a doubt, or not at all.

pydicom decodes leniently: it puts replacement signs, falls back to Latin-1 for a character set that it does not know,
and takes bytes above 127 without any stated set for Latin-1. A name that went through that is another name.
"""

import re
from collections.abc import Sequence

from pydicom.charset import decode_bytes, python_encoding
from pydicom.dataset import Dataset

from imaging.attributes import text
from imaging.quiet import quiet_pydicom

__all__ = ["decode_strictly", "shown_text", "stated_terms", "terms_of"]

ESCAPE = 0x1B
GB2312_ESCAPE = b"\x1b$)A"
"""pydicom 3.0 leaves the escape sequence of ISO 2022 IR 58 in the text; to be removed when it no longer does."""

DEFAULT_TERMS = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
LATIN_TERMS = frozenset({
    f"{prefix} {number}" for prefix in ("ISO_IR", "ISO 2022 IR") for number in (100, 101, 109, 110, 148, 203)
})
"""Alphabets in which two letters with marks seldom stand side by side."""

PAIRS = re.compile(rb"[\x80-\xff]+")
DELIMITERS = {0x5C, 0x5E, 0x3D, 0x0A, 0x0C, 0x0D, 0x09}
"""Backslash, caret, equals sign and the control characters after which the first character set holds again."""

LENIENT = {"": "utf_8", "ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk"}
"""Sets in which damaged text still shows what is whole of it. Text without a stated set is often UTF-8 all the same."""

LOST = re.compile("[\x1b\x80-\x9f\ufffd]")
"""What no decoded text holds: an escape that was not understood, a control character of Latin-1, a replacement sign."""


def terms_of(value: bytes) -> tuple[str, ...]:
    """Defined terms of a SpecificCharacterSet as they are written, common misspellings put right."""
    terms = (part.strip(" \0") for part in value.decode("ascii", "replace").split("\\"))
    return tuple(_respelled(term) for term in terms)


def stated_terms(header: Dataset) -> tuple[str, ...]:
    """Defined terms of the character sets that a header states; one empty term where it states none."""
    return terms_of(text(header, "SpecificCharacterSet").encode("ascii", "replace"))


def decode_strictly(value: bytes, terms: Sequence[str]) -> str | None:
    r"""The text of a value's bytes, or None where they are no text in these character sets.

    ASCII reads the same in every character set, also in one that nobody knows. Chinese in a header that states a Latin
    alphabet decodes without a fault, to nonsense; it is told by its pairs of bytes, and refused.

    Examples
    --------
    >>> decode_strictly("张三".encode("gbk"), ["GB18030"]), decode_strictly(b"M\xfcller", ["ISO_IR 100"])
    ('张三', 'Müller')
    >>> decode_strictly("张三".encode("gbk"), ["ISO_IR 192"]), decode_strictly("张三".encode("gbk"), ["ISO_IR 100"])
    (None, None)
    """
    if value.isascii() and ESCAPE not in value:
        return value.decode("ascii")
    known = [str(python_encoding.get(term, "")) for term in terms]
    if not all(known) or (terms[0] in DEFAULT_TERMS and ESCAPE not in value):
        return None
    if terms[0] in LATIN_TERMS and _reads_as_chinese(value):
        return None
    if GB2312_ESCAPE in value and "ISO 2022 IR 58" in terms:
        known, value = ["gb18030"], value.replace(GB2312_ESCAPE, b"")
    try:
        if ESCAPE not in value:
            decoded = value.decode(known[0])
        else:
            with quiet_pydicom():
                decoded = decode_bytes(value, known, DELIMITERS)
    except (LookupError, UnicodeError, ValueError):
        return None
    return None if LOST.search(decoded) else decoded


def shown_text(value: bytes, terms: Sequence[str]) -> str:
    """The text for people and indexes: what does not decode stands as replacement signs, never as a wrong alphabet."""
    strict = decode_strictly(value, terms)
    return value.decode(LENIENT.get(terms[0], "ascii"), "replace") if strict is None else strict


def _respelled(term: str) -> str:
    """A term with the separators that the standard wants: `ISO-IR 192` and `ISO IR 192` mean `ISO_IR 192`."""
    if match := re.fullmatch(r"ISO.2022.IR.(\d+)", term):
        return f"ISO 2022 IR {match[1]}"
    if match := re.fullmatch(r"ISO.?IR.(\d+)", term):
        return f"ISO_IR {match[1]}"
    return term


def _reads_as_chinese(value: bytes) -> bool:
    """Whether all bytes above 127 stand in pairs that are ideographs of GB 2312, and at least two of them do."""
    runs = PAIRS.findall(value)
    if any(len(run) % 2 for run in runs) or sum(map(len, runs)) < 4:
        return False
    leads_and_trails = b"".join(runs)
    return all(0xB0 <= lead <= 0xF7 for lead in leads_and_trails[::2]) and min(leads_and_trails[1::2]) >= 0xA1
