"""Compressed streams that were cut: some decoders fill what is missing with values of their own, and say nothing."""

from collections.abc import Collection

from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from imaging.attributes import whole
from imaging.errors import TruncatedFile

__all__ = ["check_streams_end"]

JPEG_FAMILY = "1.2.840.10008.1.2.4."
"""JPEG, JPEG-LS, JPEG 2000 (and films, which no decoder here takes)."""

END = b"\xff\xd9"
"""EOI of JPEG and JPEG-LS, EOC of JPEG 2000: it cannot stand within compressed data, whose 0xFF are stuffed."""

PADDING = 64
"""Bytes in which the end may be followed by padding; the standard asks for at most one."""


def check_streams_end(dataset: Dataset, frames: Collection[int]) -> None:
    """Refuse a file of which one of the frames (indices from 0) has a stream without an end; others are not judged.

    Raises
    ------
    TruncatedFile
        A stream was cut.
    """
    if not str(dataset.file_meta.TransferSyntaxUID).startswith(JPEG_FAMILY):
        return
    offsets = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    count = whole(dataset, "NumberOfFrames", 1)
    streams = generate_frames(dataset.PixelData, number_of_frames=count, extended_offsets=offsets)
    for index, stream in enumerate(streams):
        if index in frames and END not in stream[-PADDING:]:
            raise TruncatedFile(
                "The compressed pixels of an image have no end, so that a part of the image is missing; send the file "
                "again.",
                frame=index + 1,
            )
