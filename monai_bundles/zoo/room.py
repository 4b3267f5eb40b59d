"""Whether there is room for a run, asked before its network is: on volumes, planes and pictures, and for scores.

A refusal here makes `run` try again with smaller windows, then on the CPU, and end with a sentence where nothing helps.
"""

import math
from typing import Any

from monai_bundles import memory
from monai_bundles.bundle import Bundle
from monai_bundles.errors import NotEnoughMemory
from monai_bundles.zoo.workflow import Workflow

__all__ = ["Room", "masks_bytes", "planes_bytes", "volume_bytes"]


NUMBERS = ("scores", "points")
"""Outputs that are a few numbers instead of an image."""


class Room:
    """Compares what a run needs with what there is; images of the same shape are asked about once.

    Parameters
    ----------
    bundle, workflow
        What runs, its inferer with the windows of this attempt.
    device
        Where.
    """

    def __init__(self, bundle: Bundle, workflow: Workflow, device: str) -> None:
        self._bundle = bundle
        self._workflow = workflow
        self._device = device
        self._asked: set[tuple[int, ...]] = set()

    def require(self, image: Any, kept_bytes: int) -> None:
        """Nothing, where a preprocessed image (C, ...) can be computed.

        Parameters
        ----------
        kept_bytes
            What the run's outputs take besides, on the source.

        Raises
        ------
        NotEnoughMemory
            It needs more than there is.
        """
        shape = tuple(int(n) for n in image.shape)
        if shape in self._asked:
            return
        window = self._window(shape)
        if self._bundle.output in NUMBERS:
            voxels = 2 * memory.FLOAT_BYTES * math.prod(shape)
            needed = memory.WORKSPACE_BYTES + memory.network_bytes(self._workflow.network, window) + voxels
        else:
            channels = len(self._bundle.structures) + 1
            needed = memory.run_bytes(self._workflow.network, shape, window, channels, 0)
        needed += kept_bytes
        there = memory.available_bytes(self._device)
        if needed > there:
            raise NotEnoughMemory(
                f"The run needs about {memory.memory_text(needed)} and there are {memory.memory_text(there)}",
                needed_bytes=needed,
                available_bytes=there,
            )
        self._asked.add(shape)

    def has_gradients(self, image: Any) -> bool:
        """Whether the network can be asked where in an image (C, ...) a score comes from, which keeps every layer."""
        shape = tuple(int(n) for n in image.shape)
        held = memory.network_bytes(self._workflow.network, (1, *shape), with_gradients=True)
        return memory.WORKSPACE_BYTES + held <= memory.available_bytes(self._device)

    def _window(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        inferer = self._workflow.inferer
        at_once = int(getattr(inferer, "sw_batch_size", 1) or 1)
        return (at_once, shape[0], *memory.window_of(getattr(inferer, "roi_size", None), shape[1:]))


def volume_bytes(bundle: Bundle, voxels: int) -> int:
    """What the output takes on the source's voxels, with its label map and a mask."""
    return voxels * (len(bundle.structures) + 3) * memory.FLOAT_BYTES


def planes_bytes(bundle: Bundle, voxels: int) -> int:
    """What outputs of single planes take: they are kept until the last, joined, and brought to the source."""
    return 2 * voxels * (len(bundle.structures) + 1) * memory.FLOAT_BYTES + volume_bytes(bundle, voxels)


def masks_bytes(bundle: Bundle, pixels: int) -> int:
    """What the masks of pictures take, and a copy of each for its region: one byte a pixel."""
    return 2 * pixels * len(bundle.structures)
