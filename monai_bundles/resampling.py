"""One image's values at the voxel centres of another, by the frame of reference that they share."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from monai_bundles.errors import MissingSeries
from monai_bundles.restore import grid_map, snapped

__all__ = ["on_grid_of"]


def on_grid_of(image: Volume, reference: Volume, outside: float | None = None) -> NDArray[np.float32]:
    """An image's values at the voxel centres of another, by linear interpolation in their common frame of reference.

    Parameters
    ----------
    outside
        Value where the image does not reach; None takes its smallest value.

    Raises
    ------
    MissingSeries
        The two lie in different frames of reference.
    """
    if image.frame_of_reference_uid != reference.frame_of_reference_uid:
        raise MissingSeries(
            "Two series that the bundle needs together lie in different frames of reference; register them first.",
        )
    mapping = snapped(grid_map(reference.affine_lps, image.affine_lps))
    lowest = float(image.array.min()) if outside is None else outside
    return ndimage.affine_transform(
        np.asarray(image.array, dtype=np.float32),
        mapping.matrix,
        mapping.offset,
        output_shape=reference.array.shape,
        order=1,
        mode="constant",
        cval=lowest,
        output=np.float32,
    )
