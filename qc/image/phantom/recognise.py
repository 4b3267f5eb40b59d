"""Which phantom a CT shows: a round body of known size, and the inserts on a ring within it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Disc", "disc_of", "recognise"]

MATTER_HU = -400.0
ROUNDNESS = 0.97
"""Share of the circle of equal area that a round body fills at least; a head or a trunk fills less."""

RING_STEP_DEG = 1.0
RINGS_MM = (57.0, 59.0, 61.0, 63.0, 65.0)
"""Inserts of the ACR phantom stand at 63 mm, those of CatPhans at 58.7 mm."""

AIR_HU, DENSE_HU = -700.0, 650.0
UNIFORM_SD_HU = 25.0
WATER_HU = 30.0

CYLINDER_MM = (190.0, 210.0)
"""Diameter of the ACR phantom and of CatPhans: 200 mm."""

ACR_ANGLE_DEG, CATPHAN_ANGLE_DEG = 90.0, 30.0
"""Between the air and the densest insert: ACR at 45 and -45 degrees; CatPhan air at -90, Teflon at -60 degrees."""

ANGLE_TOLERANCE_DEG = 12.0
SHARE_OF_PLANES = 0.6


class Disc:
    """A round body in one plane: centre (row, column), and diameter in mm."""

    def __init__(self, centre: tuple[float, float], diameter_mm: float) -> None:
        self.centre = centre
        self.diameter_mm = diameter_mm


def disc_of(pixels: NDArray[Any], spacing_mm: tuple[float, float]) -> Disc | None:
    """The largest body of a plane, if it is round; bubbles in it are filled."""
    labels, count = ndimage.label(pixels > MATTER_HU)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    mask = np.asarray(ndimage.binary_fill_holes(labels == int(sizes.argmax())))
    area_mm2 = float(np.count_nonzero(mask)) * spacing_mm[0] * spacing_mm[1]
    diameter_mm = 2 * float(np.sqrt(area_mm2 / np.pi))
    row, column = (float(np.mean(axis)) for axis in np.nonzero(mask))
    y = (np.arange(mask.shape[0]) - row)[:, None] * spacing_mm[0]
    x = (np.arange(mask.shape[1]) - column)[None, :] * spacing_mm[1]
    inside = np.hypot(y, x) <= diameter_mm / 2
    overlap = float(np.count_nonzero(mask & inside)) / max(1.0, float(np.count_nonzero(mask)))
    return Disc((row, column), diameter_mm) if overlap >= ROUNDNESS else None


def recognise(planes: Sequence[NDArray[Any]], spacing_mm: tuple[float, float]) -> str:
    """The kind of phantom: "acr_ct", "catphan504", "water", or "" where the planes show none.

    Parameters
    ----------
    planes
        Evenly chosen axial planes in HU, each of shape (rows, columns); rolls of the phantom do not matter.
    spacing_mm
        (between rows, between columns).
    """
    discs = [(p, d) for p in planes if (d := disc_of(p, spacing_mm)) is not None]
    if len(discs) < SHARE_OF_PLANES * len(planes) or not discs:
        return ""
    diameter = float(np.median([d.diameter_mm for _, d in discs]))
    if CYLINDER_MM[0] <= diameter <= CYLINDER_MM[1]:
        angles = [a for p, d in discs if (a := _insert_angle(p, d, spacing_mm)) is not None]
        if angles:
            angle = float(np.median(angles))
            if abs(angle - ACR_ANGLE_DEG) <= ANGLE_TOLERANCE_DEG:
                return "acr_ct"
            if abs(angle - CATPHAN_ANGLE_DEG) <= ANGLE_TOLERANCE_DEG:
                return "catphan504"
    uniform = [_is_uniform_water(p, d, spacing_mm) for p, d in discs]
    return "water" if np.mean(uniform) >= SHARE_OF_PLANES else ""


def _insert_angle(pixels: NDArray[Any], disc: Disc, spacing_mm: tuple[float, float]) -> float | None:
    """Smallest angle between air and the densest insert on the ring, degrees; None where there are none of both."""
    angles = np.arange(0.0, 360.0, RING_STEP_DEG)
    profiles = []
    for radius in RINGS_MM:
        rows = disc.centre[0] + radius * np.sin(np.radians(angles)) / spacing_mm[0]
        columns = disc.centre[1] + radius * np.cos(np.radians(angles)) / spacing_mm[1]
        profiles.append(ndimage.map_coordinates(pixels.astype(np.float32), [rows, columns], order=1, mode="nearest"))
    profile = np.mean(profiles, axis=0)
    air, dense = angles[profile < AIR_HU], angles[profile > DENSE_HU]
    if len(air) < 3 or len(dense) < 3:
        return None
    middle = _mean_angle(dense)
    apart = np.abs((air - middle + 180) % 360 - 180)
    nearest = air[apart <= apart.min() + 25]  # a second air insert on the far side is another one
    difference = abs((_mean_angle(nearest) - middle + 180) % 360 - 180)
    return float(difference)


def _mean_angle(angles_deg: NDArray[np.float64]) -> float:
    points = np.exp(1j * np.radians(angles_deg))
    return float(np.degrees(np.angle(points.mean())))


def _is_uniform_water(pixels: NDArray[Any], disc: Disc, spacing_mm: tuple[float, float]) -> bool:
    y = (np.arange(pixels.shape[0]) - disc.centre[0])[:, None] * spacing_mm[0]
    x = (np.arange(pixels.shape[1]) - disc.centre[1])[None, :] * spacing_mm[1]
    values = ndimage.uniform_filter(pixels.astype(np.float32), 5)[np.hypot(y, x) < 0.4 * disc.diameter_mm]
    return bool(values.size and abs(float(values.mean())) < WATER_HU and float(values.std()) < UNIFORM_SD_HU)
