"""The couch of a CT: what lies outside the body, is flat, and wider than a cable."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.body import BodySection

__all__ = ["Couch", "find_couch"]

COUCH_HU = -700.0
"""Foam is about -950, the shell of a couch above -500; blurred by thick slices it may sink to this."""

GAP_MM = 4.0
SMALLEST_WIDTH_MM = 90.0
SMALLEST_AREA_MM2 = 150.0
MOST_SECTIONS = 15


@dataclass(frozen=True)
class Couch:
    """Where the couch lies.

    Parameters
    ----------
    direction_lps
        Unit vector from the body's centre to the couch, within the planes.
    width_mm
        Its extent across that direction (median over the planes).
    share
        Share of the planes looked at in which it was found.
    """

    direction_lps: tuple[float, float, float]
    width_mm: float
    share: float


def find_couch(volume: Volume, sections: tuple[BodySection, ...]) -> Couch | None:
    """The couch, where half of the planes show one on the same side of the body; else None."""
    chosen = sections[:: max(1, len(sections) // MOST_SECTIONS)]
    found = [hit for hit in (_in_plane(volume, s) for s in chosen) if hit is not None]
    if not found or len(found) < len(chosen) / 2:
        return None
    directions = np.array([d for d, _ in found])
    mean = directions.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 0.7:
        return None
    x, y, z = (mean / length).tolist()
    return Couch((x, y, z), float(np.median([w for _, w in found])), len(found) / len(chosen))


def _in_plane(volume: Volume, section: BodySection) -> tuple[NDArray[np.float64], float] | None:
    """Direction and width of the widest flat piece outside the body of one plane."""
    step = section.step
    dy, dx = (mm * step for mm in volume.grid.pixel_spacing_mm)
    half = (max(1, round(GAP_MM / dy)), max(1, round(GAP_MM / dx)))
    near = ndimage.maximum_filter(section.mask.astype(np.uint8), (2 * half[0] + 1, 2 * half[1] + 1)) > 0
    matter = (volume.array[section.plane, ::step, ::step] > COUCH_HU) & ~near
    labels, _ = ndimage.label(matter, np.ones((3, 3)))
    rows, columns = np.nonzero(section.mask)
    centre = np.array([rows.mean(), columns.mean()])
    best: tuple[NDArray[np.float64], float] | None = None
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        high, wide = (box[0].stop - box[0].start) * dy, (box[1].stop - box[1].start) * dx
        area = np.count_nonzero(labels[box] == index) * dy * dx
        if (
            max(high, wide) < SMALLEST_WIDTH_MM
            or area < SMALLEST_AREA_MM2
            or (best is not None and max(high, wide) <= best[1])
        ):
            continue
        y, x = np.nonzero(labels[box] == index)
        offset = np.array([(y.mean() + box[0].start - centre[0]) * dy, (x.mean() + box[1].start - centre[1]) * dx])
        # A couch is wide across the direction in which it lies.
        across = wide if abs(offset[0]) > abs(offset[1]) else high
        if across < SMALLEST_WIDTH_MM or not np.any(offset):
            continue
        unit = offset / np.linalg.norm(offset)
        best = (unit[0] * volume.grid.column_direction + unit[1] * volume.grid.row_direction, float(across))
    return best
