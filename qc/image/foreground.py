"""Object and air in planes whose grey values have no scale (MR)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.pixels import evenly_chosen

__all__ = ["ObjectSection", "object_sections"]

OBJECT_SHARE = 0.4
"""Above this share of the median of all bright pixels a smoothed pixel belongs to the object; ghosts lie below."""

MARGIN_MM = 8.0
"""Nearer to the object, blur and ringing reach into the air."""

SMALLEST_SHARE = 0.02
"""A smaller share of the picture is no object."""

MOST_OF_BORDER = 0.2
"""An object that covers more of the picture's border is cut off, and what lies outside may be dark tissue."""

MOST_SECTIONS = 40


@dataclass(frozen=True, eq=False)
class ObjectSection:
    """One plane: the object without holes, and the air around it.

    Parameters
    ----------
    plane
        Index in the volume.
    inside
        The object, filled.
    core
        Its part deeper than 8 mm.
    air
        Pixels farther than 8 mm from it.
    """

    plane: int
    inside: NDArray[np.bool_]
    core: NDArray[np.bool_]
    air: NDArray[np.bool_]


def object_sections(volume: Volume) -> tuple[ObjectSection, ...]:
    """Object and air on at most 40 evenly chosen planes, of those planes that hold an object."""
    chosen = evenly_chosen(len(volume.array), MOST_SECTIONS)
    sample = volume.array[chosen]
    bright = sample[sample > sample.mean()]
    level = OBJECT_SHARE * float(np.median(bright)) if bright.size else 0.0
    spacing = volume.grid.pixel_spacing_mm
    found = []
    for plane in chosen:
        smooth = ndimage.gaussian_filter(volume.array[plane].astype(np.float32), [3.0 / mm for mm in spacing])
        labels, count = ndimage.label(smooth > level)
        if level <= 0 or not count:
            continue
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        inside = np.asarray(ndimage.binary_fill_holes(labels == int(sizes.argmax())))
        border = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
        if np.count_nonzero(inside) < SMALLEST_SHARE * inside.size or border.mean() > MOST_OF_BORDER:
            continue
        air = ndimage.distance_transform_edt(~inside, sampling=spacing) > MARGIN_MM
        core = ndimage.distance_transform_edt(inside, sampling=spacing) > MARGIN_MM
        found.append(ObjectSection(int(plane), inside, core, air))
    return tuple(found)
