"""Encoding of ContourSequence: thousands of small items, written as bytes in one go."""

import struct
from collections.abc import Sequence

from contouring.outline import Outline
from imaging.volume import SourceInstance

__all__ = ["LONGEST_EXPLICIT_VALUE", "contour_sequence"]

LONGEST_EXPLICIT_VALUE = 65534
"""Bytes of a DS value in Explicit VR: its length field has 16 bits, and lengths are even (PS3.5, 7.1.2)."""

ITEM = 0xFFFEE000


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
