"""The lit field of a photograph, and in a fundus the optic disc and the macula."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.picture import Picture

__all__ = ["Eye", "brightness", "find_eye", "lit_field"]

DARK = 0.08
"""Below this brightness lies the mask of the camera."""

FULL = 0.97
DISC_SHARE = (0.004, 0.06)
"""Area of a disc as a share of the field."""

MACULA_DISTANCE = (1.5, 4.0)
"""Distance of the macula from the disc in diameters of the disc (2.5 on average)."""


HOLLOW = 0.1
"""How much darker than its surroundings a macula is at least, as a share of the brightness."""


@dataclass(frozen=True)
class Eye:
    """Landmarks of a fundus in pixels of the coarse picture (row, column); None where one was not found."""

    disc: tuple[float, float] | None
    disc_diameter: float
    macula: tuple[float, float] | None


def brightness(picture: Picture) -> NDArray[np.float32]:
    """The largest channel of every pixel, 0 to 1 (value of HSV)."""
    array = picture.array.max(axis=2) if picture.is_colour else picture.array
    return np.asarray((array - np.float32(picture.bottom)) / np.float32(max(1.0, picture.top - picture.bottom)))


def lit_field(picture: Picture) -> NDArray[np.bool_]:
    """Pixels that are lit: the largest piece brighter than the camera's mask, holes filled; all, where none is dark."""
    bright = brightness(picture)
    n = max(1, max(bright.shape) // 400)
    labels, count = ndimage.label(ndimage.uniform_filter(bright[::n, ::n], 5) > DARK)
    if not count:
        return np.zeros(bright.shape, dtype=np.bool_)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    mask = np.asarray(ndimage.binary_fill_holes(labels == int(sizes.argmax())))
    if mask.mean() > FULL:
        mask = np.ones_like(mask)
    return mask.repeat(n, 0).repeat(n, 1)[: bright.shape[0], : bright.shape[1]]


def find_eye(picture: Picture) -> Eye | None:
    """Disc and macula of a fundus photograph in colour; None where there is no round field."""
    if not picture.is_colour:
        return None
    n = max(1, max(picture.array.shape[:2]) // 300)
    small = picture.array[::n, ::n].astype(np.float32)
    field = lit_field(picture)[::n, ::n]
    area = int(np.count_nonzero(field))
    if area < 0.2 * field.size:
        return None
    inner = ndimage.binary_erosion(field, iterations=max(2, field.shape[0] // 30))
    warm = ndimage.gaussian_filter(small[..., 0] + small[..., 1], 2.0)
    level = float(np.median(warm[inner]))
    spread = 1.4826 * float(np.median(np.abs(warm[inner] - level)))
    labels, _ = ndimage.label((warm > level + 4 * spread) & inner)
    disc, diameter = None, 0.0
    sizes = np.bincount(labels.ravel())
    for index in np.argsort(-sizes):
        if index == 0 or not DISC_SHARE[0] * area <= sizes[index] <= DISC_SHARE[1] * area:
            continue
        rows, columns = np.nonzero(labels == index)
        wide, high = np.ptp(columns) + 1, np.ptp(rows) + 1
        if max(wide, high) < 1.8 * min(wide, high):
            disc, diameter = (float(rows.mean()), float(columns.mean())), float(np.sqrt(4 * sizes[index] / np.pi))
            break
    if disc is None:
        return Eye(None, 0.0, None)
    y, x = np.ogrid[: field.shape[0], : field.shape[1]]
    away = np.hypot(y - disc[0], x - disc[1]) / diameter
    # The macula lies at the height of the disc or a little below, on the temporal side.
    belt = inner & (away > MACULA_DISTANCE[0]) & (away < MACULA_DISTANCE[1]) & (np.abs(y - disc[0]) < 1.3 * diameter)
    green = ndimage.gaussian_filter(small[..., 1], diameter / 5)
    ground = ndimage.gaussian_filter(small[..., 1], diameter)
    hollow = np.where(belt, ground - green, -np.inf)
    if not belt.any():
        return Eye(disc, diameter, None)
    place = np.unravel_index(int(hollow.argmax()), hollow.shape)
    is_deep = float(hollow[place]) > HOLLOW * float(np.median(green[inner]))
    return Eye(disc, diameter, (float(place[0]), float(place[1])) if is_deep else None)
