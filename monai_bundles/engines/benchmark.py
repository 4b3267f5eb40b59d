"""Seconds of a bundle's network step beside MONAI's sliding window on the same image, and whether the labels are equal.

The image is a volume after the bundle's own preprocessing, over the whole field of view. MONAI computes every window
with eager PyTorch. radgate takes the engine of this machine and leaves out windows without a voxel of the body ("same
windows": the labels must be equal). In a run it also crops the image to the body, which moves the windows ("cropped":
the network sees other surroundings, so that its borders differ a little). Labels are compared inside the body, which is
all that a run delivers.
"""

import copy
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer, sliding_window_inference
from numpy.typing import NDArray

from imaging.ras import affine_ras
from imaging.volume import Volume
from monai_bundles.body.coarse import block_means
from monai_bundles.body.outline import body_outline
from monai_bundles.bundle import Bundle
from monai_bundles.engines.agreement import compare
from monai_bundles.engines.choice import Choice, choose
from monai_bundles.engines.selection import TRIED_WINDOWS, masks_of_sigmoid
from monai_bundles.errors import WrongOutput
from monai_bundles.network import NetworkParts, load_network
from monai_bundles.orientation import anatomical_axes
from monai_bundles.restore import grid_map
from monai_bundles.windows import fullest_windows, slide, window_count

__all__ = ["Benchmark", "Way", "benchmark"]

BODY_MM = 4.0
MARGIN_VOXELS = 4
"""Around the body where the image is cropped, about the margin of a run."""


@dataclass(frozen=True)
class Way:
    """One way to compute the same.

    Parameters
    ----------
    windows
        That were computed.
    seconds, ratio
        Wall seconds, and their share of MONAI's.
    processor_ratio
        The share of processor time, which other programs on the machine change less.
    equal_voxels, least_dice
        Agreement of the labels inside the body.
    """

    windows: int
    seconds: float
    ratio: float
    processor_ratio: float
    equal_voxels: float
    least_dice: float


@dataclass(frozen=True)
class Benchmark:
    """What was measured.

    Parameters
    ----------
    bundle, version
        Of what.
    choice
        The engine and what it was chosen from.
    image
        Shape (C, ...) of the preprocessed image.
    windows
        Of MONAI's sliding window.
    monai_s
        Wall seconds of MONAI's network step.
    same_windows, cropped
        radgate's, both ways.
    threads
        Of PyTorch.
    """

    bundle: str
    version: str
    choice: Choice
    image: tuple[int, ...]
    windows: int
    monai_s: float
    same_windows: "Way"
    cropped: "Way"
    threads: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def benchmark(bundle: Bundle, volume: Volume, cache: Path | None = None) -> Benchmark:
    """Choose the engine anew on this volume, remember it, and measure.

    Parameters
    ----------
    bundle
        With a network whose channels are structures.
    volume
        In the unit that it accepts.
    cache
        Folder of choices; None for the user's own.

    Raises
    ------
    WrongOutput
        The bundle has no sliding window, so there is nothing to compare.
    """
    parts = load_network(bundle, "cpu")
    if not isinstance(parts.inferer, SlidingWindowInferer):
        raise WrongOutput(f"Bundle {bundle.name} has no sliding window; there is nothing to compare it with.")
    image = _preprocessed(parts, volume)
    batch = image.as_tensor()[None].float()
    inside = _body(volume, np.asarray(image.affine, dtype=np.float64), tuple(image.shape[1:]))
    tried = fullest_windows(parts.inferer, batch, inside, TRIED_WINDOWS)
    with torch.inference_mode():
        choice, engine = choose(bundle.algorithm.bundle_digest, parts.network, tried, masks_of_sigmoid, cache)
        plain = copy.deepcopy(parts.network)
        for parameter in plain.parameters():
            parameter.data = parameter.data.contiguous()
        plain(tried[0])
        began = _clocks()
        expected = sliding_window_inference(
            batch,
            parts.inferer.roi_size,
            parts.inferer.sw_batch_size,
            plain,
            parts.inferer.overlap,
            parts.inferer.mode,
        )
        monai_s = _clocks() - began
        whole = tuple(slice(0, n) for n in inside.shape)
        truth = masks_of_sigmoid(expected) & inside
        ways = [
            _measured(parts, engine, batch, inside, box, truth, monai_s, len(bundle.structures))
            for box in (whole, _box(inside))
        ]
    return Benchmark(
        bundle=bundle.name,
        version=bundle.version,
        choice=choice,
        image=tuple(int(n) for n in image.shape),
        windows=window_count(parts.inferer, batch),
        monai_s=round(float(monai_s[0]), 3),
        same_windows=ways[0],
        cropped=ways[1],
        threads=torch.get_num_threads(),
    )


def _measured(
    parts: NetworkParts,
    engine: torch.nn.Module,
    batch: torch.Tensor,
    inside: Any,
    box: tuple[slice, ...],
    truth: Any,
    monai_s: NDArray[np.float64],
    channels: int,
) -> Way:
    """The way of radgate over a box of the image."""
    part = batch[(slice(None), slice(None), *box)]
    began = _clocks()
    ours = slide(parts.inferer, engine, part, channels, inside[box])
    seconds = _clocks() - began
    found = np.zeros_like(truth)
    found[(slice(None), *box)] = masks_of_sigmoid(ours.output) & inside[box]
    agreement = compare(truth, found)
    return Way(
        windows=ours.computed,
        seconds=round(float(seconds[0]), 3),
        ratio=round(float(seconds[0] / monai_s[0]), 3),
        processor_ratio=round(float(seconds[1] / monai_s[1]), 3),
        equal_voxels=round(agreement.voxels, 6),
        least_dice=round(float(agreement.dice), 4),
    )


def _clocks() -> NDArray[np.float64]:
    """Wall and processor seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def _box(inside: Any) -> tuple[slice, ...]:
    """The body's box with a margin."""
    hits = np.argwhere(inside)
    low = np.maximum(hits.min(axis=0) - MARGIN_VOXELS, 0)
    high = np.minimum(hits.max(axis=0) + 1 + MARGIN_VOXELS, inside.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def _preprocessed(parts: NetworkParts, volume: Volume) -> MetaTensor:
    """The whole field of view after the bundle's own preprocessing."""
    tensor = torch.from_numpy(np.ascontiguousarray(volume.array.transpose(2, 1, 0), dtype=np.float32))[None]
    image = MetaTensor(tensor, affine=torch.from_numpy(affine_ras(volume.grid).copy()))
    result: MetaTensor = parts.preprocessing({parts.image_key: image})[parts.image_key]
    return result


def _body(volume: Volume, affine: Any, shape: tuple[int, ...]) -> Any:
    """The body on the network's grid, by nearest neighbour."""
    axes = anatomical_axes(volume.grid)
    coarse = block_means(axes.view(volume.array), axes.spacing_mm, BODY_MM)
    body = body_outline(coarse)
    for axis, factor in enumerate(coarse.factors):
        body = np.repeat(body, factor, axis)
    shape_here = axes.view(volume.array).shape
    fine = np.zeros(shape_here, dtype=bool)
    part = tuple(slice(0, min(int(a), int(b))) for a, b in zip(shape_here, body.shape, strict=True))
    fine[part] = body[part]
    own = axes.back(fine).transpose(2, 1, 0)
    mapping = grid_map(affine, affine_ras(volume.grid))
    indices = np.indices(shape).reshape(3, -1)
    nearest = np.rint(mapping.matrix @ indices + mapping.offset[:, None]).astype(np.intp)
    clipped = [np.clip(row, 0, n - 1) for row, n in zip(nearest, own.shape, strict=True)]
    return own[tuple(clipped)].reshape(shape)
