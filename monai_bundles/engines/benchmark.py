"""Seconds of a bundle's network step beside MONAI's sliding window on the same image, and whether the labels are equal.

The image is a volume after the bundle's own preprocessing, over the whole field of view. MONAI computes every window
with eager PyTorch. radgate takes the engine of this machine and, where the bundle allows it, leaves out windows without
a voxel of the body ("same windows": the labels must be equal). A bundle that crops its image to the body moves the
windows by that ("cropped": the network sees other surroundings, so that its borders differ a little). Labels are
compared inside the body where windows are left out, which is all that a run may change.
"""

import copy
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import sliding_window_inference
from numpy.typing import NDArray

from imaging.ras import affine_ras
from imaging.volume import Volume
from monai_bundles.blending import is_plain
from monai_bundles.body.on_grid import body_on_grid
from monai_bundles.bundle import Bundle
from monai_bundles.cleanup import cleanup_rules
from monai_bundles.engines.agreement import compare
from monai_bundles.engines.choice import Choice, Labels, choose
from monai_bundles.engines.selection import TRIED_WINDOWS, identity_of, masks_of_sigmoid
from monai_bundles.errors import WrongOutput
from monai_bundles.network import load_network
from monai_bundles.windows import fullest_windows, slide, window_count

__all__ = ["Benchmark", "Way", "benchmark"]

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
        Agreement of the labels.
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
        radgate's; the second only for a bundle that crops its image.
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
    cropped: "Way | None"
    threads: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Step:
    """A network step: what computes which image, what decides on labels, and where windows are left out."""

    network: torch.nn.Module
    inferer: Any
    image: Any
    labels: Labels
    inside: NDArray[np.bool_] | None
    crops: bool


def benchmark(
    bundle: Bundle, volume: Volume, cache: Path | None = None, companions: Mapping[str, Volume] | None = None
) -> Benchmark:
    """Choose the engine anew on this volume, remember it, and measure.

    Parameters
    ----------
    bundle
        With a sliding window whose output is labels.
    volume
        In the unit that it accepts.
    cache
        Folder of choices; None for the user's own.
    companions
        Further images by the names of their channels.

    Raises
    ------
    WrongOutput
        The bundle has no sliding window, or what it gives are no labels, or it finds nothing: there is nothing to
        compare.
    """
    if bundle.needs_network and bundle.output == "structures":
        step = _of_structures(bundle, volume)
    else:
        step = _of_workflow(bundle, volume, companions or {})
    batch = torch.as_tensor(step.image.as_tensor())[None].float()
    seen = np.ones(batch.shape[2:], dtype=np.bool_) if step.inside is None else step.inside
    tried = fullest_windows(step.inferer, batch, step.inside, TRIED_WINDOWS)
    with torch.inference_mode():
        choice, engine = choose(identity_of(bundle), step.network, tried, step.labels, cache)
        plain = copy.deepcopy(step.network)
        for parameter in plain.parameters():
            parameter.data = parameter.data.contiguous()
        plain(tried[0])
        began = _clocks()
        expected = sliding_window_inference(
            batch,
            step.inferer.roi_size,
            step.inferer.sw_batch_size,
            plain,
            step.inferer.overlap,
            step.inferer.mode,
        )
        monai_s = _clocks() - began
        truth = step.labels(expected) & seen
        if not truth.any():
            raise WrongOutput(
                f"Bundle {bundle.name} finds nothing in this image, so that no labels can be compared; name a study of "
                "its own kind with --study."
            )
        whole = tuple(slice(0, n) for n in seen.shape)
        boxes = [whole, *([_box(seen)] if step.crops else [])]
        ways = [_measured(step, engine, batch, box, seen, truth, monai_s, int(expected.shape[1])) for box in boxes]
    return Benchmark(
        bundle=bundle.name,
        version=bundle.version,
        choice=choice,
        image=tuple(int(n) for n in step.image.shape),
        windows=window_count(step.inferer, batch),
        monai_s=round(float(monai_s[0]), 3),
        same_windows=ways[0],
        cropped=ways[1] if step.crops else None,
        threads=torch.get_num_threads(),
    )


def _of_structures(bundle: Bundle, volume: Volume) -> Step:
    """The step of a bundle whose channels are structures.

    Raises
    ------
    WrongOutput
        There is no sliding window.
    """
    parts = load_network(bundle, "cpu")
    _require_windows(bundle, parts.inferer)
    tensor = torch.from_numpy(np.ascontiguousarray(volume.array.transpose(2, 1, 0), dtype=np.float32))[None]
    source = MetaTensor(tensor, affine=torch.from_numpy(affine_ras(volume.grid).copy()))
    image = parts.preprocessing({parts.image_key: source})[parts.image_key]
    rules = cleanup_rules(bundle.postprocessing)
    inside = None
    if rules.within_body:
        affine = np.asarray(image.affine, dtype=np.float64)
        inside = body_on_grid(volume, affine, tuple(int(n) for n in image.shape[1:]), margin_mm=0.0)
    crops = rules.crop_to_body and inside is not None
    return Step(parts.network, parts.inferer, image, masks_of_sigmoid, inside, crops)


def _of_workflow(bundle: Bundle, volume: Volume, companions: Mapping[str, Volume]) -> Step:
    """The step of a bundle that is run by its own configuration.

    Raises
    ------
    WrongOutput
        There is no sliding window, or what it gives are no labels that could be compared.
    """
    from monai_bundles.zoo.calls import image_key, preprocessed
    from monai_bundles.zoo.computing import DECIDED, body_for
    from monai_bundles.zoo.deciding import decision_of
    from monai_bundles.zoo.inputs import slices_of, source_tensors
    from monai_bundles.zoo.workflow import load_workflow

    if not bundle.needs_network or bundle.output not in DECIDED or bundle.is_for_colours:
        raise WrongOutput(
            f"Bundle {bundle.name} gives no labels of a network over a volume; there is nothing to compare."
        )
    workflow = load_workflow(bundle, "cpu")
    _require_windows(bundle, workflow.inferer)
    decision = decision_of(bundle, workflow)
    if decision is None:
        raise WrongOutput(
            f"What decides on the labels of bundle {bundle.name} cannot be told from its postprocessing, so that every "
            "run of it is computed by PyTorch; there is nothing to compare."
        )
    source = source_tensors(bundle, volume, companions, channel_first=workflow.channel_first)
    key = bundle.inputs[0].key
    in_planes = workflow.spatial_dims == 2
    if in_planes:
        source = slices_of(source, volume.array.shape[0] // 2, list(source))
    data = preprocessed(workflow, source, key)
    image = data[image_key(data, key)]
    inside = None if in_planes else body_for(bundle, volume, image)
    return Step(workflow.network, workflow.inferer, image, decision.masks, inside, crops=False)


def _require_windows(bundle: Bundle, inferer: Any) -> None:
    """Refuse what has no windows of a fixed size.

    Raises
    ------
    WrongOutput
        It has none.
    """
    if not is_plain(inferer):
        raise WrongOutput(
            f"Bundle {bundle.name} has no plain sliding window of a fixed size; there is nothing to compare it with."
        )


def _measured(
    step: Step,
    engine: torch.nn.Module,
    batch: torch.Tensor,
    box: tuple[slice, ...],
    seen: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    monai_s: NDArray[np.float64],
    channels: int,
) -> Way:
    """The way of radgate over a box of the image."""
    part = batch[(slice(None), slice(None), *box)]
    began = _clocks()
    ours = slide(step.inferer, engine, part, channels, None if step.inside is None else step.inside[box])
    seconds = _clocks() - began
    found = np.zeros_like(truth)
    found[(slice(None), *box)] = step.labels(ours.output) & seen[box]
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


def _box(inside: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The body's box with a margin."""
    hits = np.argwhere(inside)
    low = np.maximum(hits.min(axis=0) - MARGIN_VOXELS, 0)
    high = np.minimum(hits.max(axis=0) + 1 + MARGIN_VOXELS, inside.shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
