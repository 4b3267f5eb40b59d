"""The lungs of a CT, found without a model: large pieces of air inside the body, the airways taken off.

It is coarse on purpose: it serves checks of inspiration, coverage and motion, not measurement of lungs.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.body import BodySection

__all__ = ["Lungs", "find_lungs"]

LUNG_HU = (-1000.0, -450.0)
PIXEL_MM = 2.0
"""Lungs are looked for on pixels of about this size."""

SMALLEST_CC = 60.0
"""A trachea holds about 40 cubic centimetres, a lung at the edge of a scan of the neck more than 60."""

NECK_MM = 2.5
"""Connections thinner than twice this are cut: bronchi."""


@dataclass(frozen=True, eq=False)
class Lungs:
    """Both lungs on a coarse grid.

    Parameters
    ----------
    mask
        Shape (sections, rows, columns) on every `step`-th row and column of the planes `planes`.
    planes, step
        Which planes of the volume; full pixels per coarse pixel.
    pixel_mm, plane_mm
        (rows, columns) of a coarse pixel; extent of a section along the normal.
    values
        CT numbers on the coarse grid.
    """

    mask: NDArray[np.bool_]
    planes: tuple[int, ...]
    step: int
    pixel_mm: tuple[float, float]
    plane_mm: float
    values: NDArray[np.int16]

    @cached_property
    def areas_mm2(self) -> NDArray[np.float64]:
        """Area of each section."""
        return np.count_nonzero(self.mask, axis=(1, 2)) * self.pixel_mm[0] * self.pixel_mm[1]

    @property
    def volume_cc(self) -> float:
        """Volume of both lungs."""
        return float(self.areas_mm2.sum()) * self.plane_mm / 1000

    @cached_property
    def mean_hu(self) -> float:
        """Mean CT number without the outermost coarse pixel, which holds partial volumes."""
        inner = ndimage.binary_erosion(self.mask, np.ones((1, 3, 3), dtype=np.bool_))
        return float(self.values[inner if inner.any() else self.mask].mean())


def find_lungs(volume: Volume, sections: tuple[BodySection, ...]) -> Lungs | None:
    """The lungs, or None where no piece of air inside the body is larger than a trachea."""
    spacing = volume.grid.pixel_spacing_mm
    thin = max(1, round(PIXEL_MM / (max(spacing) * sections[0].step)))
    step = sections[0].step * thin
    pixel_mm = (spacing[0] * step, spacing[1] * step)
    planes = tuple(s.plane for s in sections)
    values = np.stack([volume.array[k, ::step, ::step] for k in planes])
    values = np.clip(values, -1100, 3000).astype(np.int16)
    # Single pixels of noise are no tissue: a median over 3 x 3 pixels keeps a noisy lung in one piece.
    smooth = ndimage.uniform_filter(values.astype(np.float32), (0, 3, 3)) if len(values) else values
    inside = np.stack([s.mask[::thin, ::thin] for s in sections])
    air = (smooth > LUNG_HU[0] - 60) & (smooth < LUNG_HU[1]) & inside
    half = [max(1, round(NECK_MM / mm)) for mm in pixel_mm]
    box = np.ones((1, 2 * half[0] + 1, 2 * half[1] + 1), dtype=np.bool_)
    labels, count = ndimage.label(ndimage.binary_erosion(air, box))
    if not count:
        return None
    plane_mm = (
        volume.spacing_mm[0] * len(volume.array) / max(1, len(planes))
        if len(volume.array) > len(planes)
        else volume.spacing_mm[0]
    )
    voxel_cc = pixel_mm[0] * pixel_mm[1] * plane_mm / 1000
    sizes = np.bincount(labels.ravel()) * voxel_cc
    sizes[0] = 0
    keep = sizes >= SMALLEST_CC / 2
    # The erosion takes off about half of a small piece; its size is asked again after growing back.
    mask = ndimage.binary_dilation(keep[labels], box) & air
    if np.count_nonzero(mask) * voxel_cc < SMALLEST_CC:
        return None
    return Lungs(mask, planes, step, pixel_mm, plane_mm, values)
