"""The smooth signed distance of a structure's outline in one plane, on divided pixels, with the area of its pixels."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["half_pixel_mm", "level_for_area", "parts_of_pixel", "plane_field", "touching"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SIGMA_PX = 1.0
"""Smoothing of the signed distance: less leaves steps that a nearest point finds, and margins come out too large."""

COARSE_SIGMA_PX = 1.5
"""The same on pixels that are divided: on them single pixels stand out by more, and what stands out is grown too."""

FINE_MM = 1.5
"""Pixels larger than this are divided, as those of PET are: a straight line across one cuts off too much of a bend."""

BISECTIONS = 18
"""Halvings of the level; from one pixel down to less than a hundred-thousandth."""


def parts_of_pixel(pixel_spacing_mm: tuple[float, float]) -> tuple[int, int]:
    """Into how many parts pixels are divided along rows and columns."""
    rows, columns = (int(np.ceil(mm / FINE_MM)) for mm in pixel_spacing_mm)
    return rows, columns


def plane_field(mask: BoolArray, pixel_spacing_mm: tuple[float, float]) -> FloatArray:
    """Smoothed signed distance of one plane on divided pixels, levelled so that it encloses the area of the pixels."""
    parts = parts_of_pixel(pixel_spacing_mm)
    if not mask.any():
        return np.full([(n - 1) * p + 1 for n, p in zip(mask.shape, parts, strict=True)], -1e3)
    half = half_pixel_mm(pixel_spacing_mm)
    inside = ndimage.distance_transform_edt(mask, sampling=pixel_spacing_mm)
    outside = ndimage.distance_transform_edt(~mask, sampling=pixel_spacing_mm)
    sharp = np.where(mask, inside - half, half - outside)
    sigma_px = SIGMA_PX if parts == (1, 1) else COARSE_SIGMA_PX
    field = _divided(ndimage.gaussian_filter(sharp, sigma_px), parts, order=3)
    fine_half = half_pixel_mm((pixel_spacing_mm[0] / parts[0], pixel_spacing_mm[1] / parts[1]))
    field += level_for_area(field, float(np.count_nonzero(mask)) * parts[0] * parts[1], fine_half, 2 * half)
    # A part of a pixel or two is smoothed away; it keeps the steps of its pixels instead.
    gone = mask & ~touching(mask, field[:: parts[0], :: parts[1]] > 0)
    if not gone.any():
        return field
    steps = half - ndimage.distance_transform_edt(~gone, sampling=pixel_spacing_mm)
    return np.asarray(np.maximum(field, _divided(steps, parts, order=1)))


def _divided(field: FloatArray, parts: tuple[int, int], order: int) -> FloatArray:
    """A field on pixels of which each is divided, the first and the last in their places."""
    if parts == (1, 1):
        return field
    steps = [np.arange((n - 1) * p + 1) / p for n, p in zip(field.shape, parts, strict=True)]
    return np.asarray(ndimage.map_coordinates(field, np.meshgrid(*steps, indexing="ij"), order=order, mode="nearest"))


def half_pixel_mm(pixel_spacing_mm: tuple[float, float]) -> float:
    """Half the side of a square pixel of the same area."""
    return 0.5 * float(np.sqrt(pixel_spacing_mm[0] * pixel_spacing_mm[1]))


def level_for_area(field: FloatArray, area_px: float, half_mm: float, largest_mm: float) -> float:
    """What to add to a field so that it encloses an area, pixels at its edge counted in part; bounded both ways."""
    band = largest_mm + half_mm
    near = field[np.abs(field) < band]
    wanted = area_px - np.count_nonzero(field >= band)
    low, high = -largest_mm, largest_mm
    for _ in range(BISECTIONS):
        level = (low + high) / 2
        if np.clip((near + level) / (2 * half_mm) + 0.5, 0, 1).sum() < wanted:
            low = level
        else:
            high = level
    return (low + high) / 2


def touching(mask: BoolArray, other: BoolArray) -> BoolArray:
    """The parts of a mask whose projection overlaps another."""
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    if count <= 1:
        return mask if (mask & other).any() else np.zeros_like(mask)
    hits = np.zeros(count + 1, dtype=np.bool_)
    hits[parts[mask & other]] = True
    hits[0] = False
    return np.asarray(hits[parts])
