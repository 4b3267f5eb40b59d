"""Margins that differ from side to side: squared, scaled distances by separable passes on a fine lattice.

`out(x) = min over k of in(x - k s) + (k s / m)^2`, one pass an axis, m by the sign of k. This equals brute-force
dilation by the body of the margins exactly, which a union of eight scaled distance transforms does not: there a large
margin leaks to the opposite side.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from contouring.solid import Solid

__all__ = ["min_plus_passes", "reach"]

FloatArray = NDArray[np.float64]

LATTICE_MM = 0.5
"""Spacing of the lattice along the patient's axes (specification of contouring, section 12)."""

SURFACE_OFFSET_MM = 0.12
"""Mean distance from the outermost lattice point inside to the surface at 0.5 mm (section 12: threshold M + 0.12)."""

FAR = np.float32(4.0)
"""Squared scaled distance of what is out of reach; anything above 1."""


def reach(
    solid: Solid, points_lps: FloatArray, positive_mm: FloatArray, negative_mm: FloatArray, *, from_outside: bool
) -> FloatArray:
    """Distance of points from the solid, or from its complement (`from_outside`), in units of the margins; 2 at most.

    Parameters
    ----------
    solid
        What reaches out.
    points_lps
        Shape (N, 3).
    positive_mm, negative_mm
        Margins towards +x, +y, +z and towards -x, -y, -z.
    from_outside
        Whether the complement of the solid reaches in.
    """
    if not len(points_lps):
        return np.zeros(0)
    room = np.maximum(positive_mm, negative_mm) + 2 * LATTICE_MM
    surface = solid.surface_points_lps()
    low = np.maximum(points_lps.min(axis=0), surface.min(axis=0) - room) - LATTICE_MM
    high = np.minimum(points_lps.max(axis=0), surface.max(axis=0) + room) + LATTICE_MM
    low, high = np.minimum(low, surface.min(axis=0) - room), np.maximum(high, surface.max(axis=0) + room)
    counts = np.ceil((high - low) / LATTICE_MM).astype(int) + 1
    inside = np.empty(counts, dtype=np.bool_)
    y, z = np.meshgrid(*(low[a] + LATTICE_MM * np.arange(counts[a]) for a in (1, 2)), indexing="ij")
    for n in range(counts[0]):
        layer = np.stack([np.full(y.size, low[0] + n * LATTICE_MM), y.ravel(), z.ravel()], axis=1)
        inside[n] = (solid.values_at(layer) > 0).reshape(y.shape)
    start = np.where(inside != from_outside, np.float32(0), FAR)
    field = min_plus_passes(start, positive_mm, negative_mm)
    index = (points_lps - low) / LATTICE_MM
    return np.sqrt(ndimage.map_coordinates(field, index.T, order=1, mode="nearest").astype(np.float64))


def min_plus_passes(
    field: NDArray[np.float32], positive_mm: FloatArray, negative_mm: FloatArray, spacing_mm: float = LATTICE_MM
) -> NDArray[np.float32]:
    """Squared scaled distance to the points where `field` is 0, along the three axes of the array; 4 where above 1."""
    for axis in range(3):
        moved = np.moveaxis(field, axis, 0)
        out = moved.copy()
        for margin, sign in ((positive_mm[axis], 1), (negative_mm[axis], -1)):
            if margin <= 0:
                continue
            margin += SURFACE_OFFSET_MM
            for k in range(1, int(margin / spacing_mm) + 1):
                cost = np.float32((k * spacing_mm / margin) ** 2)
                to, source = (out[k:], moved[:-k]) if sign > 0 else (out[:-k], moved[k:])
                np.minimum(to, source + cost, out=to)
        field = np.moveaxis(out, 0, axis)
    return field
