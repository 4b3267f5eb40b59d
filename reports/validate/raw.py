"""An encoded object as plain nested values: tags, representations and raw bytes, many times faster than as data sets.

pydicom makes an object of every item, of which a segmentation and a structure set hold tens of thousands. Here nothing
is decoded: the rules look at the bytes that will be sent.
"""

import struct
from collections.abc import Iterator
from typing import Any

from pydicom.datadict import dictionary_VR

__all__ = ["RawItem", "items_below", "raw_object", "sequence", "uid"]

RawItem = dict[int, tuple[str, Any]]
"""Tag -> (VR, bytes), or ("SQ", list of items)."""

META_GROUP_LENGTH_AT = 132 + 8
DATA_SET_AFTER = 132 + 12
IMPLICIT = b"1.2.840.10008.1.2\0"

LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010

_tag_of = struct.Struct("<HH").unpack_from
_short = struct.Struct("<H").unpack_from
_long = struct.Struct("<L").unpack_from


def raw_object(data: bytes) -> RawItem:
    """The elements of a little endian file with preamble, meta information and plain pixels, as radgate writes it.

    Raises
    ------
    ValueError
        The bytes are not such a file, or it ends too early.
    """
    try:
        start = DATA_SET_AFTER + _long(data, META_GROUP_LENGTH_AT)[0]
        reader = _Reader(data, is_implicit=IMPLICIT in data[132:start])
        found, _ = reader.item(start, len(data))
    except (struct.error, IndexError) as fault:
        raise ValueError("The object ends within an element.") from fault
    return found


def sequence(item: RawItem, tag: int) -> list[RawItem]:
    """Items of a sequence; none where it is absent."""
    vr, value = item.get(tag, ("SQ", []))
    return value if vr == "SQ" else []


def uid(item: RawItem, tag: int) -> str:
    """A UID or another text of ASCII; "" where it is absent."""
    value = item.get(tag, ("", b""))[1]
    return value.decode("ascii", "replace").strip(" \0") if isinstance(value, bytes) else ""


def items_below(item: RawItem) -> Iterator[RawItem]:
    """An item and all below it."""
    yield item
    for vr, value in item.values():
        if vr == "SQ":
            for inner in value:
                yield from items_below(inner)


class _Reader:
    """Walks through the bytes of one object."""

    def __init__(self, data: bytes, *, is_implicit: bool) -> None:
        self._data = data
        self._is_implicit = is_implicit
        self._vrs: dict[int, str] = {}

    def item(self, at: int, end: int) -> tuple[RawItem, int]:
        """Elements from a place to the item's end, and the place after it; `end` is UNDEFINED where a mark ends it.

        Raises
        ------
        ValueError
            An element reaches beyond the end.
        """
        data = self._data
        found: RawItem = {}
        stop = len(data) if end == UNDEFINED else end
        if stop > len(data):
            raise ValueError("An item reaches beyond the object's end.")
        while at < stop:
            group, element = _tag_of(data, at)
            tag = group << 16 | element
            if tag == ITEM_END:
                return found, at + 8
            vr, length, at = self._head(tag, at)
            if vr == "SQ":
                found[tag], at = self._sequence(at, length)
                continue
            if length == UNDEFINED or at + length > stop:
                raise ValueError("An element reaches beyond the object's end.")
            found[tag] = (vr, data[at : at + length] if tag != PIXEL_DATA else b"")
            at += length
        if end == UNDEFINED:
            raise ValueError("An item is not closed.")
        return found, at

    def _head(self, tag: int, at: int) -> tuple[str, int, int]:
        """Representation, length, and where the value begins."""
        if self._is_implicit:
            return self._vr(tag), _long(self._data, at + 4)[0], at + 8
        code = self._data[at + 4 : at + 6]
        if code in LONG_VRS:
            return code.decode(), _long(self._data, at + 8)[0], at + 12
        return code.decode("ascii", "replace"), _short(self._data, at + 6)[0], at + 8

    def _sequence(self, at: int, length: int) -> tuple[tuple[str, list[RawItem]], int]:
        """Items of a sequence, and the place after it.

        Raises
        ------
        ValueError
            Something else than an item stands in it.
        """
        items: list[RawItem] = []
        stop = len(self._data) if length == UNDEFINED else at + length
        while at < stop:
            group, element = _tag_of(self._data, at)
            tag = group << 16 | element
            (inner,) = _long(self._data, at + 4)
            at += 8
            if tag == SEQUENCE_END:
                return ("SQ", items), at
            if tag != ITEM:
                raise ValueError("Something else than an item stands in a sequence.")
            item, at = self.item(at, UNDEFINED if inner == UNDEFINED else at + inner)
            items.append(item)
        return ("SQ", items), at

    def _vr(self, tag: int) -> str:
        """Representation of an element whose file does not state it."""
        vr = self._vrs.get(tag)
        if vr is None:
            try:
                vr = str(dictionary_VR(tag))
            except KeyError:
                vr = "UN"
            self._vrs[tag] = vr
        return vr
