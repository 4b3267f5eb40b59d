"""Files that are no stack, as the checks want them: pictures in grey or RGB, and recorded signals.

Grey pictures come upright by their header: MONOCHROME1 is turned over, so that in a radiograph dense is bright.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from imaging.errors import RadgateError, UndecodablePixels
from imaging.headers import PARSER_FAULTS, read_whole
from imaging.quiet import quiet_pydicom
from qc.image.inputs import item_of, number_of, numbers_of, text_of
from qc.image.picture import Picture
from qc.image.pixels import evenly_chosen
from qc.image.waveform import Waveform

__all__ = ["PlanarSeries", "read_planar"]

FAULTS = (*PARSER_FAULTS, RuntimeError, NotImplementedError, MemoryError, OSError)
MOST_FRAMES = 3
"""Frames looked at in a film of ultrasound or endoscopy."""

MOST_TILE_PIXELS = 30_000_000
"""A level of a whole slide with more pixels is not put together."""

LOSSY_SYNTAXES = frozenset({
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91",
})  # fmt: skip
MILLIVOLT = {"mV": 1.0, "uV": 1e-3, "V": 1e3, "mm[Hg]": 0.0}
PIXEL_DATA = (0x7FE0, 0x0010)


@dataclass(frozen=True, eq=False)
class PlanarSeries:
    """What the files of one series hold.

    Parameters
    ----------
    headers
        One per instance, without pixels and samples.
    pictures
        Their pictures; an instance of many frames gives some of them.
    waveform
        The first recorded signal.
    refusal
        Why pixels are missing, where any could not be read.
    """

    headers: tuple[Dataset, ...]
    pictures: tuple[Picture, ...]
    waveform: Waveform | None
    refusal: RadgateError | None = None


def read_planar(files: Sequence[Path]) -> PlanarSeries:
    """Headers, pictures and signals of the files of one series, which `imaging.series.scan` found to be no stack."""
    headers: list[Dataset] = []
    pictures: list[Picture] = []
    waveform, refusal = None, None
    for file in files:
        found: list[Picture] = []
        try:
            dataset = read_whole(file)
        except FAULTS as fault:
            refusal = _unreadable(fault)
            continue
        try:
            with quiet_pydicom():
                found = _pictures(dataset, len(headers)) if PIXEL_DATA in dataset else []
                waveform = waveform or _waveform(dataset)
        except FAULTS as fault:
            # The header stays: what it says is judged, and what needs pixels is not evaluable.
            refusal = _unreadable(fault)
        for tag in (PIXEL_DATA, (0x5400, 0x0100)):
            if tag in dataset:
                del dataset[tag]
        headers.append(dataset)
        pictures += found
    return PlanarSeries(tuple(headers), tuple(pictures), waveform, refusal)


def _unreadable(fault: BaseException) -> UndecodablePixels:
    return UndecodablePixels(
        "The pixels or samples of an instance cannot be read; export it again from its source.",
        reason=type(fault).__name__,
    )


def _pictures(dataset: Dataset, header: int) -> list[Picture]:
    frames = int(number_of(dataset, "NumberOfFrames") or 1)
    if number_of(dataset, "TotalPixelMatrixColumns") and frames > 1:
        array = _whole_level(dataset, frames)
        return [] if array is None else [_picture(dataset, array, header, None)]
    found = []
    for frame in evenly_chosen(frames, MOST_FRAMES):
        array = pixel_array(dataset, index=int(frame) if frames > 1 else None)
        found.append(_picture(dataset, array, header, int(frame) + 1 if frames > 1 else None))
    return found


def _picture(dataset: Dataset, array: NDArray[Any], header: int, frame_number: int | None) -> Picture:
    photometric = text_of(dataset, "PhotometricInterpretation")
    bits = int(number_of(dataset, "BitsStored") or 8 * array.itemsize)
    is_signed = bool(number_of(dataset, "PixelRepresentation"))
    bottom, top = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
    if photometric == "PALETTE COLOR":
        array = apply_color_lut(array, dataset)
        array = (array // 257 if array.dtype == np.uint16 else array).astype(np.uint8)
        bottom, top = 0, 255
    if photometric == "MONOCHROME1":
        array = (bottom + top) - array.astype(np.int32)
    syntax = str(getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", ""))
    is_lossy = text_of(dataset, "LossyImageCompression") == "01" or syntax in LOSSY_SYNTAXES
    return Picture(array, header, _spacing_mm(dataset), float(bottom), float(top), is_lossy, frame_number)


def _spacing_mm(dataset: Dataset) -> tuple[float, float] | None:
    """(between rows, between columns) as the kind of image states it."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        found = numbers_of(dataset, keyword)
        if len(found) == 2 and min(found) > 0:
            return found[0], found[1]
    region = item_of(dataset, "SequenceOfUltrasoundRegions")
    down, across = number_of(region, "PhysicalDeltaY"), number_of(region, "PhysicalDeltaX")
    centimetres = 3
    if number_of(region, "PhysicalUnitsXDirection") == centimetres and down and across:
        return abs(down) * 10, abs(across) * 10
    shared = item_of(dataset, "SharedFunctionalGroupsSequence")
    found = numbers_of(item_of(shared, "PixelMeasuresSequence"), "PixelSpacing")
    return (found[0], found[1]) if len(found) == 2 and min(found) > 0 else None


def _whole_level(dataset: Dataset, frames: int) -> NDArray[Any] | None:
    """A tiled level put together; None where it is too large, or tiled sparsely."""
    rows, columns = (int(number_of(dataset, k) or 0) for k in ("TotalPixelMatrixRows", "TotalPixelMatrixColumns"))
    high, wide = (int(number_of(dataset, k) or 0) for k in ("Rows", "Columns"))
    if not high or not wide or rows * columns > MOST_TILE_PIXELS:
        return None
    across = -(-columns // wide)
    if across * -(-rows // high) != frames:
        return None
    whole = np.full((-(-rows // high) * high, across * wide, 3), 255, dtype=np.uint8)
    for frame in range(frames):
        top, left = frame // across * high, frame % across * wide
        tile = pixel_array(dataset, index=frame)
        whole[top : top + high, left : left + wide] = tile if tile.ndim == 3 else tile[..., None]
    return whole[:rows, :columns]


def _waveform(dataset: Dataset) -> Waveform | None:
    """The first multiplex group in millivolt."""
    if "WaveformSequence" not in dataset or not dataset.WaveformSequence:
        return None
    group = dataset.WaveformSequence[0]
    rate_hz = number_of(group, "SamplingFrequency")
    if not rate_hz:
        return None
    values = dataset.waveform_array(0).T.astype(np.float64)
    leads, ends = [], []
    for index, channel in enumerate(group.ChannelDefinitionSequence):
        scale = MILLIVOLT.get(text_of(item_of(channel, "ChannelSensitivityUnitsSequence"), "CodeValue"), 1.0)
        values[index] *= scale
        meaning = text_of(item_of(channel, "ChannelSourceSequence"), "CodeMeaning") or text_of(channel, "ChannelLabel")
        leads.append(meaning.removeprefix("Lead ").removesuffix(" (Einthoven)").strip())
        bits = int(number_of(group, "WaveformBitsAllocated") or 16)
        step = (number_of(channel, "ChannelSensitivity") or 1.0) * (
            number_of(channel, "ChannelSensitivityCorrectionFactor") or 1.0
        )
        ends.append(2 ** (bits - 1) * step * scale)
    largest = min(ends) if ends else None
    return Waveform(values, rate_hz, tuple(leads), None if largest is None else -largest, largest)
