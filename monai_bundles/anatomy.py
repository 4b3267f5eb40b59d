"""Which part of the body a CT shows, decided from the image and never from what its header claims."""

from dataclasses import dataclass

import numpy as np

from imaging.volume import Volume
from monai_bundles.body.coarse import block_means
from monai_bundles.body.morphology import close, label_planes, touches_sides
from monai_bundles.body.outline import body_outline
from monai_bundles.orientation import anatomical_axes

__all__ = ["HeadExtent", "head_extent", "shows_head_and_neck"]

COARSE_MM = 4.0
SKULL_HU = 120.0
SUTURE_MM = 8.0
"""Gaps in the skull that are closed before its inside is measured: orbits, foramina, thin bone."""

BRAIN_MM2 = (2000.0, 26000.0)
"""Area inside the skull in one axial plane, from a small child's or a low plane to a large adult's."""

BRAIN_HU = (-15.0, 90.0)

BRAIN_SHARE = (0.12, 0.92)
"""Area inside the skull as a share of the head's section, from the posterior fossa below the face to the vertex."""

HEAD_MM2 = 48000.0
"""Largest section of a head; a pelvis, which can enclose as much, is larger."""

LEAST_BRAIN_MM, LEAST_BELOW_MM = 6.0, 50.0
"""Least extents along the body of brain, and of the patient below it: the brainstem and the upper neck."""


@dataclass(frozen=True)
class HeadExtent:
    """Extent of the brain along superior-inferior, and of the body below its lowest plane, in mm; 0 without a head."""

    brain_mm: float
    below_mm: float


def head_extent(volume: Volume) -> HeadExtent:
    """How much of a head, and of the body below it, the CT shows.

    Brain is what a ring of dense bone encloses in an axial plane, of a brain's size and density.
    """
    axes = anatomical_axes(volume.grid)
    coarse = block_means(axes.view(volume.array), axes.spacing_mm, COARSE_MM)
    body = body_outline(coarse)
    bone = close(body & (coarse.hu > SKULL_HU), SUTURE_MM, (np.inf, *coarse.spacing_mm[1:]))
    labels, count = label_planes(body & ~bone)
    flat = labels.ravel()
    size = np.bincount(flat, minlength=count + 1)
    mean = np.bincount(flat, weights=coarse.hu.ravel(), minlength=count + 1) / np.maximum(size, 1)
    area = size * coarse.pixel_mm2
    # What reaches the outside of the body is no inside of a skull.
    outside, outside_count = label_planes(~bone)
    open_parts = touches_sides(outside, outside_count)
    enclosed = ~open_parts[outside]
    is_open = np.zeros(count + 1, dtype=bool)
    is_open[labels[~enclosed]] = True
    plane_of = np.zeros(count + 1, dtype=np.intp)
    plane_of[flat] = np.repeat(np.arange(labels.shape[0]), labels[0].size)
    section_mm2 = np.count_nonzero(body, axis=(1, 2)) * coarse.pixel_mm2
    share = area / np.maximum(section_mm2[plane_of], 1.0)
    brain = (area >= BRAIN_MM2[0]) & (area <= BRAIN_MM2[1]) & (mean > BRAIN_HU[0]) & (mean < BRAIN_HU[1])
    brain &= (share >= BRAIN_SHARE[0]) & (share <= BRAIN_SHARE[1]) & ~is_open
    brain &= section_mm2[plane_of] <= HEAD_MM2
    brain[0] = False
    planes = np.unique(plane_of[brain])
    if not len(planes):
        return HeadExtent(0.0, 0.0)
    below = np.flatnonzero(section_mm2[: planes[0]] > 1000.0)
    return HeadExtent(len(planes) * coarse.spacing_mm[0], len(below) * coarse.spacing_mm[0])


def shows_head_and_neck(volume: Volume) -> bool:
    """Whether the CT shows the lower part of a brain and the body for at least 50 mm below it."""
    extent = head_extent(volume)
    return extent.brain_mm >= LEAST_BRAIN_MM and extent.below_mm >= LEAST_BELOW_MM
