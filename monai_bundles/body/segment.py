"""Body, lungs, trachea, bone and spinal canal of a CT by image processing: the order of the steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.volume import Region, Volume
from monai_bundles.body.airway import LUMEN_HU, trachea
from monai_bundles.body.bone import BONE_HU, bone_parts, midline_column
from monai_bundles.body.canal import spinal_canal
from monai_bundles.body.coarse import Coarse, block_means, refine
from monai_bundles.body.lungs import LUNG_HU, left_and_right_lung
from monai_bundles.body.morphology import dilate, erode
from monai_bundles.body.outline import body_outline
from monai_bundles.orientation import anatomical_axes

__all__ = ["BodySegmenter"]

BoolArray = NDArray[np.bool_]

FILM_MM = 2.0
"""Half the thickness up to which something on the skin is a mask or a blanket; the rims of ears are hardly thicker."""

PLANES_AT_ONCE = 16
"""Keeps the copies of the opening small beside the volume."""


@dataclass(frozen=True)
class BodySegmenter:
    """Segments a CT volume; a bundle's `inference.json` names it with its parameters.

    Parameters
    ----------
    coarse_mm
        Block size on which shapes are decided.
    skin_hu
        Limit between air and skin on single voxels: half-way between room air and fat.
    """

    coarse_mm: float = 2.5
    skin_hu: float = -500.0

    def __call__(self, volume: Volume, progress: Callable[[float, str], None] | None = None) -> dict[str, Region]:
        """The regions found, by TG-263 name, on the volume's own grid; what is not there has no entry."""
        tell = progress or (lambda share, what: None)
        axes = anatomical_axes(volume.grid)
        fine = axes.view(volume.array)
        coarse = block_means(fine, axes.spacing_mm, self.coarse_mm)
        tell(0.2, "outline")
        body = body_outline(coarse)
        tell(0.4, "bone")
        bone = bone_parts(coarse, body)
        tell(0.5, "airway")
        airway = trachea(coarse, body, bone)
        tell(0.6, "lungs")
        left, right = left_and_right_lung(coarse, body, bone, airway)
        tell(0.7, "borders")
        parts: dict[str, tuple[BoolArray, BoolArray, Callable[[NDArray[Any]], BoolArray]]] = {
            "Body": (_core(coarse, body), _rim(coarse, body), lambda hu: hu > self.skin_hu),
            "Lung_L": (_core(coarse, left), _rim(coarse, left) & ~right, lambda hu: hu < LUNG_HU),
            "Lung_R": (_core(coarse, right), _rim(coarse, right) & ~_rim(coarse, left), lambda hu: hu < LUNG_HU),
            "Trachea": (np.zeros_like(airway), _rim(coarse, airway) & ~left & ~right, lambda hu: hu < LUMEN_HU),
            "Bone": (_core(coarse, bone), _rim(coarse, bone) & body, lambda hu: hu > BONE_HU),
        }
        shape = (fine.shape[0], fine.shape[1], fine.shape[2])
        regions = {}
        for number, (name, (certain, possible, is_inside)) in enumerate(parts.items()):
            crop, start = refine(coarse, certain, possible, is_inside)
            if name == "Body":
                _remove_films(crop, (np.inf, *axes.spacing_mm[1:]))
            if crop.any():
                regions[name] = axes.region(crop, start, shape)
            tell(0.7 + 0.05 * (number + 1), "borders")
        crop, start = spinal_canal(coarse, body, bone, midline_column(coarse, bone, slice(None)))
        if crop.any():
            regions["SpinalCanal"] = axes.region(crop, start, shape)
        tell(1.0, "spinal canal")
        return regions


def _remove_films(body: BoolArray, spacing_mm: tuple[float, float, float]) -> None:
    """Open the body's single voxels within their planes, in place: mask, blanket and specks on the skin go."""
    for first in range(0, len(body), PLANES_AT_ONCE):
        planes = body[first : first + PLANES_AT_ONCE]
        planes &= dilate(erode(planes, FILM_MM, spacing_mm), FILM_MM, spacing_mm)


def _core(coarse: Coarse, mask: BoolArray) -> BoolArray:
    """Blocks that are inside whatever their single voxels say: those without a neighbour outside."""
    return erode(mask, max(coarse.spacing_mm), coarse.spacing_mm)


def _rim(coarse: Coarse, mask: BoolArray) -> BoolArray:
    """Blocks that may hold voxels of the mask: the mask and its neighbours."""
    return dilate(mask, max(coarse.spacing_mm), coarse.spacing_mm)
