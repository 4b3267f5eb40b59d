"""How a bundle's own postprocessing turns a network's values into labels: by the highest channel, or by a limit.

By it an engine is judged window by window, and by it a window that is not computed counts as background.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from monai_bundles.bundle import Bundle
from monai_bundles.engines.selection import masks_of_argmax
from monai_bundles.zoo.workflow import Workflow

__all__ = ["Decision", "decision_of"]

LOW = -30.0
"""A value that no label takes, before and after every activation."""

HALF = 0.5

TRANSPARENT = frozenset(
    f"{name}{ending}"
    for name in (
        "Activations",
        "AsDiscrete",
        "CastToType",
        "CopyItems",
        "EnsureChannelFirst",
        "EnsureType",
        "Identity",
        "Invert",
        "KeepLargest",
        "KeepLargestConnectedComponent",
        "SaveImage",
        "ToDevice",
        "ToTensor",
    )
    for ending in ("", "d")
)
"""Steps that give no value another meaning; behind any other one nobody knows what decides."""


@dataclass(frozen=True)
class Decision:
    """What decides on a label.

    Parameters
    ----------
    by
        The highest channel, or a limit for each channel.
    activation
        What comes before a limit.
    limit
        From which a channel's voxel belongs to it.
    """

    by: Literal["argmax", "limit"]
    activation: Literal["", "sigmoid", "softmax"] = ""
    limit: float = HALF

    def masks(self, output: Tensor) -> NDArray[np.bool_]:
        """Masks (structures, ...) in a network's output (1, C, ...) for one window."""
        if self.by == "argmax":
            return masks_of_argmax(output)
        values = output[0].float()
        if self.activation == "sigmoid":
            values = torch.sigmoid(values)
        elif self.activation == "softmax":
            values = torch.softmax(values, dim=0)
        return np.asarray(values.numpy() >= self.limit)

    def empty(self, channels: int) -> NDArray[np.float32]:
        """What each channel of a network gives where there is nothing."""
        values = np.full(channels, LOW, dtype=np.float32)
        if self.by == "argmax" or self.activation == "softmax":
            values[0] = 0.0
        return values


def decision_of(bundle: Bundle, workflow: Workflow) -> Decision | None:
    """What decides in a bundle; None where it cannot be told."""
    steps = workflow.postprocessing
    steps = () if steps is None else getattr(steps, "transforms", (steps,))
    activation: Literal["", "sigmoid", "softmax"] = ""
    for step in steps:
        kind = type(step).__name__
        if kind not in TRANSPARENT:
            return None
        if kind.startswith("Activations"):
            if _first(step, "other") is not None:
                return None
            if _first(step, "sigmoid"):
                activation = "sigmoid"
            elif _first(step, "softmax"):
                activation = "softmax"
        elif kind.startswith("AsDiscrete"):
            if _first(step, "argmax"):
                return Decision("argmax")
            limit = _first(step, "threshold")
            if limit is not None:
                return Decision("limit", activation, float(limit))
    return Decision("limit", activation) if bundle.output == "channels" else None


def _first(step: Any, name: str) -> Any:
    """A setting of a transform, which has one for each of its keys or one for all."""
    value = getattr(step, name, None)
    value = getattr(getattr(step, "converter", None), name, None) if value is None else value
    return value[0] if isinstance(value, tuple | list) and value else value
