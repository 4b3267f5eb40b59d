"""From a bundle's tensors to regions on the source's own voxels: label maps and overlapping channels."""

from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray
from scipy import ndimage

from imaging.ras import affine_ras
from imaging.volume import Region, Volume
from monai_bundles.bundle import Bundle
from monai_bundles.errors import WrongOutput
from monai_bundles.restore import grid_map, snapped

__all__ = ["on_source", "regions_of"]

WHOLE = 1e-3
"""Largest distance of a label from a whole number: floats that are meant as labels."""

SAME = 1e-3
"""Largest difference of two affines, mm, that count as one grid."""


def on_source(values: Any, affine: NDArray[np.float64], volume: Volume) -> NDArray[np.float32]:
    """An output (C, X, Y, Z) on the source's voxels (C, Z, Y, X), by nearest neighbour where it lies on another grid.

    Raises
    ------
    WrongOutput
        It has not three spatial dimensions, or holds values that are no numbers.
    """
    array = np.asarray(values.as_tensor().cpu() if isinstance(values, MetaTensor) else torch.as_tensor(values).cpu())
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or not np.isfinite(array).all():
        raise WrongOutput(
            "The bundle gave an output of another shape than an image, or values that are no numbers; check its "
            "configuration and weights.",
            shape=list(array.shape),
        )
    turned = array.transpose(0, 3, 2, 1).astype(np.float32)
    own = affine_ras(volume.grid)
    if turned.shape[1:] == volume.array.shape and np.abs(affine - own).max() < SAME:
        return turned
    mapping = snapped(grid_map(own, affine))
    # Both affines are of axes X, Y, Z; the arrays here are Z, Y, X.
    flipped = mapping.matrix[::-1, ::-1]
    return np.stack([
        ndimage.affine_transform(
            channel, flipped, mapping.offset[::-1], output_shape=volume.array.shape, order=0, mode="constant", cval=0.0
        )
        for channel in turned
    ])


def regions_of(bundle: Bundle, values: NDArray[np.float32]) -> dict[str, Region]:
    """The structures in a label map (1, Z, Y, X) or in channels (C, Z, Y, X), by name.

    Raises
    ------
    WrongOutput
        A label is no whole number or has no meaning, or there are other channels than structures.
    """
    if bundle.output == "channels":
        return _from_channels(bundle, values)
    if len(values) > 1:
        values = values.argmax(axis=0, keepdims=True).astype(np.float32)
    labels = np.rint(values[0])
    if np.abs(values[0] - labels).max() > WHOLE:
        raise WrongOutput(
            f"Bundle {bundle.name} gave labels that are no whole numbers; its inverse transform interpolates them.",
        )
    meanings = {s.label: s.name for s in bundle.structures}
    unknown = sorted({int(v) for v in np.unique(labels)} - set(meanings) - {0})
    if unknown:
        raise WrongOutput(
            f"Bundle {bundle.name} gave the label {unknown[0]}, which configs/radgate.json does not name; add it.",
            labels=unknown,
        )
    regions = {}
    for label, name in meanings.items():
        region = Region.from_mask(labels == label)
        if region.voxel_count:
            regions[name] = region
    return regions


def _from_channels(bundle: Bundle, values: NDArray[np.float32]) -> dict[str, Region]:
    """One mask a channel, which may overlap; a background in front of them is left out.

    Raises
    ------
    WrongOutput
        There are other channels than structures.
    """
    extra = len(values) - len(bundle.structures)
    if extra not in {0, 1}:
        raise WrongOutput(
            f"Bundle {bundle.name} gave {len(values)} channels for {len(bundle.structures)} structures; correct its "
            "configs/radgate.json.",
            got=len(values),
            expected=len(bundle.structures),
        )
    regions = {}
    for structure in bundle.structures:
        region = Region.from_mask(values[structure.label - 1 + extra] > 0.5)
        if region.voxel_count:
            regions[structure.name] = region
    return regions
