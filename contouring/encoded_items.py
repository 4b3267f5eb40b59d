"""Elements and items of sequences as bytes, little endian, with defined lengths (PS3.5, 7.1 and 7.5)."""

import struct

__all__ = ["ITEM", "encoded_element", "encoded_item"]

ITEM = 0xFFFEE000

TAG_AND_LONG = struct.Struct("<HHL")
TAG_AND_SHORT = struct.Struct("<HH2sH")
TAG_AND_SEQUENCE = struct.Struct("<HH4sL")


def encoded_element(tag: int, vr: str, value: bytes, implicit: bool) -> bytes:
    """An element of a VR with a 16-bit length, or of a sequence; the value is padded to an even length."""
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    group, element = tag >> 16, tag & 0xFFFF
    if implicit:
        return TAG_AND_LONG.pack(group, element, len(value)) + value
    if vr == "SQ":
        return TAG_AND_SEQUENCE.pack(group, element, b"SQ", len(value)) + value
    return TAG_AND_SHORT.pack(group, element, vr.encode(), len(value)) + value


def encoded_item(*elements: bytes) -> bytes:
    """An item that holds elements."""
    content = b"".join(elements)
    return TAG_AND_LONG.pack(ITEM >> 16, ITEM & 0xFFFF, len(content)) + content
