"""How a part of a structure ends beyond its last plane: by a cap whose area goes on falling as it did before."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contouring.plane_field import touching

__all__ = ["CapProfile", "areas_behind", "cap_profile", "capped", "shrunk"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FITTED_PLANES = 4
"""Planes at an end that its cap follows: with three, single pixels of the last one weigh half as much again."""


def areas_behind(masks: BoolArray, end: BoolArray) -> list[float]:
    """Areas of a part that ends on the first plane, and of what it comes from on the planes behind, as far as any."""
    areas = [float(np.count_nonzero(end))]
    for mask in masks[1:FITTED_PLANES]:
        end = touching(mask, end)
        if not end.any():
            break
        areas.append(float(np.count_nonzero(end)))
    return areas


@dataclass(frozen=True)
class CapProfile:
    """How the area of a cap falls beyond its plane.

    Parameters
    ----------
    loss, bend
        The share of the area that is left t steps beyond is 1 - loss * t - bend * t^2.
    length
        Where the cap ends, in steps.
    """

    loss: float
    bend: float
    length: float

    def share(self, t: float) -> float:
        """Share of the area that is left t steps beyond the plane."""
        return 1 - self.loss * t - self.bend * t**2


def cap_profile(areas: list[float], behind_steps: FloatArray) -> CapProfile:
    """The area goes on falling along the parabola of the last planes: the true course for a sphere or an ellipsoid.

    The next plane is empty. Where the parabola is not at zero by then, the end is blunt, and where between the two
    planes it lies nobody knows: then the cap holds half a slice.
    """
    if len(areas) < 2 or areas[1] <= areas[0]:
        return CapProfile(0.0, 0.0, 0.5)
    behind = behind_steps[1 : len(areas)]
    fallen = np.array(areas[1:]) / areas[0] - 1
    loss, bend = fallen[0] / behind[0], 0.0
    if len(areas) > 2:
        (loss, bend), *_ = np.linalg.lstsq(np.stack([behind, -(behind**2)], axis=1), fallen, rcond=None)
        if bend < 0 or loss <= 0:
            loss, bend = fallen[0] / behind[0], 0.0
    root = 2 / (loss + float(np.sqrt(loss**2 + 4 * bend)))
    if root <= 1:
        return CapProfile(float(loss), float(bend), root)
    t = np.linspace(0, 1, 1001)
    held = t - loss * t**2 / 2 - bend * t**3 / 3
    return CapProfile(loss, bend, float(t[min(int(np.searchsorted(held, 0.5)), 1000)]))


def capped(field: FloatArray, profile: CapProfile, t: float, spacing: float) -> FloatArray:
    """The field of a cap on layers `spacing` apart, so that a straight line between layers ends where the cap does."""
    if t < profile.length:
        return shrunk(field, profile, t)
    if t - spacing >= profile.length:
        return np.full(field.shape, -1e3)
    before = shrunk(field, profile, t - spacing)
    beyond = (t - profile.length) / (profile.length - t + spacing)
    return np.where(before > 0, -before * beyond - 1e-4, before)


def shrunk(field: FloatArray, profile: CapProfile, t: float) -> FloatArray:
    """The field lowered so that the area has fallen by the cap's profile at t, before its end."""
    inside = np.sort(field[field > 0])[::-1]
    kept = round(len(inside) * profile.share(t))
    return field - (float(inside[min(kept, len(inside) - 1)]) if kept < len(inside) else 0.0)
