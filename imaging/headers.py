"""Reading one file's header: what it holds, where its pixels lie, or a typed reason why it cannot be used.

Nothing is trusted: a claim in a header is compared with the size of the file before anything is allocated for it.
Joining files to series is left to `imaging.series`, reading pixels to `imaging.pixels`.
"""

import os
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from imaging.attributes import PARSER_FAULTS, numbers, text, whole
from imaging.errors import NotDicom, TruncatedFile
from imaging.quiet import quiet_pydicom

__all__ = ["PARSER_FAULTS", "Header", "PixelLocation", "numbers", "read_header", "read_whole", "text", "whole"]

FIRST_READ_BYTES = 1 << 16
"""Headers of images fit into this almost always; a file whose header does not is read whole."""

PREAMBLE = bytes(128) + b"DICM"
MAX_INFLATED_BYTES = 1 << 31
INFLATE_STEP_BYTES = 1 << 24
META_START = 132

UNDEFINED_LENGTH = 0xFFFFFFFF
PIXEL_TAGS = frozenset({0x7FE00010, 0x7FE00009, 0x7FE00008})
ITEM, SEQUENCE_DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True)
class PixelLocation:
    """Where a file keeps its pixel data.

    Parameters
    ----------
    transfer_syntax_uid
        Encoding of the file; for a file without one, what its bytes turned out to be.
    offset
        Byte of the file at which the value begins; None where the data set is deflated.
    length
        Length of the value in bytes; None where it is encapsulated (compressed).
    """

    transfer_syntax_uid: str
    offset: int | None
    length: int | None

    @property
    def is_plain(self) -> bool:
        """Whether the pixels can be taken from the file as they lie there."""
        return self.offset is not None and self.length is not None

    @property
    def is_little_endian(self) -> bool:
        """Byte order of plain pixels."""
        return self.transfer_syntax_uid != ExplicitVRBigEndian


@dataclass(frozen=True, eq=False)
class Header:
    """One file: its data set up to the pixels, and where the pixels are (None where it has none)."""

    file: Path
    dataset: Dataset
    pixels: PixelLocation | None


def read_header(file: Path) -> Header:
    """The header of a DICOM file, without its pixels.

    A missing preamble or missing file meta information is tolerated where the bytes leave no doubt; a cut file is not.

    Raises
    ------
    NotDicom
        The file is no DICOM file, or cannot be opened.
    TruncatedFile
        The file ends before its data set does, or its pixel data claim more than the file holds; study and series
        are named in `fields` where they could still be read.
    """
    try:
        with quiet_pydicom(), file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            first = stream.read(FIRST_READ_BYTES)
            parsed = _parse(first, size)
            if parsed.reached_end and len(first) < size:
                parsed = _parse(first + stream.read(), size)
            if parsed.location is not None:
                is_short = not _holds_all_pixels(stream, size, parsed.location)
            else:
                is_short = "Rows" in parsed.dataset and "BitsAllocated" in parsed.dataset
    except OSError as fault:
        raise NotDicom("The file cannot be opened; check that it is readable.", reason=type(fault).__name__) from None
    if parsed.is_cut or is_short:
        raise TruncatedFile(
            "The file ends before its data set or its pixel data do; send it again.",
            size_bytes=size,
            study_instance_uid=text(parsed.dataset, "StudyInstanceUID"),
            series_instance_uid=text(parsed.dataset, "SeriesInstanceUID"),
        )
    return Header(file, parsed.dataset, parsed.location)


def read_whole(file: Path) -> Dataset:
    """The whole data set of a file that `read_header` accepted, with its pixels.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    content = file.read_bytes()
    with quiet_pydicom():
        return read_partial(BytesIO(PREAMBLE * _lacks_preamble(content, len(content)) + content), force=True)


@dataclass(frozen=True, eq=False)
class _Parsed:
    dataset: Dataset
    location: PixelLocation | None
    reached_end: bool
    is_cut: bool


def _parse(content: bytes, size: int) -> _Parsed:
    lacks_preamble = _lacks_preamble(content, size)
    if not lacks_preamble and content[128:132] != b"DICM":
        raise NotDicom("The file is no DICOM file; leave it out.", size_bytes=size)
    added = PREAMBLE * lacks_preamble
    seen: list[tuple[int, str | None, int]] = []

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag in PIXEL_TAGS:
            seen.append((int(tag), vr, length))
        return tag in PIXEL_TAGS

    if DeflatedExplicitVRLittleEndian.encode() in content[:1024] and len(content) == size:
        _check_inflated_size(content)
    stream = BytesIO(added + content)
    try:
        dataset = read_partial(stream, stop_when=at_pixels, force=True)
        transfer_syntax = str(dataset.file_meta.get("TransferSyntaxUID", "") or "")
        is_cut = any(_is_cut(element) for element in list(dataset.values())[-1:])
        identified = bool(dataset.get("SOPClassUID")) or "DirectoryRecordSequence" in dataset
    except PARSER_FAULTS as fault:
        if len(content) < size:
            return _Parsed(Dataset(), None, reached_end=True, is_cut=True)
        raise NotDicom(
            "The file begins like DICOM but cannot be read; export it again.", reason=type(fault).__name__
        ) from None
    if is_cut or not len(dataset):
        return _Parsed(dataset, None, reached_end=True, is_cut=True)
    if not identified and len(content) == size:
        raise NotDicom("The file has no SOP class and is no DICOM object; leave it out.", size_bytes=size)
    if not seen:
        return _Parsed(dataset, None, reached_end=True, is_cut=False)
    location = _locate(dataset, stream.tell() - len(added), seen[0], transfer_syntax)
    return _Parsed(dataset, location, reached_end=False, is_cut=False)


def _check_inflated_size(content: bytes) -> None:
    """Refuse a deflated file that would fill the memory, before anything inflates it as a whole.

    Raises
    ------
    TruncatedFile
        It inflates to more than any image needs.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    rest = content[META_START + 12 + int.from_bytes(content[META_START + 8 : META_START + 12], "little") :]
    inflated_bytes = 0
    while rest and not inflater.eof:
        try:
            inflated_bytes += len(inflater.decompress(rest, INFLATE_STEP_BYTES))
        except zlib.error:
            return
        rest = inflater.unconsumed_tail
        if inflated_bytes > MAX_INFLATED_BYTES:
            raise TruncatedFile(
                "The deflated file claims to hold more than 2 GiB; send it uncompressed.", size_bytes=len(content)
            )


def _locate(dataset: Dataset, start: int, element: tuple[int, str | None, int], transfer_syntax: str) -> PixelLocation:
    _, vr, length = element
    is_implicit, is_little = dataset.original_encoding[:2]
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        return PixelLocation(transfer_syntax, None, length)
    if not transfer_syntax:
        transfer_syntax = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
        transfer_syntax = transfer_syntax if is_little else ExplicitVRBigEndian
    offset = start + (8 if vr is None else 12)
    return PixelLocation(str(transfer_syntax), offset, None if length == UNDEFINED_LENGTH else length)


def _is_cut(element: Any) -> bool:
    """Whether a raw element holds fewer bytes than it says (pydicom goes on without a word)."""
    length = getattr(element, "length", UNDEFINED_LENGTH)
    value = getattr(element, "value", None)
    return length not in {0, UNDEFINED_LENGTH} and isinstance(value, bytes | None) and len(value or b"") < length


def _lacks_preamble(content: bytes, size: int) -> bool:
    """Whether bytes begin right away with an element of group 0002 or 0008 of believable length.

    Byte 128 may say DICM all the same, as part of some text; then no group 0002 follows it.
    """
    if len(content) < 16 or (content[128:132] == b"DICM" and content[132:134] == b"\x02\x00"):
        return False
    for order in "<>":
        group, element = struct.unpack(f"{order}HH", content[:4])
        if group not in {0x0002, 0x0008} or element > 0x0100:
            continue
        is_explicit = content[4:6].isalpha() and content[4:6].isupper()
        length = (
            struct.unpack(f"{order}H", content[6:8])[0] if is_explicit else struct.unpack(f"{order}L", content[4:8])[0]
        )
        if length <= min(size, 1024):
            return True
    return False


def _holds_all_pixels(stream: BinaryIO, size: int, location: PixelLocation) -> bool:
    """Whether a file is as long as its pixel data claim; fragments are followed to the delimiter that ends them."""
    if location.offset is None:
        return True
    if location.length is not None:
        return location.offset + location.length <= size
    position = location.offset
    while position + 8 <= size:
        stream.seek(position)
        item = stream.read(8)
        if item[:4] == SEQUENCE_DELIMITER:
            return True
        if item[:4] != ITEM:
            return False
        position += 8 + int.from_bytes(item[4:], "little")
    return False
