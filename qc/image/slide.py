"""A level of a whole slide: colour as saturation and brightness, tissue, and tiles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.picture import Picture
from qc.image.radiograph import otsu

__all__ = ["SlideLevel", "slide_level"]

LEAST_SATURATION = 0.07
"""Glass has less, stained tissue more; Otsu's threshold is not allowed below."""

PEN_SATURATION = 0.35


@dataclass(frozen=True, eq=False)
class SlideLevel:
    """A level with what its colours say.

    Parameters
    ----------
    rgb
        0 to 1, shape (rows, columns, 3).
    saturation, value, hue
        HSV, 0 to 1.
    tissue
        Stained tissue, without marks of a pen.
    pen
        Marks of a pen: green, blue or black, flat in colour.
    """

    rgb: NDArray[np.float32]
    saturation: NDArray[np.float32]
    value: NDArray[np.float32]
    hue: NDArray[np.float32]
    tissue: NDArray[np.bool_]
    pen: NDArray[np.bool_]


def slide_level(picture: Picture) -> SlideLevel | None:
    """The level, or None where the picture is not in colour or is smaller than a tile."""
    if not picture.is_colour or min(picture.array.shape[:2]) < 64:
        return None
    rgb = picture.array.astype(np.float32) / np.float32(max(1.0, picture.top))
    value, lowest = rgb.max(axis=2), rgb.min(axis=2)
    span = value - lowest
    saturation = span / np.maximum(value, 1e-6)
    hue = _hue(rgb, value, span)
    smooth = ndimage.uniform_filter(saturation, 5)
    coloured = smooth > max(LEAST_SATURATION, 0.6 * otsu(smooth))
    is_ink = ((hue > 0.22) & (hue < 0.68) & (saturation > PEN_SATURATION)) | ((value < 0.25) & (saturation < 0.5))
    pen = ndimage.binary_opening(ndimage.uniform_filter(is_ink.astype(np.float32), 7) > 0.6, iterations=2)
    return SlideLevel(rgb, saturation, value, hue, coloured & ~ndimage.binary_dilation(pen, iterations=4), pen)


def _hue(rgb: NDArray[np.float32], value: NDArray[np.float32], span: NDArray[np.float32]) -> NDArray[np.float32]:
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    safe = np.maximum(span, 1e-6)
    other = np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    hue = np.where(value == red, (green - blue) / safe, other)
    return np.asarray((hue / 6) % 1.0, dtype=np.float32)
