"""The patient's outline on another grid, with a margin: for leaving out what holds nothing of the patient."""

import numpy as np
from numpy.typing import NDArray

from imaging.ras import affine_ras as ras_of
from imaging.volume import Volume
from monai_bundles.body.coarse import block_means
from monai_bundles.body.morphology import dilate
from monai_bundles.body.outline import body_outline
from monai_bundles.orientation import anatomical_axes
from monai_bundles.restore import grid_map

__all__ = ["body_on_grid"]

BODY_MM = 4.0
MARGIN_MM = 12.0
"""Around the outline, so that nothing of what lies on the skin is lost."""


def body_on_grid(
    volume: Volume, affine_ras: NDArray[np.float64], shape: tuple[int, ...], margin_mm: float = MARGIN_MM
) -> NDArray[np.bool_]:
    """The outline at the nearest voxel of a CT, for each voxel of a grid; empty where nothing looks like a patient.

    Parameters
    ----------
    volume
        In HU.
    affine_ras
        4x4 of the grid, axes X, Y, Z.
    shape
        Of the grid, (X, Y, Z).
    margin_mm
        By which the outline is grown before.
    """
    axes = anatomical_axes(volume.grid)
    seen = axes.view(volume.array)
    coarse = block_means(seen, axes.spacing_mm, BODY_MM)
    body = dilate(body_outline(coarse), margin_mm, coarse.spacing_mm)
    for axis, factor in enumerate(coarse.factors):
        body = np.repeat(body, factor, axis)
    fine = body[tuple(slice(0, n) for n in seen.shape)]
    own = axes.back(fine).transpose(2, 1, 0)
    mapping = grid_map(affine_ras, ras_of(volume.grid))
    result = np.zeros(shape, dtype=np.bool_)
    rest = np.indices(shape[1:]).reshape(2, -1)
    for plane in range(shape[0]):
        # Plane by plane: the indices of a whole grid would take more memory than the image.
        places = mapping.matrix[:, :1] * plane + mapping.matrix[:, 1:] @ rest + mapping.offset[:, None]
        nearest = np.rint(places).astype(np.intp)
        clipped = [np.clip(row, 0, n - 1) for row, n in zip(nearest, own.shape, strict=True)]
        result[plane] = own[clipped[0], clipped[1], clipped[2]].reshape(shape[1:])
    return result
