"""Cumulative histograms in closed form: volume of a shape above a height, and the height that leaves a volume above."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

__all__ = [
    "HeightVolume", "cone_across", "cone_along", "cylinder_across", "cylinder_along", "height_of", "sphere_cap",
    "torus_across", "torus_along",
]  # fmt: skip

HeightVolume = Callable[[float], float]
"""Volume (mm3) of the part above a height t (mm) along the gradient, counted from the shape's centre."""


def sphere_cap(radius: float) -> HeightVolume:
    """Part of a sphere above t: pi h^2 (3 R - h) / 3."""

    def volume(t: float) -> float:
        h = min(max(radius - t, 0.0), 2 * radius)
        return math.pi * h * h * (3 * radius - h) / 3

    return volume


def scaled_sphere(width: float, total: float) -> HeightVolume:
    """An ellipsoid whose support along the gradient is `width`."""
    cap = sphere_cap(width)
    return lambda t: cap(t) / (4 / 3 * math.pi * width**3) * total


def segment_area(radius: float, t: float) -> float:
    """Part of a disc above t."""
    t = min(max(t, -radius), radius)
    return radius**2 * math.acos(t / radius) - t * math.sqrt(max(0.0, radius**2 - t**2))


def cylinder_along(radius: float, height: float) -> HeightVolume:
    return lambda t: math.pi * radius**2 * min(max(height / 2 - t, 0.0), height)


def cylinder_across(radius: float, height: float) -> HeightVolume:
    return lambda t: height * segment_area(radius, t)


def cone_along(radius: float, height: float) -> HeightVolume:
    """Apex up."""
    return lambda t: math.pi * radius**2 * height / 3 * min(max((height / 2 - t) / height, 0.0), 1.0) ** 3


def cone_across(radius: float, height: float) -> HeightVolume:
    total = math.pi * radius**2 * height / 3

    def volume(t: float) -> float:
        if t < 0:
            return total - volume(-t)
        if t < 1e-9:
            return total / 2
        if t >= radius:
            return 0.0
        q = math.sqrt(radius**2 - t**2)
        return (height / radius) * (
            radius**3 / 3 * math.acos(t / radius) - 2 / 3 * t * radius * q + t**3 / 3 * math.log((radius + q) / t)
        )

    return volume


def torus_along(ring: float, tube: float) -> HeightVolume:
    return lambda t: 2 * math.pi * ring * segment_area(tube, t)


def torus_across(ring: float, tube: float, nodes: int = 2000) -> HeightVolume:
    """The segments of its annuli added up over the height, the nodes lying densely at both poles (midpoint rule)."""
    angles = (np.arange(nodes) + 0.5) * math.pi / nodes
    half_widths = tube * np.sin(angles)
    weights = math.pi / nodes * half_widths

    def segments(radii: NDArray[np.float64], t: float) -> NDArray[np.float64]:
        at = np.clip(t, -radii, radii)
        return np.asarray(radii**2 * np.arccos(at / radii) - at * np.sqrt(np.maximum(0.0, radii**2 - at**2)))

    return lambda t: float(weights @ (segments(ring + half_widths, t) - segments(ring - half_widths, t)))


def difference(outer: HeightVolume, inner: HeightVolume) -> HeightVolume:
    """A shape with a hole."""
    return lambda t: outer(t) - inner(t)


def height_of(volume: HeightVolume, share: float, reach: float) -> float:
    """Height above which a share of the volume lies."""
    total = volume(-reach)
    return float(brentq(lambda t: volume(t) - share * total, -reach, reach, xtol=1e-10))
