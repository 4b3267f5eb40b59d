"""Pixels of a DICOM segmentation: which frames there are, and each frame's plane, packed from cropped regions.

highdicom wants a four-dimensional array of all segments; here one plane at a time is laid out, so memory stays that of
the finished pixel data.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contouring.roi import Roi
from imaging.volume import Region

__all__ = [
    "MAX_FRACTION",
    "Frame",
    "binary_planes",
    "fractional_planes",
    "frames_of",
    "label_planes",
    "overlapping",
    "pack_bits",
]

MAX_FRACTION = 255
"""MaximumFractionalValue: what a probability of 1 is written as."""


@dataclass(frozen=True)
class Frame:
    """One frame: the position of its region in the list of regions, and its plane."""

    region: int
    plane: int


def frames_of(regions: Sequence[Region], omit_empty: bool) -> list[Frame]:
    """The frames to write, region by region, each in plane order."""
    frames: list[Frame] = []
    for number, region in enumerate(regions):
        planes: Iterable[int] = range(region.shape[0])
        if omit_empty:
            filled = (
                region.crop if region.probability is None else region.crop | (region.probability >= 0.5 / MAX_FRACTION)
            )
            planes = (region.start[0] + np.flatnonzero(filled.any(axis=(1, 2)))).tolist()
        frames.extend(Frame(number, plane) for plane in planes)
    return frames


def pack_bits(planes: Iterable[NDArray[np.bool_]], rows: int, columns: int) -> Iterator[bytes]:
    """Frames of one bit a pixel, little end first, without padding between frames.

    Eight frames always end on a byte, whatever the size of the matrix, so they are packed together.
    """
    block = np.empty((8, rows, columns), dtype=np.bool_)
    used = 0
    for plane in planes:
        block[used] = plane
        used += 1
        if used == len(block):
            yield np.packbits(block, bitorder="little").tobytes()
            used = 0
    if used:
        yield np.packbits(block[:used], bitorder="little").tobytes()


def overlapping(regions: Sequence[Region]) -> bool:
    """Whether a voxel belongs to two regions; plane by plane, so that no full array is needed."""
    if len(regions) < 2:
        return False
    _, rows, columns = regions[0].shape
    for plane in range(regions[0].shape[0]):
        taken = np.zeros((rows, columns), dtype=np.bool_)
        for region in regions:
            k = plane - region.start[0]
            if 0 <= k < len(region.crop):
                part = taken[region.box[1:]]
                if bool((part & region.crop[k]).any()):
                    return True
                part |= region.crop[k]
    return False


def binary_planes(rois: Sequence[Roi], frames: Sequence[Frame], rows: int, columns: int) -> Iterator[NDArray[np.bool_]]:
    """The plane of each frame, as one array that is overwritten for the next."""
    plane = np.zeros((rows, columns), dtype=np.bool_)
    last: Region | None = None
    for frame in frames:
        region = rois[frame.region].region
        if last is not None:
            plane[last.box[1:]] = False
        k = frame.plane - region.start[0]
        if 0 <= k < len(region.crop):
            plane[region.box[1:]] = region.crop[k]
        last = region
        yield plane


def label_planes(
    rois: Sequence[Roi], frames: Sequence[Frame], rows: int, columns: int, dtype: np.dtype[Any]
) -> Iterator[bytes]:
    """The labels of each plane; regions must not overlap."""
    for frame in frames:
        plane = np.zeros((rows, columns), dtype=dtype)
        for roi in rois:
            k = frame.plane - roi.region.start[0]
            if 0 <= k < len(roi.region.crop):
                plane[roi.region.box[1:]][roi.region.crop[k]] = roi.number
        yield plane.tobytes()


def fractional_planes(rois: Sequence[Roi], frames: Sequence[Frame], rows: int, columns: int) -> Iterator[bytes]:
    """Probability of each frame in 255 steps; a region without probabilities is all or nothing."""
    for frame in frames:
        region = rois[frame.region].region
        plane = np.zeros((rows, columns), dtype=np.uint8)
        k = frame.plane - region.start[0]
        if 0 <= k < len(region.crop):
            share = region.crop[k] if region.probability is None else region.probability[k]
            plane[region.box[1:]] = np.rint(np.clip(share, 0, 1) * MAX_FRACTION)
        yield plane.tobytes()
