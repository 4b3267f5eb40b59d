"""ContourSequence as bytes: thousands of small items, encoded and decoded in one go."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contouring.outline import Outline
from imaging.volume import SourceInstance

__all__ = ["LONGEST_EXPLICIT_VALUE", "ContourItem", "contour_items", "contour_sequence"]

LONGEST_EXPLICIT_VALUE = 65534
"""Bytes of a DS value in Explicit VR: its length field has 16 bits, and lengths are even (PS3.5, 7.1.2)."""

ITEM = 0xFFFEE000
UNDEFINED_LENGTH = 0xFFFFFFFF
LONG_FORM = frozenset({b"SQ", b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
"""Value representations whose length has 32 bits in Explicit VR (PS3.5, 7.1.2)."""


@dataclass(frozen=True)
class ContourItem:
    """One item of ContourSequence, its values as they are written.

    Parameters
    ----------
    geometric_type, stated_points, data
        ContourGeometricType, NumberOfContourPoints, ContourData.
    referenced_uid, referenced_frame
        First image of ContourImageSequence; "" where there is none.
    """

    geometric_type: str = ""
    stated_points: str = ""
    data: bytes = b""
    referenced_uid: str = ""
    referenced_frame: str = ""


def contour_items(value: bytes, *, implicit: bool) -> list[ContourItem]:
    """The items of a ContourSequence of defined lengths, little endian.

    Raises
    ------
    ValueError
        A length is undefined or does not fit; pydicom may still know what to do.
    """
    found: list[ContourItem] = []
    for _, item in _elements(value, implicit=implicit, is_sequence=True):
        fields = dict(_elements(item, implicit=implicit))
        reference = next(_elements(fields.get(0x30060016, b""), implicit=implicit, is_sequence=True), (0, b""))[1]
        image = dict(_elements(reference, implicit=implicit))
        found.append(
            ContourItem(
                geometric_type=_text(fields.get(0x30060042, b"")),
                stated_points=_text(fields.get(0x30060046, b"")),
                data=fields.get(0x30060050, b""),
                referenced_uid=_text(image.get(0x00081155, b"")),
                referenced_frame=_text(image.get(0x00081160, b"")),
            )
        )
    return found


def _elements(value: bytes, *, implicit: bool, is_sequence: bool = False) -> Iterator[tuple[int, bytes]]:
    """Tag and value of each element, or of each item of a sequence.

    Raises
    ------
    ValueError
        A length is undefined or does not fit.
    """
    position = 0
    while position < len(value):
        if position + 8 > len(value):
            raise ValueError("an element is cut")
        group, element, length = struct.unpack_from("<HHL", value, position)
        begin = position + 8
        if not implicit and not is_sequence:
            if value[position + 4 : position + 6] in LONG_FORM:
                (length,) = struct.unpack_from("<L", value, begin) if begin + 4 <= len(value) else (UNDEFINED_LENGTH,)
                begin += 4
            else:
                length >>= 16
        if length == UNDEFINED_LENGTH or begin + length > len(value):
            raise ValueError("a length is undefined or does not fit")
        if is_sequence and (group << 16 | element) != ITEM:
            raise ValueError("something that is no item in a sequence")
        yield group << 16 | element, value[begin : begin + length]
        position = begin + length


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip(" \0")


def contour_sequence(outline: Outline, sources: Sequence[SourceInstance], *, implicit: bool) -> bytes:
    """Value of ContourSequence (3006,0040), little endian: one item per contour, with the image of its plane.

    Parameters
    ----------
    outline
        The contours.
    sources
        The image of each plane of the grid.
    implicit
        Implicit VR, else Explicit VR.
    """
    images: dict[int, bytes] = {}
    kind = _element(0x30060042, "CS", outline.geometric_type.encode(), implicit)
    parts: list[bytes] = []
    for number, (plane, count, data) in enumerate(zip(outline.planes, outline.counts, outline.data, strict=True), 1):
        if plane not in images:
            images[plane] = _element(0x30060016, "SQ", _item(_image(sources[plane], implicit)), implicit)
        parts.append(
            _item(
                b"".join((
                    images[plane],
                    kind,
                    _element(0x30060046, "IS", str(count).encode(), implicit),
                    _element(0x30060048, "IS", str(number).encode(), implicit),
                    _element(0x30060050, "DS", data, implicit),
                ))
            )
        )
    return b"".join(parts)


def _image(source: SourceInstance, implicit: bool) -> bytes:
    reference = _element(0x00081150, "UI", source.sop_class_uid.encode(), implicit)
    reference += _element(0x00081155, "UI", source.sop_instance_uid.encode(), implicit)
    if source.frame_number is not None:
        reference += _element(0x00081160, "IS", str(source.frame_number).encode(), implicit)
    return reference


def _element(tag: int, vr: str, value: bytes, implicit: bool) -> bytes:
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack("<L", len(value)) + value
    if vr == "SQ":
        return head + b"SQ\0\0" + struct.pack("<L", len(value)) + value
    return head + vr.encode() + struct.pack("<H", len(value)) + value


def _item(content: bytes) -> bytes:
    return struct.pack("<HHL", ITEM >> 16, ITEM & 0xFFFF, len(content)) + content
