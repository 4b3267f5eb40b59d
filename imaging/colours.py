"""Pixels of colour pictures as red, green and blue, however they are stored: planes apart, YBR, palette, compressed."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut

from imaging.attributes import text, whole
from imaging.errors import RadgateError, TruncatedFile, UndecodablePixels
from imaging.headers import read_whole
from imaging.pictures import Pictures, PictureSeries
from imaging.pixels import DECODER_FAULTS
from imaging.quiet import quiet_pydicom
from imaging.streams import check_streams_end

__all__ = ["PALETTE", "check_colours", "load_pictures"]

PALETTE = "PALETTE COLOR"

DIRECT = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
"""Photometric interpretations of three samples that the decoder turns to red, green and blue by the standard's formula;
the last two are those of JPEG 2000, whose own decoder does it."""

BITS = 8
MOST_BYTES = 1 << 32
"""Decoded pictures beyond this are refused: a film of an hour would fill the memory of the service."""

SHARED_SAMPLES = "YBR_FULL_422"
"""Two pixels of one row share their two colour samples, so that a pixel takes two bytes."""


def check_colours(header: Dataset) -> None:
    """Refuse a header whose pixels are no colours of 8 bits, or have no size.

    Raises
    ------
    UndecodablePixels
        They are grey, of another depth, or in a colour space that is not known.
    MissingAttribute
        Their size or kind is not stated.
    """
    samples, photometric = whole(header, "SamplesPerPixel", 1), text(header, "PhotometricInterpretation")
    wanted = 1 if photometric == PALETTE else 3
    if photometric not in DIRECT | {PALETTE} or samples != wanted:
        raise UndecodablePixels(
            "The pictures are not in colours that can be read (RGB, YBR_FULL, YBR_FULL_422 or PALETTE COLOR); export "
            "them again as RGB.",
            samples=samples,
        )
    allocated, stored = whole(header, "BitsAllocated"), whole(header, "BitsStored", BITS)
    deep = photometric == PALETTE and allocated == 2 * BITS
    if (allocated != BITS and not deep) or (stored != BITS and not deep) or whole(header, "PixelRepresentation", 0):
        raise UndecodablePixels(
            f"The pictures have {stored} bits in {allocated} a sample; export them again with 8 bits.",
            bits_allocated=allocated,
            bits_stored=stored,
        )
    if min(whole(header, "Rows"), whole(header, "Columns"), whole(header, "NumberOfFrames", 1)) < 1:
        raise UndecodablePixels("Rows, Columns or NumberOfFrames is zero; export the pictures again.")


def load_pictures(series: PictureSeries) -> Pictures:
    """The pictures of a series as red, green and blue.

    Raises
    ------
    UndecodablePixels
        No decoder, a damaged stream, more than 4 GiB, or a decoder that gives something else than colours.
    TruncatedFile
        A file holds fewer pixels than its header says, its compressed stream is cut, or it has changed since the scan.
    MissingAttribute
        An attribute that the pixels need is absent.
    """
    for header in series.headers:
        check_colours(header)
    shape = series.shape
    _check_lengths(series)
    needed = 3 * math.prod(shape)
    if needed > MOST_BYTES:
        raise UndecodablePixels(
            f"The pictures take {needed / 2**30:.1f} GiB when they are decoded, and at most {MOST_BYTES / 2**30:.0f} "
            "are read; send a part of them.",
            bytes=needed,
        )
    try:
        array = np.empty((*shape, 3), dtype=np.uint8)
    except MemoryError:
        raise UndecodablePixels(
            "The pictures need more memory than there is; give the service more, or send fewer frames.",
            bytes=needed,
        ) from None
    by_file: dict[Path, list[int]] = {}
    for plane, file in enumerate(series.files):
        by_file.setdefault(file, []).append(plane)
    with quiet_pydicom():
        for file, planes in by_file.items():
            _decode(file, [(series.sources[k].frame_number or 1) - 1 for k in planes], planes, array)
    return Pictures(array, series.sources)


def _check_lengths(series: PictureSeries) -> None:
    """Compare what the headers claim with what plain files hold, before anything is allocated for it.

    Raises
    ------
    TruncatedFile
        A file holds less.
    """
    _, rows, columns = series.shape
    for header, source, location in zip(series.headers, series.sources, series.pixels, strict=True):
        shares = text(header, "PhotometricInterpretation") == SHARED_SAMPLES
        samples = 2 if shares else whole(header, "SamplesPerPixel", 1)
        needed = (source.frame_number or 1) * rows * columns * samples * (whole(header, "BitsAllocated") // BITS)
        if location.length is not None and location.length < needed:
            raise TruncatedFile(
                f"The pixel data hold {location.length} bytes where {needed} are needed; send the file again.",
                got_bytes=location.length,
                expected_bytes=needed,
            )


def _decode(file: Path, frames: Sequence[int], planes: Sequence[int], array: NDArray[np.uint8]) -> None:
    """The frames of one file into their planes of the array.

    Raises
    ------
    RadgateError
        A decoded frame is none of these pictures.
    UndecodablePixels
        They cannot be decoded.
    """
    transfer_syntax = ""
    try:
        dataset = read_whole(file)
        transfer_syntax = str(dataset.file_meta.TransferSyntaxUID)
        decoder = get_decoder(transfer_syntax)
        check_streams_end(dataset, frames)
        # One by one: pydicom 3.0 iterates over frames with the colours of the first, and then fails on YBR_FULL_422.
        for plane, frame in zip(planes, frames, strict=True):
            decoded, about = decoder.as_array(dataset, index=frame)
            array[plane] = _as_rgb(decoded, about, dataset, array.shape[1:])
    except RadgateError:
        raise
    except DECODER_FAULTS as fault:
        raise UndecodablePixels(
            "The pixel data cannot be decoded; send the pictures again, uncompressed if possible.",
            transfer_syntax_uid=transfer_syntax,
            reason=type(fault).__name__,
        ) from None


def _as_rgb(frame: NDArray[Any], about: Any, dataset: Dataset, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A decoded frame as red, green and blue.

    Raises
    ------
    UndecodablePixels
        It has another size than its header says, or other colours.
    """
    photometric = str(about["photometric_interpretation"])
    if photometric == PALETTE:
        frame = apply_color_lut(frame, dataset)[..., :3]
        # Entries of 16 bits hold 8 in their upper byte; a copy in the lower one changes nothing.
        frame = (frame >> BITS).astype(np.uint8) if frame.dtype == np.uint16 else frame
    elif photometric != "RGB":
        raise UndecodablePixels(
            "The decoder gave other colours than red, green and blue; export the pictures again as RGB, uncompressed.",
            photometric=photometric,
        )
    if frame.shape != shape or frame.dtype != np.uint8:
        raise UndecodablePixels("A decoded picture has another size than its header says; send the pictures again.")
    return np.asarray(frame)
