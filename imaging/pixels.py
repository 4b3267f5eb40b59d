"""Pixels of a stack: bytes from files into one array, compressed or not, and their rescaling.

Plain pixels are read straight into the array that is returned; nothing else of that size is allocated for CT.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder

from imaging.attributes import PARSER_FAULTS, numbers, text, whole
from imaging.errors import MissingAttribute, RadgateError, TruncatedFile, UndecodablePixels
from imaging.headers import PixelLocation, read_whole
from imaging.quiet import quiet_pydicom
from imaging.streams import check_streams_end

__all__ = ["PlanePixels", "read_pixels"]

HU_UNIT = "[hnsf'U]"

PET_UNITS = {"BQML": "Bq/mL", "GML": "g/mL", "CNTS": "{counts}", "PROPCNTS": "{counts}", "CPS": "{counts}/s"}
"""UCUM codes of Units of PET (PS3.3 C.8.9.1.1.3); other units become "1"."""

SMALLEST_SLOPE = 1e-25
"""Slopes below this (or above its inverse) would leave float32; none is ever meant."""

DECODER_FAULTS = (*PARSER_FAULTS, RuntimeError)
"""What decoders raise on damaged streams; the plug-ins written in C use RuntimeError for everything."""


@dataclass(frozen=True, eq=False)
class PlanePixels:
    """Where one plane's pixels are: header, file, frame (from 1; None for single-frame) and place in the file."""

    header: Dataset
    file: Path
    frame_number: int | None
    location: PixelLocation


@dataclass(frozen=True)
class _Encoding:
    """How stored values are written, equal for all planes of a stack."""

    bits_allocated: int
    bits_stored: int
    is_signed: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(f"{'i' if self.is_signed else 'u'}{self.bits_allocated // 8}")


def read_pixels(planes: Sequence[PlanePixels], shape: tuple[int, int, int]) -> tuple[NDArray[Any], str]:
    """Values of all planes after rescaling, shape (Z, Y, X), and their UCUM unit.

    Raises
    ------
    MissingAttribute
        Rescale or bit depth is absent where it is needed.
    TruncatedFile
        A file holds fewer pixels than its header says, or its compressed stream is cut.
    UndecodablePixels
        No decoder, a damaged stream, or a kind of pixel that is no measurement (colour).
    """
    with quiet_pydicom():
        encoding = _common_encoding(planes)
        rescales = [_rescale(p.header) for p in planes]
        unit = _unit(planes[0].header)
        stored = _allocated(planes, shape, encoding)
        for part in _runs_of_one_file(planes):
            _read_run(planes, part, encoding, stored)
    _extend_sign(stored, encoding)
    return _rescaled(stored, rescales), unit


def _allocated(planes: Sequence[PlanePixels], shape: tuple[int, int, int], encoding: _Encoding) -> NDArray[Any]:
    """Memory for all planes, once the files have been seen to hold that many bytes.

    Raises
    ------
    TruncatedFile
        A file holds fewer plain pixels than its header says.
    UndecodablePixels
        The header asks for more memory than there is.
    """
    plane_bytes = shape[1] * shape[2] * encoding.dtype.itemsize
    for plane in planes:
        needed = (plane.frame_number or 1) * plane_bytes
        if plane.location.length is not None:
            _check_length(plane.location.length, needed)
    try:
        return np.empty(shape, dtype=encoding.dtype)
    except MemoryError:
        raise UndecodablePixels(
            "The series needs more memory than there is; give the service more, or send fewer slices.",
            bytes=shape[0] * plane_bytes,
        ) from None


def _common_encoding(planes: Sequence[PlanePixels]) -> _Encoding:
    encodings = {_encoding(p.header) for p in planes}
    if len(encodings) > 1:
        raise UndecodablePixels(
            "The bit depth or sign of pixels changes within the series; split it or export it again."
        )
    return encodings.pop()


def _encoding(header: Dataset) -> _Encoding:
    samples = whole(header, "SamplesPerPixel", 1)
    photometric = text(header, "PhotometricInterpretation")
    if samples != 1 or photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise UndecodablePixels(
            "The pixels are colours, not measurements; send the series with grey values.", samples=samples
        )
    allocated = whole(header, "BitsAllocated")
    stored = whole(header, "BitsStored", allocated)
    representation = whole(header, "PixelRepresentation")
    high = whole(header, "HighBit", stored - 1)
    if allocated not in {8, 16, 32} or not 1 <= stored <= allocated or high != stored - 1:
        raise UndecodablePixels(
            f"Pixels of {stored} bits (high bit {high}) in {allocated} are not supported; export the series again.",
            bits_allocated=allocated,
            bits_stored=stored,
            high_bit=high,
        )
    # BitsStored matters for the sign alone: no bit of unsigned pixels is masked, and where metal makes a writer raise
    # BitsStored from slice to slice, nothing changes.
    return _Encoding(allocated, stored if representation == 1 else allocated, representation == 1)


def _rescale(header: Dataset) -> tuple[float, float]:
    """(slope, intercept) of a plane; required of CT and PT, (1, 0) for MR that has none.

    Raises
    ------
    MissingAttribute
        One of the two is absent, or the slope is zero or beyond reason.
    """
    if "RescaleSlope" not in header and "RescaleIntercept" not in header and text(header, "Modality") == "MR":
        return (1.0, 0.0)
    slope, intercept = numbers(header, "RescaleSlope", 1)[0], numbers(header, "RescaleIntercept", 1)[0]
    if not SMALLEST_SLOPE <= abs(slope) <= 1 / SMALLEST_SLOPE or abs(intercept) > 1 / SMALLEST_SLOPE:
        raise MissingAttribute(
            "RescaleSlope is zero or beyond reason; export the series again.", keyword="RescaleSlope"
        )
    return (slope, intercept)


def _unit(header: Dataset) -> str:
    modality = text(header, "Modality")
    if modality == "CT" and text(header, "RescaleType") in {"", "HU"}:
        return HU_UNIT
    return PET_UNITS.get(text(header, "Units"), "1") if modality == "PT" else "1"


def _runs_of_one_file(planes: Sequence[PlanePixels]) -> Iterator[list[int]]:
    """Indices of the planes of each file, so that every file is opened once."""
    by_file: dict[Path, list[int]] = {}
    for k, plane in enumerate(planes):
        by_file.setdefault(plane.file, []).append(k)
    yield from by_file.values()


def _read_run(planes: Sequence[PlanePixels], part: list[int], encoding: _Encoding, stored: NDArray[Any]) -> None:
    first = planes[part[0]]
    is_swapped_bytes = encoding.bits_allocated == 8 and not first.location.is_little_endian
    try:
        if first.location.is_plain and not is_swapped_bytes:
            _read_plain(planes, part, encoding, stored)
        else:
            _decode(planes, part, encoding, stored)
    except RadgateError:
        raise
    except DECODER_FAULTS as fault:
        raise UndecodablePixels(
            "The pixel data cannot be decoded; send the series again, uncompressed if possible.",
            transfer_syntax_uid=first.location.transfer_syntax_uid,
            reason=type(fault).__name__,
        ) from None


def _read_plain(planes: Sequence[PlanePixels], part: list[int], encoding: _Encoding, stored: NDArray[Any]) -> None:
    location = planes[part[0]].location
    if location.offset is None:
        raise TypeError("plain pixels have an offset")
    plane_bytes = stored[0].nbytes
    with planes[part[0]].file.open("rb", buffering=0) as stream:
        for k in part:
            start = ((planes[k].frame_number or 1) - 1) * plane_bytes
            stream.seek(location.offset + start, os.SEEK_SET)
            count = stream.readinto(memoryview(stored[k]).cast("B"))
            _check_length(start + (count or 0), start + plane_bytes)
            if not location.is_little_endian:
                stored[k].byteswap(inplace=True)


def _check_length(got: int, expected: int) -> None:
    """Refuse pixel data that end too early.

    Raises
    ------
    TruncatedFile
        Fewer bytes than expected.
    """
    if got < expected:
        raise TruncatedFile(
            f"The pixel data hold {got} bytes where {expected} are needed; send the file again.",
            got_bytes=got,
            expected_bytes=expected,
        )


def _decode(planes: Sequence[PlanePixels], part: list[int], encoding: _Encoding, stored: NDArray[Any]) -> None:
    dataset = read_whole(planes[part[0]].file)
    location = planes[part[0]].location
    if location.offset is None:
        plane_bytes = stored[0].nbytes
        for k in part:
            start = ((planes[k].frame_number or 1) - 1) * plane_bytes
            content = dataset.PixelData[start : start + plane_bytes]
            _check_length(start + len(content), start + plane_bytes)
            stored[k] = np.frombuffer(content, encoding.dtype.newbyteorder("<")).reshape(stored[k].shape)
        return
    decoder = get_decoder(location.transfer_syntax_uid)
    frames = [(planes[k].frame_number or 1) - 1 for k in part]
    check_streams_end(dataset, frames)
    for k, (frame, _) in zip(part, decoder.iter_array(dataset, indices=frames, raw=True), strict=True):
        if frame.shape != stored[k].shape:
            raise UndecodablePixels("A decoded frame has another size than its header says; send the series again.")
        stored[k] = frame


def _extend_sign(stored: NDArray[Any], encoding: _Encoding) -> None:
    """Give negative values their sign where the upper, unused bits were left at zero.

    Values that reach into the upper bits otherwise show that the writer used all bits, whatever BitsStored says; they
    are kept, because masking them would turn metal into air.
    """
    unused = encoding.bits_allocated - encoding.bits_stored
    if not encoding.is_signed or not unused:
        return
    low, high = int(stored.min()), int(stored.max())
    if low >= 0 and 1 << (encoding.bits_stored - 1) <= high < 1 << encoding.bits_stored:
        np.left_shift(stored, unused, out=stored)
        np.right_shift(stored, unused, out=stored)


def _rescaled(stored: NDArray[Any], rescales: Sequence[tuple[float, float]]) -> NDArray[Any]:
    """int16 where every value is whole and fits (in place where the stored values have 16 bits), else float32."""
    if all(s.is_integer() and i.is_integer() for s, i in rescales) and _fits_int16(stored, rescales):
        values = stored.view(np.int16) if stored.dtype.itemsize == 2 else stored.astype(np.int16)
        for plane, (slope, intercept) in zip(values, rescales, strict=True):
            # Modulo 2**16 throughout: exact, because the result is known to fit.
            if slope != 1:
                np.multiply(plane, _wrapped(slope), out=plane)
            if intercept:
                np.add(plane, _wrapped(intercept), out=plane)
        return values
    measured = np.empty(stored.shape, dtype=np.float32)
    for out, plane, (slope, intercept) in zip(measured, stored, rescales, strict=True):
        out[...] = plane.astype(np.float64) * slope + intercept
    return measured


def _fits_int16(stored: NDArray[Any], rescales: Sequence[tuple[float, float]]) -> bool:
    limits = np.iinfo(np.int16)
    for plane, (slope, intercept) in zip(stored, rescales, strict=True):
        ends = [int(plane.min()) * slope + intercept, int(plane.max()) * slope + intercept]
        if min(ends) < limits.min or max(ends) > limits.max:
            return False
    return True


def _wrapped(number: float) -> np.int16:
    return np.uint16(int(number) & 0xFFFF).astype(np.int16)
