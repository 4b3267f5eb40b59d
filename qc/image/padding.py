"""Padding of a CT: what no plane ever uses, one value from the border of the picture inwards, and body that it cuts.

A reconstruction circle that is smaller than the picture, or a part that was cut away, is filled with one value. Where
air is cut to one value as well, padding and air look alike; but skin falls to air over more than a pixel, and body that
padding cuts falls within one. Where the skin falls within one pixel everywhere, somebody set all outside the body to
one value: such a picture does not tell what padding cuts.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.body import BodySection
from qc.image.pixels import evenly_chosen

__all__ = ["body_beside", "is_masked_body", "padding_mask", "rim_of"]

BODY_HU = -300.0
FEWEST_OF_BORDER = 0.05
"""Share of the picture's border that has the value of padding, at the least."""

ALONG_PX = 11
"""Length of padding's rim over which it is asked whether body runs along it, pixels."""

LEAST_BODY = 0.8
"""Share of such a piece that is body at full value. Where air is one value too, pixels of 4 mm make about a third."""

MASKED = 0.4
"""Share of skin away from a cut that falls to its value within one pixel, in a body cut out by a mask."""

FEWEST_SKIN_PX = 50
MOST_SECTIONS = 12

BOX = np.ones((3, 3), dtype=np.bool_)


def padding_mask(volume: Volume, planes: Sequence[int]) -> NDArray[np.bool_] | None:
    """Pixels that hold one value in all the planes and hang together with the picture's border; None without any."""
    array = volume.array
    border = np.concatenate([
        np.concatenate([array[k, 0], array[k, -1], array[k, :, 0], array[k, :, -1]]) for k in planes
    ])
    values, counts = np.unique(border, return_counts=True)
    most = int(counts.argmax())
    if counts[most] < FEWEST_OF_BORDER * border.size or values[most] > BODY_HU:
        return None
    unused = np.ones(array.shape[1:], dtype=np.bool_)
    for plane in planes:
        unused &= array[plane] == values[most]
    labels, count = ndimage.label(unused)
    at_border = np.zeros(count + 1, dtype=np.bool_)
    for line in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        at_border[line] = True
    at_border[0] = False
    found: NDArray[np.bool_] = at_border[labels]
    return found if found.any() else None


def body_beside(plane: NDArray[Any], rim: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the padding's rim at which body ends within one pixel, along at least some pixels of it.

    Parameters
    ----------
    plane
        Values in HU.
    rim
        Pixels beside the padding, as dilation makes them.
    """
    hard = np.zeros(rim.shape, dtype=np.bool_)
    hard[rim] = plane[rim] > BODY_HU
    if np.count_nonzero(hard) < ALONG_PX:
        return np.zeros_like(hard)
    near = ndimage.uniform_filter(hard.astype(np.float32), ALONG_PX, mode="constant")
    of = ndimage.uniform_filter(rim.astype(np.float32), ALONG_PX, mode="constant")
    # At least a straight run's worth of pixels: a single pixel at the rim's end is no run.
    enough = near * ALONG_PX**2 >= 0.5 * ALONG_PX
    return np.asarray(hard & enough & (near >= LEAST_BODY * of))


def rim_of(padding: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels beside the padding."""
    return np.asarray(ndimage.binary_dilation(padding, BOX) & ~padding)


def is_masked_body(
    volume: Volume, sections: Sequence[BodySection], padding: NDArray[np.bool_], rim: NDArray[np.bool_]
) -> bool:
    """Whether skin that is not beside a cut, too, falls to the value of padding within one pixel.

    So is a body that has no other skin: a cylinder with an edge of one pixel, or padding all around.
    """
    value = volume.array[sections[0].plane][padding][0]
    rows, columns = rim.shape
    sharp, skin = 0, 0
    for index in evenly_chosen(len(sections), MOST_SECTIONS):
        section = sections[int(index)]
        outline = section.mask & ~ndimage.binary_erosion(section.mask, border_value=1)
        near = ndimage.binary_dilation(outline, BOX).repeat(section.step, 0).repeat(section.step, 1)[:rows, :columns]
        plane = volume.array[section.plane]
        body = plane > BODY_HU
        away = ~ndimage.binary_dilation(body_beside(plane, rim), BOX, iterations=ALONG_PX // 2)
        edge = near & away & body & ndimage.binary_dilation(~body, BOX)
        skin += int(np.count_nonzero(edge))
        sharp += int(np.count_nonzero(edge & ndimage.binary_dilation(plane == value, BOX)))
    return skin < FEWEST_SKIN_PX or sharp > MASKED * skin
