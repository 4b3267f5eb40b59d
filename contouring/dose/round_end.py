"""How a rounded end closes beyond the outermost plane: the square of its half width is a parabola along the normal.

That is exact for spheres, ellipsoids and tori, whatever their size and wherever the planes lie, and a straight line
through the last planes is not: it closes too late. Ends that do not close within half a slice are left as they are.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["RoundEnd", "half_widths_mm"]

FloatArray = NDArray[np.float64]

CURVED_SHARE = 0.75
"""How far the end follows the parabola rather than the straight line. The spline between the planes is a little too
narrow beside a rounded end, and the rest makes up for it (measured on the analytic suite: 0.73 to 0.77 for a torus)."""

OPEN_SHARE = 0.5
"""Where this share of the squared half width is left at half a slice, the end is taken for cut off and stays straight;
in between the two are blended."""


class RoundEnd:
    """The last three planes of a structure, the outermost first.

    Parameters
    ----------
    fields_mm
        Signed distance at each pixel in each of the three planes.
    half_widths_mm
        Largest distance within the part of the plane that each pixel lies in, and 0 outside.
    inwards_mm
        Distance of the second and the third plane from the outermost one.
    half_slice_mm
        How far the structure goes on beyond it.
    """

    def __init__(
        self,
        fields_mm: Sequence[FloatArray],
        half_widths_mm: Sequence[FloatArray],
        inwards_mm: tuple[float, float],
        half_slice_mm: float,
    ) -> None:
        self._at = np.flatnonzero(np.all([f > 0 for f in fields_mm], axis=0))
        widths = [w[self._at] for w in half_widths_mm]
        squares = [w * w for w in widths]
        # For a disc this is the square of its radius less that of the distance from its centre.
        powers = [f[self._at] * (2 * w - f[self._at]) for f, w in zip(fields_mm, widths, strict=True)]
        self._square, self._power = (_parabola(v, inwards_mm) for v in (squares, powers))
        left = _value(self._square, half_slice_mm) / squares[0] if len(self._at) else np.empty(0)
        self._share = CURVED_SHARE * (1 - np.clip(left / OPEN_SHARE, 0.0, 1.0))

    def bent(self, straight_mm: FloatArray, offset_mm: float) -> FloatArray:
        """The signed distance at an offset beyond the outermost plane, from that of a straight continuation."""
        square, power = _value(self._square, offset_mm), _value(self._power, offset_mm)
        width = np.sign(square) * np.sqrt(np.abs(square))
        curved = width - np.sqrt(np.maximum(square - power, 0.0))
        found = straight_mm.copy()
        found[self._at] += self._share * (curved - straight_mm[self._at])
        return found


def half_widths_mm(distances_mm: NDArray[np.float32]) -> FloatArray:
    """Of each pixel of a plane the largest distance within its connected part; 0 outside."""
    from scipy import ndimage

    parts, count = ndimage.label(distances_mm > 0, np.ones((3, 3)))
    largest = np.zeros(count + 1)
    for number, part in enumerate(ndimage.find_objects(parts), start=1):
        largest[number] = distances_mm[part][parts[part] == number].max()
    return np.asarray(largest[parts])


def _parabola(
    values: Sequence[FloatArray], inwards_mm: tuple[float, float]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Value, slope and curvature at the outermost of three planes, outwards."""
    near, far = inwards_mm
    first, second = (values[1] - values[0]) / near, (values[2] - values[0]) / far
    curvature = (second - first) / (far - near)
    return values[0], curvature * near - first, curvature


def _value(parabola: tuple[FloatArray, FloatArray, FloatArray], offset_mm: float) -> FloatArray:
    start, slope, curvature = parabola
    return np.asarray(start + offset_mm * (slope + offset_mm * curvature))
