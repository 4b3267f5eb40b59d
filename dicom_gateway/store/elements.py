"""A walk over the top-level elements of an encoded data set that decodes nothing and cannot be made to run away.

It skips by lengths, never recurses, and stops after a fixed number of elements, so that a hostile or broken object
costs no more than a good one. What the elements mean is left to `dicom_gateway.store.header`.
"""

import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field

__all__ = ["DEFLATED", "EXPLICIT_BIG", "EXPLICIT_LITTLE", "IMPLICIT_LITTLE", "Elements", "walk", "walk_data_set"]

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

MAX_ELEMENTS = 200_000
"""Elements after which a walk ends: far beyond any header, and about 0.3 s of work."""

MAX_VALUE_BYTES = 1 << 16
"""Longest value that is kept; the wanted ones are names, numbers and UIDs."""

MAX_INFLATED_BYTES = 16 << 20
"""How much of a deflated data set is inflated: a bomb of any size costs this much memory."""

_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_UNDEFINED = 0xFFFFFFFF
_PIXEL_GROUP = 0x7FE0


@dataclass
class Elements:
    """What a walk found.

    Parameters
    ----------
    values
        Encoded values of the wanted top-level elements, by tag.
    little_endian
        Byte order of binary values.
    truncated
        Whether an element claims bytes beyond the end, or a sequence never ends.
    reached_end
        Whether the walk came to the end; False where it gave up after too many elements.
    """

    values: dict[int, bytes] = field(default_factory=dict)
    little_endian: bool = True
    truncated: bool = False
    reached_end: bool = True


def walk_data_set(data: memoryview, transfer_syntax_uid: str, wanted: Collection[int]) -> Elements:
    """The wanted elements of a data set that is encoded in this transfer syntax."""
    if transfer_syntax_uid == DEFLATED:
        return _walk_deflated(data, wanted)
    explicit = transfer_syntax_uid != IMPLICIT_LITTLE
    return walk(data, wanted, explicit=explicit, little=transfer_syntax_uid != EXPLICIT_BIG)


def _walk_deflated(data: memoryview, wanted: Collection[int]) -> Elements:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(data, MAX_INFLATED_BYTES)
    except zlib.error:
        return Elements(truncated=True)
    found = walk(memoryview(plain), wanted, explicit=True, little=True)
    if not inflater.eof:
        bounded = len(plain) >= MAX_INFLATED_BYTES
        found.truncated = not bounded
        found.reached_end = not bounded
    return found


def walk(data: memoryview, wanted: Collection[int], *, explicit: bool, little: bool) -> Elements:
    """The wanted top-level elements of a plainly encoded data set."""
    found = Elements(little_endian=little)
    order = "<" if little else ">"
    read_tag = struct.Struct(order + "HH").unpack_from
    read_short = struct.Struct(order + "H").unpack_from
    read_long = struct.Struct(order + "I").unpack_from
    end = len(data)
    at = 0
    group = 0
    open_items: list[bool] = []  # the VR mode outside each item or sequence of undefined length that is open
    for _ in range(MAX_ELEMENTS):
        if at + 8 > end:
            break
        group_before = group
        group, element = read_tag(data, at)
        if group == 0xFFFE:
            group = group_before
            (length,) = read_long(data, at + 4)
            at += 8
            if element == 0xE000 and length == _UNDEFINED:
                open_items.append(explicit)
            elif element == 0xE000:
                at += length
            elif open_items:
                explicit = open_items.pop()
            continue
        if group == 0 and element == 0 and _is_zeros(data[at:end]):
            at = end
            break
        vr = bytes(data[at + 4 : at + 6]) if explicit else b""
        if explicit and vr in _LONG_VRS:
            if at + 12 > end:
                break
            (length,) = read_long(data, at + 8)
            at += 12
        elif explicit and vr.isalpha():
            (length,) = read_short(data, at + 6)
            at += 8
        else:
            (length,) = read_long(data, at + 4)
            at += 8
        if length == _UNDEFINED:
            open_items.append(explicit)
            explicit = explicit and vr != b"UN"
            continue
        if at + length > end:
            found.truncated = True
            return found
        if not open_items and (tag := group << 16 | element) in wanted and tag not in found.values:
            found.values[tag] = bytes(data[at : at + min(length, MAX_VALUE_BYTES)])
        at += length
    else:
        found.reached_end = False
        return found
    # A missing delimiter after complete fragments of pixels is common and harmless; in a header it means a cut.
    unfinished = bool(open_items) and group != _PIXEL_GROUP
    found.truncated = at > end or unfinished or not _is_zeros(data[at:end])
    return found


def _is_zeros(data: memoryview) -> bool:
    return not any(data[:4096]) and not any(data[-4096:])
