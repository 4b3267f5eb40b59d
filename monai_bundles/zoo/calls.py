"""What the ways of running a bundle share: the run's record, its preprocessing, the counting of network calls."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from monai.data import MetaTensor
from torch.nn import Module

from imaging.volume import Region
from monai_bundles.bundle import Finding, Landmark, Score
from monai_bundles.zoo.workflow import Workflow

__all__ = ["Progress", "WorkflowRun", "counted", "image_key", "preprocessed", "window_count"]

IMAGE_KEY = "image"
"""Where MONAI's evaluator takes the network's input, whatever the files were called."""

Progress = Callable[[float, str], None]


@dataclass(eq=False)
class WorkflowRun:
    """What a bundle gave.

    Parameters
    ----------
    regions
        By the structure's name.
    findings, scores, heat_map, plane_scores, plane, landmarks
        See `BundleOutput`.
    device, forward_s
        Where it ran, and the seconds inside the network.
    notes
        Sentences for the reader: what had to be changed to run it.
    """

    regions: dict[str, Region] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()
    heat_map: Region | None = None
    plane_scores: tuple[tuple[Score, ...], ...] = ()
    plane: int | None = None
    landmarks: tuple[Landmark, ...] = ()
    device: str = "cpu"
    forward_s: float = 0.0
    notes: tuple[str, ...] = ()


def preprocessed(workflow: Workflow, source: Mapping[str, MetaTensor], key: str) -> dict[str, Any]:
    """The dictionary after the bundle's own preprocessing; the image has its channels in front."""
    if workflow.preprocessing is None:
        data: dict[str, Any] = dict(source)
    elif workflow.by_key:
        # MONAI's loader may also write this entry, and transforms of bundles read it.
        headers = {f"{name}_meta_dict": dict(image.meta) for name, image in source.items()}
        data = dict(workflow.preprocessing({**headers, **source}))
    else:
        data = {key: workflow.preprocessing(source[key])}
    return data


def image_key(data: Mapping[str, Any], key: str) -> str:
    """Where preprocessing left what the network takes: MONAI's own name for it, else the first input's."""
    return IMAGE_KEY if IMAGE_KEY in data else key


@contextmanager
def counted(network: Module, run: WorkflowRun, told: Callable[[float], None], calls: int) -> Iterator[None]:
    """Count and time the calls of a network meanwhile."""
    state = {"done": 0, "began": 0.0}

    def before(_module: Any, _inputs: Any) -> None:
        state["began"] = time.monotonic()

    def after(_module: Any, _inputs: Any, _output: Any) -> None:
        run.forward_s += time.monotonic() - state["began"]
        state["done"] += 1
        told(min(state["done"] / max(calls, 1), 1.0))

    hooks = [network.register_forward_pre_hook(before), network.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def window_count(shape: tuple[int, ...], inferer: Any) -> int:
    """Calls of the network that a sliding window makes, nearly."""
    roi, overlap = getattr(inferer, "roi_size", None), getattr(inferer, "overlap", 0.0)
    if not isinstance(roi, list | tuple) or len(roi) != len(shape) or not isinstance(overlap, float):
        return 1
    counts = [max(1, -(-(n - r) // max(1, int(r * (1 - overlap)))) + 1) for n, r in zip(shape, roi, strict=True)]
    return max(1, -(-int(np.prod(counts)) // max(1, int(getattr(inferer, "sw_batch_size", 1)))))
