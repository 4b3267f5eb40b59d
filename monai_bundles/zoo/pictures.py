"""Runs a bundle on colour pictures, one after the other, and brings what it outlines back to each picture's pixels.

A picture goes in as MONAI's own reader gives one: axes X, Y, red first, values 0 to 255, and an affine of pixels. What
preprocessing does to it stands in the affine afterwards, and is undone by it.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from imaging.pictures import Pictures
from imaging.volume import Region
from monai_bundles.bundle import Bundle
from monai_bundles.errors import WrongDimensions, WrongOutput
from monai_bundles.zoo.calls import Progress, WorkflowRun, image_key, preprocessed
from monai_bundles.zoo.classification import classify
from monai_bundles.zoo.computing import Computing
from monai_bundles.zoo.forward import segmented
from monai_bundles.zoo.outputs import regions_of
from monai_bundles.zoo.room import Room, masks_bytes
from monai_bundles.zoo.workflow import Workflow

__all__ = ["on_picture", "picture_tensors", "run_on_pictures"]

SAME_PX = 1e-3
"""Largest difference of two affines, in pixels, that count as one."""

REACH_PX = 0.75
"""How far beyond its outermost pixel centres an output may be asked for: half a pixel, and rounding."""


def run_on_pictures(
    bundle: Bundle, workflow: Workflow, pictures: Pictures, tell: Progress, run: WorkflowRun, room: Room, device: str
) -> None:
    """Scores of every picture, or the structures in every picture.

    Raises
    ------
    WrongDimensions
        The network takes volumes.
    NotEnoughMemory
        It, or the masks of all pictures, need more memory than there is.
    WrongOutput
        The output is not what was declared, or does not say how it lies on the picture.
    """
    if workflow.spatial_dims != 2:
        raise WrongDimensions(
            f"The network of bundle {bundle.name} has {workflow.spatial_dims} spatial dimensions, and pictures have 2; "
            "correct `inputs` in its configs/radgate.json."
        )
    key = bundle.inputs[0].key

    def given(plane: int) -> Mapping[str, MetaTensor]:
        return picture_tensors(bundle, pictures.array[plane], channel_first=workflow.channel_first)

    if bundle.output == "scores":
        classify(bundle, workflow, given, key, pictures.shape, tell, run, room, device)
        return
    count = len(pictures.array)
    masks: dict[str, NDArray[np.bool_]] = {}
    for plane in range(count):
        data = preprocessed(workflow, given(plane), key)
        own = image_key(data, key)
        room.require(data[own], masks_bytes(bundle, math.prod(pictures.shape)))
        output = segmented(bundle, workflow, data, own, device, run, Computing(workflow.network))
        values = on_picture(output, data[own], pictures.shape[1:], rows_first=bundle.inputs[0].rows_first)
        for name, region in regions_of(bundle, values[:, None]).items():
            full = masks.setdefault(name, np.zeros(pictures.shape, dtype=np.bool_))
            full[plane] = region.mask()[0]
        tell(0.1 + 0.75 * (plane + 1) / count, "network")
    run.regions = {s.name: Region.from_mask(masks[s.name]) for s in bundle.structures if s.name in masks}


def picture_tensors(bundle: Bundle, picture: NDArray[np.uint8], *, channel_first: bool) -> dict[str, MetaTensor]:
    """What preprocessing takes, for one picture (rows, columns, 3): the picture, and zeros for what nobody gave.

    Parameters
    ----------
    channel_first
        Whether the channels come first; else last, as in a file.
    """
    result = {}
    for entry in bundle.inputs:
        across = picture if entry.rows_first else picture.transpose(1, 0, 2)
        values = across if entry.colours else np.zeros((*across.shape[:2], 1), dtype=np.uint8)
        turned = values.transpose(2, 0, 1) if channel_first else values
        meta = {
            "spatial_shape": np.array(across.shape[:2]),
            "original_channel_dim": 0 if channel_first else -1,
            "original_affine": np.eye(4),
            "filename_or_obj": "image",
        }
        tensor = torch.from_numpy(np.ascontiguousarray(turned, dtype=np.float32))
        result[entry.key] = MetaTensor(tensor, affine=torch.eye(4, dtype=torch.float64), meta=meta)
    return result


def on_picture(output: Any, image: Any, size: tuple[int, int], *, rows_first: bool = False) -> NDArray[np.float32]:
    """An output (C, X, Y) on the picture's pixels (C, rows, columns), by nearest neighbour where it has others.

    Parameters
    ----------
    output
        What postprocessing left.
    image
        What the network was given: its affine counts where the output has none.
    size
        (rows, columns) of the picture.
    rows_first
        Its rows lie along the first axis: (C, Y, X).

    Raises
    ------
    WrongOutput
        It is no picture, holds values that are no numbers, or does not say how it lies on the picture.
    """
    array = np.asarray(output.as_tensor().cpu() if isinstance(output, MetaTensor) else torch.as_tensor(output).cpu())
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or not np.isfinite(array).all():
        raise WrongOutput(
            "The bundle gave an output of another shape than a picture, or values that are no numbers; check its "
            "configuration and weights.",
            shape=list(array.shape),
        )
    turned = (array if rows_first else array.transpose(0, 2, 1)).astype(np.float32)
    matrix, offset = _to_picture(output if isinstance(output, MetaTensor) else image)
    if rows_first:
        matrix, offset = matrix[::-1, ::-1], offset[::-1]
    if max(float(np.abs(matrix - np.eye(2)).max()), float(np.abs(offset).max())) < SAME_PX:
        if turned.shape[1:] != size:
            raise WrongOutput(
                "The bundle's output has another size than the picture and does not say how it lies on it; let its "
                "postprocessing invert what its preprocessing did.",
                shape=list(turned.shape[1:]),
                expected=list(size),
            )
        return turned
    columns, rows = np.meshgrid(np.arange(size[1]), np.arange(size[0]))
    places = np.stack([columns, rows], axis=-1).reshape(-1, 2) - offset
    found = places @ np.linalg.inv(matrix).T
    last = np.array([turned.shape[2], turned.shape[1]]) - 1
    inside = ((found >= -REACH_PX) & (found <= last + REACH_PX)).all(axis=1)
    nearest = np.clip(np.floor(found + 0.5).astype(int), 0, last)
    values = np.where(inside, turned[:, nearest[:, 1], nearest[:, 0]], 0)
    return np.asarray(values.reshape(len(turned), *size), dtype=np.float32)


def _to_picture(image: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and offset from the (x, y) of a tensor to those of the picture; the same where there is no affine."""
    if not isinstance(image, MetaTensor):
        return np.eye(2), np.zeros(2)
    affine = np.asarray(image.affine, dtype=np.float64)
    return affine[:2, :2], affine[:2, -1]
