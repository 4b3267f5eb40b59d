"""The CT of a PET on the PET's planes, and the lungs and outlines of both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume

__all__ = ["Pair", "pair_of"]

PIXEL_MM = 4.0
BODY_HU = -300.0
LUNG_HU = (-1000.0, -500.0)
OUTSIDE_HU = -1024.0
BODY_SHARE = 0.12
"""Above this share of the median uptake of the bright half a voxel belongs to the body."""


@dataclass(frozen=True, eq=False)
class Pair:
    """PET and CT on one coarse grid: the PET's planes, pixels of about 4 mm.

    Parameters
    ----------
    uptake, hu
        Values, shape (planes, rows, columns).
    covered
        Where the CT has values.
    step
        PET pixels per coarse pixel.
    """

    uptake: NDArray[np.float64]
    hu: NDArray[np.float64]
    covered: NDArray[np.bool_]
    step: int
    spacing_mm: tuple[float, float, float]

    def pet_body(self) -> NDArray[np.bool_]:
        """The body as the PET shows it: largest piece with uptake, holes filled plane by plane."""
        smooth = ndimage.gaussian_filter(self.uptake, [0, 1, 1])
        level = BODY_SHARE * float(np.median(smooth[smooth > smooth.mean()]))
        return _largest_filled(smooth > level)

    def ct_body(self) -> NDArray[np.bool_]:
        """The body as the CT shows it; what is thinner than three pixels (the couch) is cut off."""
        return _largest_filled(ndimage.binary_opening(self.hu > BODY_HU, np.ones((1, 3, 3), dtype=np.bool_)))

    def ct_lungs(self) -> NDArray[np.bool_]:
        """Air inside the body in the CT."""
        inside = ndimage.binary_erosion(self.ct_body(), np.ones((1, 3, 3), dtype=np.bool_))
        return np.asarray((self.hu > LUNG_HU[0]) & (self.hu < LUNG_HU[1]) & inside)


def _largest_filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = labels == int(sizes.argmax())
    return np.stack([ndimage.binary_fill_holes(plane) for plane in largest])


def pair_of(pet: Volume, ct: Volume) -> Pair | None:
    """Both on one grid; None where they lie in different frames of reference or do not meet."""
    if pet.frame_of_reference_uid != ct.frame_of_reference_uid:
        return None
    step = max(1, round(PIXEL_MM / max(pet.grid.pixel_spacing_mm)))
    uptake = pet.array[:, ::step, ::step].astype(np.float64)
    axes = (np.arange(n) * s for n, s in zip(uptake.shape, (1, step, step), strict=True))
    k, j, i = np.meshgrid(*axes, indexing="ij")
    points = np.stack([k, j, i, np.ones_like(k)]).reshape(4, -1)
    index = (np.linalg.inv(ct.affine_lps) @ pet.affine_lps @ points)[:3]
    limits = np.array(ct.array.shape)[:, None] - 0.5
    covered = ((index > -0.5) & (index < limits)).all(axis=0).reshape(uptake.shape)
    if covered.mean() < 0.2:
        return None
    hu = ndimage.map_coordinates(ct.array, index, order=1, mode="constant", cval=OUTSIDE_HU, output=np.float64)
    dz, dy, dx = pet.spacing_mm
    return Pair(uptake, hu.reshape(uptake.shape), covered, step, (dz, dy * step, dx * step))
