"""The scanned region of an ultrasound picture: the largest piece that is not black, without text and scales."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.picture import Picture

__all__ = ["Scanned", "find_scanned"]

BLACK = 0.02
CLOSE_PX = 9
SMALLEST_SHARE = 0.08
FLAT_PX = 4.0


FLAT_SHARE = 0.5
"""A banner or a frame has one colour over more than this share of it."""


@dataclass(frozen=True, eq=False)
class Scanned:
    """The region.

    Parameters
    ----------
    grey
        Brightness of its box, 0 to 1.
    mask
        The region within the box.
    rows, columns
        The box in the picture.
    is_linear
        Whether its upper edge is flat, as that of a linear probe.
    """

    grey: NDArray[np.float32]
    mask: NDArray[np.bool_]
    rows: tuple[int, int]
    columns: tuple[int, int]
    is_linear: bool


def find_scanned(picture: Picture) -> Scanned | None:
    """The region, or None where nothing is large enough."""
    grey = (picture.grey() - picture.bottom) / max(1e-6, picture.top - picture.bottom)
    mask = ndimage.binary_closing(grey > BLACK, np.ones((CLOSE_PX, CLOSE_PX)))
    labels, count = ndimage.label(ndimage.binary_opening(mask, np.ones((5, 5))))
    if not count:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    large = [int(n) for n in np.argsort(sizes)[::-1] if sizes[n] >= SMALLEST_SHARE * mask.size]
    found = next((n for n in large if not _is_flat(grey[labels == n])), None)
    if found is None:
        return None
    region = np.asarray(ndimage.binary_fill_holes(labels == found))
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    inner = region[box]
    upper = inner.argmax(axis=0)
    middle = upper[len(upper) // 10 : -max(1, len(upper) // 10)]
    is_linear = float(np.percentile(middle, 90) - np.percentile(middle, 10)) <= FLAT_PX
    return Scanned(
        grey[box].astype(np.float32), inner, (box[0].start, box[0].stop), (box[1].start, box[1].stop), is_linear
    )


def _is_flat(grey: NDArray[np.floating]) -> bool:
    """Whether most of a piece has one brightness, as no tissue has that is not saturated."""
    counts = np.histogram(grey, bins=256, range=(0.0, 1.0))[0]
    return bool(counts[:-1].max() > FLAT_SHARE * grey.size)
