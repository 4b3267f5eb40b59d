"""Where a class comes from, brought back from the network's grid to the source's own voxels."""

from typing import Any

import numpy as np
from monai.data import MetaTensor
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Region

__all__ = ["heat_region"]

SHOWN = 1 / 3
"""Share of the largest value from which a voxel counts as a place that the class comes from."""


def heat_region(
    attention: NDArray[np.float32], image: Any, source: Any, shape: tuple[int, int, int], plane: int | None
) -> Region:
    """The map on the source's voxels: the part above a third of its maximum, with its values as `probability`.

    Parameters
    ----------
    attention
        On the network's grid: (X, Y), or (X, Y, Z).
    image
        What the network was given; its affine says where preprocessing has brought the source.
    source
        What preprocessing was given, with the affine of the source's voxels.
    shape
        Of the source: (planes, rows, columns).
    plane
        Of which plane the map is; None for the whole volume.
    """
    dimensions = attention.ndim
    extent = shape[::-1][:dimensions]
    own, there = _affine(source, dimensions), _affine(image, dimensions)
    own = np.eye(dimensions + 1) if own is None else own
    if there is None or (attention.shape != extent and np.allclose(there, own)):
        # Preprocessing did not say what it did; such bundles only scale the image.
        there = own @ _stretching(np.array(extent) / np.array(attention.shape))
    joined = np.linalg.inv(there) @ own
    matrix, offset = joined[:dimensions, :dimensions], joined[:dimensions, dimensions]
    values = ndimage.affine_transform(
        attention, matrix, offset, output_shape=extent, order=1, mode="grid-constant", cval=0.0
    )
    full = np.zeros(shape, dtype=np.float32)
    # The network's arrays have axes X, Y, Z; the source's Z, Y, X.
    full[... if plane is None else plane] = values.T
    return Region.from_mask(full > max(float(full.max()) * SHOWN, 0.0), full)


def _affine(image: Any, dimensions: int) -> Any:
    """The affine over as many axes as the map has; None of a tensor that has none."""
    if not isinstance(image, MetaTensor):
        return None
    affine = np.asarray(image.affine, dtype=np.float64)
    kept = [*range(dimensions), affine.shape[0] - 1]
    return affine[np.ix_(kept, kept)]


def _stretching(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine of voxels that are so many times as large, with the same outer faces."""
    affine = np.diag([*factors, 1.0])
    affine[:-1, -1] = (factors - 1) / 2
    return affine
