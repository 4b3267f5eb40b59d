"""Planes of an MR with the phase direction along the rows' index, and the object in them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen

__all__ = ["PhasePlane", "phase_planes"]

MOST_PLANES = 12
OBJECT_SHARE = 0.35
SMALLEST_SHARE = 0.02
SMALLEST_PIECE = 0.004
"""Share of the largest piece: what folds in on the other side may be small."""


@dataclass(frozen=True, eq=False)
class PhasePlane:
    """One plane, turned so that phase encoding runs along the first axis.

    Parameters
    ----------
    plane
        Index in the volume.
    pixels
        Values, shape (phase, read).
    mask
        The object without holes; it may touch the border.
    spacing_mm
        (phase, read).
    """

    plane: int
    pixels: NDArray[np.float32]
    mask: NDArray[np.bool_]
    spacing_mm: tuple[float, float]


def phase_planes(inputs: Inputs) -> Iterator[PhasePlane]:
    """At most 12 planes that hold an object; none where the phase direction is not stated."""
    direction = inputs.text("InPlanePhaseEncodingDirection").upper()
    volume = inputs.volume
    if volume is None or direction not in {"ROW", "COL"}:
        return
    dy, dx = volume.grid.pixel_spacing_mm
    chosen = evenly_chosen(len(volume.array), MOST_PLANES)
    sample = volume.array[chosen]
    bright = sample[sample > sample.mean()]
    level = OBJECT_SHARE * float(np.median(bright)) if bright.size else 0.0
    if level <= 0:
        return
    for plane in chosen:
        pixels = volume.array[plane].astype(np.float32)
        # "COL": lines of k-space are stepped along a column, that is from row to row.
        pixels, spacing = (pixels, (dy, dx)) if direction == "COL" else (pixels.T, (dx, dy))
        labels, count = ndimage.label(ndimage.gaussian_filter(pixels, [3.0 / mm for mm in spacing]) > level)
        if not count:
            continue
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        large = np.flatnonzero(sizes > SMALLEST_PIECE * float(sizes.max()))
        mask = ndimage.binary_fill_holes(np.isin(labels, large))
        if sizes.max() > SMALLEST_SHARE * pixels.size:
            yield PhasePlane(int(plane), pixels, np.asarray(mask), spacing)
