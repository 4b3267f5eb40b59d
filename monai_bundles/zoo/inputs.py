"""From radgate's volumes to what a bundle's preprocessing takes: MONAI's tensors, axes X, Y, Z, affine in RAS.

The same as MONAI's loader makes of a NIfTI file, so that orientation and spacing steps find what they were written for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from imaging.ras import affine_ras
from imaging.volume import Volume
from monai_bundles.bundle import Bundle, Channel
from monai_bundles.errors import MissingSeries
from monai_bundles.resampling import on_grid_of

__all__ = ["slices_of", "source_tensors"]


def source_tensors(
    bundle: Bundle, volume: Volume, companions: Mapping[str, Volume], *, channel_first: bool
) -> dict[str, MetaTensor]:
    """One tensor for each input of the bundle, all on the grid of `volume`.

    Parameters
    ----------
    bundle
        Says which images become which channels.
    volume
        The series of the route.
    companions
        The other images by the names of their channels.
    channel_first
        Whether a single image gets a channel axis.

    Raises
    ------
    MissingSeries
        An image that the bundle needs is not there, or lies in another frame of reference.
    """
    affine = torch.from_numpy(_as_stored(affine_ras(volume.grid)))
    result = {}
    primary = True
    for entry in bundle.inputs:
        arrays: list[NDArray[np.float32]] = []
        for channel in entry.channels:
            arrays.append(np.asarray(volume.array, np.float32) if primary else _companion(volume, companions, channel))
            primary = False
        if entry.zeros or not arrays:
            arrays = [np.zeros(volume.array.shape, dtype=np.float32)]
        stacked = np.stack([a.transpose(2, 1, 0) for a in arrays * entry.repeat])
        if len(stacked) == 1 and not channel_first:
            stacked = stacked[0]
        result[entry.key] = MetaTensor(
            torch.from_numpy(np.ascontiguousarray(stacked)), affine=affine.clone(), meta=_meta(volume)
        )
    return result


def _as_stored(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine with the 32 bits that a NIfTI file keeps of each number, which shifts no voxel by 0.001 mm.

    MONAI decides by the last bits where it lays a resampled grid (at the image's corner or about its centre), and which
    of two equally near voxels gives a label: with other bits than the files that bundles are made with, both change.
    """
    return affine.astype(np.float32).astype(np.float64)


def _meta(volume: Volume) -> dict[str, Any]:
    """What MONAI's loader would say besides the affine."""
    shape = np.array(volume.array.shape[::-1])
    return {
        "spatial_shape": shape,
        "original_channel_dim": "no_channel",
        "original_affine": _as_stored(affine_ras(volume.grid)),
        "filename_or_obj": "image",
    }


def _companion(volume: Volume, companions: Mapping[str, Volume], channel: Channel) -> NDArray[np.float32]:
    """The values of another series on the grid of the route's; zeros where it may be missing and is.

    Raises
    ------
    MissingSeries
        It is needed and not there.
    """
    image = companions.get(channel.name)
    if image is None and channel.optional:
        return np.zeros(volume.array.shape, dtype=np.float32)
    if image is None:
        raise MissingSeries(
            f"The bundle needs the series {channel.name} beside the one it was started with, and the study has none "
            "that fits; check `inputs` in its configs/radgate.json.",
            channel=channel.name,
        )
    return on_grid_of(image, volume)


def slices_of(tensors: Mapping[str, MetaTensor], plane: int, keys: Sequence[str]) -> dict[str, MetaTensor]:
    """One plane of every tensor, for a bundle that takes two-dimensional images."""
    planes = {}
    for key in keys:
        spacing = np.linalg.norm(np.asarray(tensors[key].affine)[:3, :2], axis=0)
        affine = torch.diag(torch.tensor([*spacing.tolist(), 1.0, 1.0], dtype=torch.float64))
        planes[key] = MetaTensor(tensors[key].as_tensor()[..., plane].clone(), affine=affine)
    return planes
