"""Colour scales for dose: lightness rises with dose, hue runs from blue to yellow, fit for colour-blind readers.

The scales are paths in OKLab, a space in which equal steps look equal: no rainbow, whose yellow band reads as an edge
that the dose does not have.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIFFERENCE", "DOSE", "ColourScale", "nice_levels", "oklab_to_rgb", "table_of"]

FloatArray = NDArray[np.float64]

STEPS = 256

DOSE = "dose"
DIFFERENCE = "difference"

DOSE_PATH = ((0.28, 0.15, 265.0), (0.45, 0.21, 300.0), (0.60, 0.21, 350.0), (0.75, 0.17, 45.0), (0.95, 0.15, 105.0))
"""Lightness, chroma and hue in degrees at equal distances, from no dose to the highest."""

DIFFERENCE_PATH = ((0.50, 0.17, 250.0), (0.75, 0.09, 245.0), (0.95, 0.0, 200.0), (0.75, 0.11, 65.0), (0.50, 0.14, 50.0))
"""Blue where the second dose is higher, orange where the first is, white where they are equal."""

MOST_LEVELS = 10
STEPS_GY = tuple(m * 10.0**e for e in range(-2, 12) for m in (1, 2, 5))
"""Distances of isodose levels to choose from."""


@dataclass(frozen=True)
class ColourScale:
    """A named table of colours over a range of dose.

    Parameters
    ----------
    low_gy, high_gy
        Doses of the first and the last colour.
    name
        `DOSE` or `DIFFERENCE`.
    """

    low_gy: float
    high_gy: float
    name: str = DOSE

    def colours(self, dose_gy: NDArray[np.floating]) -> NDArray[np.uint8]:
        """RGB of doses, with one axis more; NaN is black, for the caller to leave out."""
        share = (np.nan_to_num(dose_gy, nan=self.low_gy) - self.low_gy) / max(self.high_gy - self.low_gy, 1e-9)
        index = np.clip(np.round(share * (STEPS - 1)), 0, STEPS - 1).astype(np.intp)
        return table_of(self.name)[index]

    def colour(self, dose_gy: float) -> tuple[int, int, int]:
        """RGB of one dose."""
        red, green, blue = self.colours(np.array([dose_gy]))[0].tolist()
        return (red, green, blue)


@cache
def table_of(name: str) -> NDArray[np.uint8]:
    """The 256 colours of a scale, shape (256, 3)."""
    path = np.array(DOSE_PATH if name == DOSE else DIFFERENCE_PATH)
    hue = np.radians(path[:, 2]) if name != DOSE else np.unwrap(np.radians(path[:, 2]))
    at = np.linspace(0, len(path) - 1, STEPS)
    places = np.arange(len(path))
    a, b = path[:, 1] * np.cos(hue), path[:, 1] * np.sin(hue)
    lab = np.stack([np.interp(at, places, part) for part in (path[:, 0], a, b)], axis=1)
    table = np.round(255 * oklab_to_rgb(lab)).astype(np.uint8)
    table.setflags(write=False)
    return table


def oklab_to_rgb(lab: FloatArray) -> FloatArray:
    """SRGB from 0 to 1 of OKLab colours (Ottosson, 2020); what a screen cannot show is clipped.

    Parameters
    ----------
    lab
        Lightness from 0 to 1, a and b, in the last axis.
    """
    to_lms = np.array([
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ])
    to_linear = np.array([
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ])
    linear = np.clip((lab @ to_lms.T) ** 3 @ to_linear.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def nice_levels(high_gy: float) -> tuple[float, ...]:
    """Isodose levels below the end of a scale: at most ten multiples of 1, 2 or 5 times a power of ten, ascending."""
    step = next(s for s in STEPS_GY if high_gy / s <= MOST_LEVELS)
    return tuple(float(f"{n * step:g}") for n in range(1, MOST_LEVELS + 1) if n * step < high_gy)
