"""ContourSequence as bytes: thousands of small items, encoded and decoded in one go."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from contouring.encoded_items import ITEM, encoded_element, encoded_item
from contouring.outline import Outline
from imaging.volume import SourceInstance

__all__ = ["LONGEST_EXPLICIT_VALUE", "ContourItem", "contour_items", "contour_sequence"]

LONGEST_EXPLICIT_VALUE = 65534
"""Bytes of a DS value in Explicit VR: its length field has 16 bits, and lengths are even (PS3.5, 7.1.2)."""

HEAD = struct.Struct("<HHL").unpack_from
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
    images: dict[bytes, tuple[str, str]] = {b"": ("", "")}
    for item in _elements(value, implicit=implicit, is_sequence=True).values():
        fields = _elements(item, implicit=implicit)
        reference = fields.get(0x30060016, b"")
        if reference not in images:
            images[reference] = _first_image(reference, implicit)
        uid, frame = images[reference]
        found.append(
            ContourItem(
                geometric_type=_text(fields.get(0x30060042, b"")),
                stated_points=_text(fields.get(0x30060046, b"")),
                data=fields.get(0x30060050, b""),
                referenced_uid=uid,
                referenced_frame=frame,
            )
        )
    return found


def _first_image(sequence: bytes, implicit: bool) -> tuple[str, str]:
    """SOP instance and frame of the first item of ContourImageSequence."""
    first = next(iter(_elements(sequence, implicit=implicit, is_sequence=True).values()), b"")
    image = _elements(first, implicit=implicit)
    return _text(image.get(0x00081155, b"")), _text(image.get(0x00081160, b""))


def _elements(value: bytes, *, implicit: bool, is_sequence: bool = False) -> dict[int, bytes]:
    """Values by tag, or the items of a sequence by where they begin.

    Raises
    ------
    ValueError
        A length is undefined or does not fit.
    """
    found: dict[int, bytes] = {}
    position, last = 0, len(value)
    while position < last:
        if position + 8 > last:
            raise ValueError("an element is cut")
        group, element, length = HEAD(value, position)
        begin = position + 8
        if not implicit and not is_sequence:
            if value[position + 4 : position + 6] in LONG_FORM:
                (length,) = struct.unpack_from("<L", value, begin) if begin + 4 <= last else (UNDEFINED_LENGTH,)
                begin += 4
            else:
                length >>= 16
        end = begin + length
        if length == UNDEFINED_LENGTH or end > last:
            raise ValueError("a length is undefined or does not fit")
        tag = group << 16 | element
        if is_sequence and tag != ITEM:
            raise ValueError("something that is no item in a sequence")
        found[begin if is_sequence else tag] = value[begin:end]
        position = end
    return found


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
    kind = encoded_element(0x30060042, "CS", outline.geometric_type.encode(), implicit)
    parts: list[bytes] = []
    for number, (plane, count, data) in enumerate(zip(outline.planes, outline.counts, outline.data, strict=True), 1):
        if plane not in images:
            images[plane] = encoded_element(0x30060016, "SQ", encoded_item(_image(sources[plane], implicit)), implicit)
        parts.append(
            encoded_item(
                images[plane],
                kind,
                encoded_element(0x30060046, "IS", str(count).encode(), implicit),
                encoded_element(0x30060048, "IS", str(number).encode(), implicit),
                encoded_element(0x30060050, "DS", data, implicit),
            )
        )
    return b"".join(parts)


def _image(source: SourceInstance, implicit: bool) -> bytes:
    reference = encoded_element(0x00081150, "UI", source.sop_class_uid.encode(), implicit)
    reference += encoded_element(0x00081155, "UI", source.sop_instance_uid.encode(), implicit)
    if source.frame_number is not None:
        reference += encoded_element(0x00081160, "IS", str(source.frame_number).encode(), implicit)
    return reference
