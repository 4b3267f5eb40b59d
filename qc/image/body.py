"""Cross-sections of the body in a CT: where the patient is, without couch, mask and air, and the edge of the picture.

It is no segmentation of the body for planning (that is a bundle's work): it serves checks that ask whether the skin
is in the picture and where soft tissue lies, and it has to be quick.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.pixels import evenly_chosen

__all__ = ["BodySection", "body_sections", "field_of_view_mask", "field_of_view_radius_mm"]

SKIN_HU = -300.0
"""Matter above this is body: halfway between air and fat would be -550, but foam and masks lie there."""

COUCH_MM = 5.0
"""Connections thinner than this are cut: the couch's shell, a mask, a tube that touches the skin."""

AIR_HU = -800.0

LEAST_AIR = 0.05
"""Share of a field of view that is air around the patient, at the least."""

INSCRIBED = 0.03
"""A reconstruction circle reaches the sides of the picture within this share of its radius."""

MOST_SECTIONS = 100
COARSE_PIXEL_MM = 1.3
"""Masks are made on every second pixel where pixels are finer than this."""

SMALLEST_BODY_MM2 = 500.0


@dataclass(frozen=True, eq=False)
class BodySection:
    """The body in one plane.

    Parameters
    ----------
    plane
        Index of the plane in the volume.
    mask
        Filled body, on every `step`-th row and column of the plane.
    step
        Full pixels per pixel of the mask.
    """

    plane: int
    mask: NDArray[np.bool_]
    step: int


def body_sections(volume: Volume) -> tuple[BodySection, ...]:
    """The body in at most 100 evenly chosen planes, of those planes that hold more than 5 square centimetres of it.

    Per plane: matter above -300 HU, connections thinner than 5 mm cut, the largest piece, holes filled.
    """
    spacing = volume.grid.pixel_spacing_mm
    step = 2 if max(spacing) < COARSE_PIXEL_MM else 1
    pixel_mm = (spacing[0] * step, spacing[1] * step)
    found = []
    for plane in evenly_chosen(len(volume.array), MOST_SECTIONS):
        mask = _body_of_plane(volume.array[plane, ::step, ::step] > SKIN_HU, pixel_mm)
        if np.count_nonzero(mask) * pixel_mm[0] * pixel_mm[1] >= SMALLEST_BODY_MM2:
            found.append(BodySection(int(plane), mask, step))
    return tuple(found)


def _body_of_plane(matter: NDArray[np.bool_], pixel_mm: tuple[float, float]) -> NDArray[np.bool_]:
    half = [max(1, round(COUCH_MM / 2 / mm)) for mm in pixel_mm]
    labels, count = ndimage.label(_shrink(matter, half))
    if count == 0:
        return np.zeros_like(matter)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = labels == int(sizes.argmax())
    # Holes are filled last: filled first, the couch's hollow shell would be a thick slab that no cut takes off.
    return _fill(_grow(largest, half) & matter)


def _fill(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with everything that no path outside it connects to the border."""
    padded = np.pad(~mask, 1, constant_values=True)
    labels, _ = ndimage.label(padded)
    filled: NDArray[np.bool_] = labels[1:-1, 1:-1] != labels[0, 0]
    return filled


def _shrink(mask: NDArray[np.bool_], half: list[int]) -> NDArray[np.bool_]:
    """Erosion by a box; beyond the border of the picture the mask goes on as it is at the border."""
    bits = mask.astype(np.uint8)
    for axis in (0, 1):
        bits = ndimage.minimum_filter1d(bits, 2 * half[axis] + 1, axis=axis, mode="nearest")
    return bits.astype(np.bool_)


def _grow(mask: NDArray[np.bool_], half: list[int]) -> NDArray[np.bool_]:
    bits = mask.astype(np.uint8)
    for axis in (0, 1):
        bits = ndimage.maximum_filter1d(bits, 2 * half[axis] + 1, axis=axis, mode="nearest")
    return bits.astype(np.bool_)


def field_of_view_radius_mm(volume: Volume, sections: tuple[BodySection, ...]) -> float:
    """Radius of the reconstruction circle about the picture's centre, mm; infinite where the whole square is used.

    Outside the circle a scanner writes one constant value. What is ever different from the corners' value belongs to
    the field; it is a circle where the farthest such point is well inside the corners and the field fills the circle.
    """
    array = volume.array
    corners = array[0, [0, 0, -1, -1], [0, -1, 0, -1]]
    if len(np.unique(corners)) != 1 or not sections:
        return math.inf
    planes = [s.plane for s in sections[:: max(1, len(sections) // 20)]]
    used = np.zeros(array.shape[1:], dtype=np.bool_)
    air = np.zeros(array.shape[1:], dtype=np.bool_)
    for plane in planes:
        differs = array[plane] != corners[0]
        used |= differs
        air |= differs & (array[plane] < AIR_HU)
    if used[[0, 0, -1, -1], [0, -1, 0, -1]].any():
        return math.inf
    distance = _distance_from_centre_mm(volume)
    if not used.any():
        return math.inf
    # A burned-in mark in a corner is no field: the radius holds 99.9 % of the points used.
    radius = float(np.percentile(distance[used], 99.9))
    inside = distance <= radius
    size = np.count_nonzero(inside)
    is_circle = np.count_nonzero(used & inside) > 0.9 * size and radius < 0.97 * float(distance.max())
    # Where air is cut to one value as well, a round body in it looks like a field. A field holds air that differs from
    # what is outside, or it touches the picture's sides.
    half_mm = min(n * mm for n, mm in zip(array.shape[1:], volume.grid.pixel_spacing_mm, strict=True)) / 2
    is_field = np.count_nonzero(air & inside) > LEAST_AIR * size or abs(radius / half_mm - 1) < INSCRIBED
    return radius if is_circle and is_field else math.inf


def field_of_view_mask(volume: Volume, sections: tuple[BodySection, ...]) -> NDArray[np.bool_]:
    """Pixels of a plane that lie inside the reconstruction circle by more than two pixels."""
    radius_mm = field_of_view_radius_mm(volume, sections)
    inside: NDArray[np.bool_] = _distance_from_centre_mm(volume) < radius_mm - 2 * max(volume.grid.pixel_spacing_mm)
    return inside


def _distance_from_centre_mm(volume: Volume) -> NDArray[np.float64]:
    dy, dx = volume.grid.pixel_spacing_mm
    rows, columns = volume.array.shape[1:]
    y = (np.arange(rows) - (rows - 1) / 2) * dy
    x = (np.arange(columns) - (columns - 1) / 2) * dx
    return np.asarray(np.hypot(y[:, None], x[None, :]))
