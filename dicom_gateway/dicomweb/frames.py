"""Frames of a stored image: as they lie in the file, or decoded to plain little-endian bytes.

Nothing of the size of the whole object is read for one frame of an uncompressed image.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import ExplicitVRLittleEndian

from dicom_gateway.dicomweb.files import header_of, whole_of
from imaging.errors import MissingAttribute, UndecodablePixels
from imaging.headers import PARSER_FAULTS, Header, whole

__all__ = ["decoded_frame", "frame_count", "is_decodable", "native_frames", "stored_frames"]

NATIVE = ExplicitVRLittleEndian
DECODER_FAULTS = (*PARSER_FAULTS, RuntimeError)
MOST_PIXELS = 1 << 28
"""Samples of one frame that are decoded at most: half a gigabyte of 16 bits."""


def frame_count(header: Header) -> int:
    """Number of frames; 0 where the object has no pixels."""
    return 0 if header.pixels is None else max(1, whole(header.dataset, "NumberOfFrames", 1))


def is_decodable(transfer_syntax_uid: str) -> bool:
    """Whether a decoder for this transfer syntax is installed."""
    try:
        return get_decoder(transfer_syntax_uid).is_available
    except NotImplementedError:
        return False


def stored_frames(file: Path, numbers: Sequence[int]) -> Iterator[bytes]:
    """Frames (from 1) of a compressed object, as they are stored.

    Raises
    ------
    UndecodablePixels
        The fragments cannot be taken apart.
    """
    header = header_of(file)
    location = header.pixels
    if location is None or location.offset is None:
        raise UndecodablePixels("The object has no compressed pixels; ask for it as application/octet-stream.")
    count = frame_count(header)
    offsets = header.dataset.get("ExtendedOffsetTable"), header.dataset.get("ExtendedOffsetTableLengths")
    extended = (offsets[0], offsets[1]) if all(isinstance(o, bytes) for o in offsets) else None
    try:
        with file.open("rb") as stream:
            if list(numbers) == list(range(1, count + 1)):
                stream.seek(location.offset)
                yield from generate_frames(stream, number_of_frames=count, extended_offsets=extended)
                return
            for number in numbers:
                stream.seek(location.offset)
                yield get_frame(stream, number - 1, number_of_frames=count, extended_offsets=extended)
    except DECODER_FAULTS as fault:
        raise UndecodablePixels("The compressed frames cannot be taken apart; send the object again.") from fault


def native_frames(file: Path, numbers: Sequence[int]) -> Iterator[bytes]:
    """Frames (from 1) as plain little-endian bytes; colour as RGB, interleaved.

    Raises
    ------
    MissingAttribute
        The object has no pixels.
    UndecodablePixels
        No decoder, or a damaged stream.
    """
    header = header_of(file)
    if header.pixels is None:
        raise MissingAttribute("The object has no pixels; retrieve it as application/dicom.", keyword="PixelData")
    if header.pixels.is_plain and header.pixels.offset is not None:
        yield from _plain_frames(file, header, header.pixels.offset, numbers)
        return
    for number in numbers:
        array = decoded_frame(file, number)
        yield array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def decoded_frame(file: Path, number: int) -> NDArray[Any]:
    """One frame (from 1) as stored values, shape (rows, columns) or (rows, columns, 3) in RGB.

    Raises
    ------
    UndecodablePixels
        No decoder, a damaged stream, or a frame that is too large.
    """
    header = header_of(file)
    samples = whole(header.dataset, "SamplesPerPixel", 1)
    if whole(header.dataset, "Rows") * whole(header.dataset, "Columns") * samples > MOST_PIXELS:
        raise UndecodablePixels("The frame is too large to be decoded here; retrieve the object itself.")
    try:
        dataset = whole_of(file)
        array, _ = get_decoder(_syntax(header, dataset)).as_array(dataset, index=number - 1)
    except DECODER_FAULTS as fault:
        raise UndecodablePixels(
            "The pixels cannot be decoded here; ask for them with transfer-syntax=*.", reason=type(fault).__name__
        ) from fault
    return array


def _syntax(header: Header, dataset: Dataset) -> str:
    if header.pixels is not None:
        return header.pixels.transfer_syntax_uid
    return str(dataset.file_meta.TransferSyntaxUID)


def _plain_frames(file: Path, header: Header, offset: int, numbers: Sequence[int]) -> Iterator[bytes]:
    dataset = header.dataset
    bits = whole(dataset, "BitsAllocated")
    values = whole(dataset, "Rows") * whole(dataset, "Columns") * whole(dataset, "SamplesPerPixel", 1)
    swap = header.pixels is not None and not header.pixels.is_little_endian and bits > 8
    with file.open("rb") as stream:
        for number in numbers:
            first_bit = (number - 1) * values * bits
            stream.seek(offset + first_bit // 8)
            spare = first_bit % 8
            data = stream.read((spare + values * bits + 7) // 8)
            if len(data) * 8 < spare + values * bits:
                raise UndecodablePixels("The object holds fewer frames than its header says; send it again.")
            if bits == 1 and (spare or values % 8):
                unpacked = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[spare : spare + values]
                data = np.packbits(unpacked, bitorder="little").tobytes()
            if swap:
                data = np.frombuffer(data, f">u{bits // 8}").astype(f"<u{bits // 8}").tobytes()
            yield data
