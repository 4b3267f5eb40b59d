"""The frame of a DICOM file: preamble, file meta information, and where the data set begins.

A data set that came without a frame gets one, because every file in the store is a complete DICOM file.
"""

import struct
from dataclasses import dataclass

from dicom_gateway.errors import Unreadable
from dicom_gateway.store.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, walk

__all__ = ["Frame", "file_meta", "open_frame", "with_frame"]

PREFIX = b"\x00" * 128 + b"DICM"

IMPLEMENTATION_CLASS_UID = "2.25.302384927436028154617350295168413920747"
IMPLEMENTATION_VERSION_NAME = "RADGATE"
"""Constant over versions, so that the same data set always makes the same file."""

_SOP_CLASS = 0x00020002
_SOP_INSTANCE = 0x00020003
_TRANSFER_SYNTAX = 0x00020010
_SENDER = 0x00020016
_WANTED = frozenset({_SOP_CLASS, _SOP_INSTANCE, _TRANSFER_SYNTAX, _SENDER})


@dataclass(frozen=True)
class Frame:
    """What stands around a data set.

    Parameters
    ----------
    data_set_at
        Offset of the data set in the file.
    transfer_syntax_uid
        From the file meta information, or recognised from the data set where it is missing there.
    sop_class_uid, sop_uid
        From the file meta information; empty where it has none.
    sender
        AE title that sent the object to us, or empty.
    complete
        Whether preamble, prefix and file meta information with a transfer syntax are all there.
    """

    data_set_at: int
    transfer_syntax_uid: str
    sop_class_uid: str = ""
    sop_uid: str = ""
    sender: str = ""
    complete: bool = True


def file_meta(sop_class_uid: str, sop_uid: str, transfer_syntax_uid: str, sender: str = "") -> bytes:
    """Preamble, prefix and file meta information for a data set, as bytes."""
    elements = [
        struct.pack("<HH2sHI2s", 2, 1, b"OB", 0, 2, b"\x00\x01"),
        _text(0x0002, b"UI", sop_class_uid),
        _text(0x0003, b"UI", sop_uid),
        _text(0x0010, b"UI", transfer_syntax_uid),
        _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ]
    if sender:
        elements.append(_text(0x0016, b"AE", sender))
    body = b"".join(elements)
    return PREFIX + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(body)) + body


def _text(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    value += b"" if len(value) % 2 == 0 else b"\x00" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def open_frame(data: memoryview) -> Frame:
    """The frame of a file; files without preamble or file meta information are recognised by their first element.

    Raises
    ------
    Unreadable
        Not the beginning of a DICOM file or data set.
    """
    framed = bytes(data[128:134]) == b"DICM\x02\x00"
    at = 132 if framed else 4 if bytes(data[:4]) == b"DICM" else 0
    if bytes(data[128:132]) == b"DICM" and not any(data[:128]):
        at = 132  # a preamble without file meta information
    meta_end = _meta_end(data, at)
    meta = walk(data[at:meta_end], _WANTED, explicit=True, little=True).values
    texts = {tag: value.decode("ascii", "replace").strip("\x00 ") for tag, value in meta.items()}
    syntax = texts.get(_TRANSFER_SYNTAX, "")
    return Frame(
        data_set_at=meta_end,
        transfer_syntax_uid=syntax or _recognised(data[meta_end : meta_end + 8]),
        sop_class_uid=texts.get(_SOP_CLASS, ""),
        sop_uid=texts.get(_SOP_INSTANCE, ""),
        sender=texts.get(_SENDER, "")[:16],
        complete=framed and bool(syntax) and _SOP_INSTANCE in texts,
    )


def _meta_end(data: memoryview, at: int) -> int:
    """Where group 2 ends, by its elements: the group length is wrong too often to be trusted."""
    while at + 8 <= len(data) and bytes(data[at : at + 2]) == b"\x02\x00":
        if bytes(data[at + 4 : at + 6]) in {b"OB", b"UN", b"UT", b"OW"}:
            if at + 12 > len(data):
                break
            step = 12 + struct.unpack_from("<I", data, at + 8)[0]
        else:
            step = 8 + struct.unpack_from("<H", data, at + 6)[0]
        at += step
    return min(at, len(data))


def _recognised(head: memoryview) -> str:
    """Syntax of a data set that has no meta information: little endian, with or without VRs.

    Raises
    ------
    Unreadable
        The first element is none that a data set begins with.
    """
    if len(head) < 8 or not 0x0004 <= struct.unpack_from("<H", head, 0)[0] <= 0x0020:
        raise Unreadable("This is no DICOM file; send DICOM objects only.", reason="not_dicom")
    return EXPLICIT_LITTLE if bytes(head[4:6]).isalpha() and bytes(head[4:6]).isupper() else IMPLICIT_LITTLE


def with_frame(data: bytes, frame: Frame, sop_class_uid: str, sop_uid: str) -> bytes:
    """The file with a complete frame; its data set is not changed."""
    if frame.complete:
        return data
    return file_meta(sop_class_uid, sop_uid, frame.transfer_syntax_uid, frame.sender) + data[frame.data_set_at :]
