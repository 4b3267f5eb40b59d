"""A network over an image in overlapping windows: MONAI's sliding window, without the windows that hold no patient.

A window without a voxel of the body is not computed, which changes no label inside the body. On the CPU the windows are
joined by `monai_bundles.blending`; on other devices, and for an inferer with settings of its own, by MONAI.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from numpy.typing import NDArray
from torch import Tensor, nn

from monai_bundles.blending import is_plain, joined, padding_of

__all__ = ["Slide", "fullest_windows", "slide", "window_count"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Slide:
    """The output (1, channels, ...) over the whole image, and what it cost.

    Parameters
    ----------
    output
        As the inferer joins it.
    forward_s
        Seconds inside the network.
    computed, windows
        Windows that were computed, and all of them.
    """

    output: Any
    forward_s: float
    computed: int
    windows: int


def slide(
    inferer: Any,
    network: nn.Module,
    batch: Tensor,
    channels_out: int,
    inside: BoolArray | None = None,
    told: Callable[[float], None] = lambda share: None,
) -> Slide:
    """The network's output over an image.

    Parameters
    ----------
    inferer
        Of the bundle.
    network
        A module, or an engine in its place.
    batch
        Image (1, C, ...).
    channels_out
        Channels of the network's output.
    inside
        The body on the image's grid; None computes every window.
    told
        Called with the share done.
    """
    if batch.device.type == "cpu" and is_plain(inferer):
        done_here = joined(inferer, network, batch, inside, told=told)
        if done_here is not None:
            return Slide(done_here.output, done_here.forward_s, done_here.computed, done_here.windows)
    if not isinstance(inferer, SlidingWindowInferer):
        began = time.monotonic()
        output = inferer(batch, network)
        told(1.0)
        return Slide(output, time.monotonic() - began, 1, 1)
    roi = _roi(inferer, batch)
    padded = None if inside is None else _padded(inside, roi)
    total = window_count(inferer, batch)
    done = computed = 0
    forward_s = 0.0

    def predict(windows: Tensor, places: Sequence[Sequence[slice]]) -> Tensor:
        nonlocal done, computed, forward_s
        full = [padded is None or bool(padded[tuple(place[2:])].any()) for place in places]
        began = time.monotonic()
        if all(full):
            output: Tensor = network(windows)
        else:
            output = windows.new_zeros((len(windows), channels_out, *windows.shape[2:]))
            chosen = [n for n, keep in enumerate(full) if keep]
            if chosen:
                output[chosen] = network(windows[chosen])
        forward_s += time.monotonic() - began
        done += len(windows)
        computed += sum(full)
        told(min(done / total, 1.0))
        return output

    with_places = copy.copy(inferer)
    with_places.with_coord = True
    output = with_places(batch, predict)
    return Slide(output, forward_s, computed, done)


def fullest_windows(inferer: Any, batch: Tensor, inside: BoolArray | None, count: int) -> list[Tensor]:
    """The windows (1, C, ...) that hold most of the body, or of the image's contrast where there is no body mask."""
    roi = _roi(inferer, batch)
    padded = None if inside is None else _padded(inside, roi)
    held: list[tuple[float, Tensor]] = []

    def look(windows: Tensor, places: Sequence[Sequence[slice]]) -> Tensor:
        for window, place in zip(windows, places, strict=True):
            fill = float(window.std()) if padded is None else float(padded[tuple(place[2:])].mean())
            held.append((fill, window[None].clone()))
            held.sort(key=lambda item: -item[0])
            del held[count:]
        # Never a view: MONAI weighs what it is given back in place, and a window is a view of the image.
        return torch.zeros_like(windows[:, :1])

    looking = copy.copy(inferer)
    looking.with_coord = True
    looking(batch, look)
    return [window for _, window in held]


def _roi(inferer: SlidingWindowInferer, batch: Tensor) -> tuple[int, ...]:
    """The window's size; what is not positive takes the image's."""
    sizes = tuple(batch.shape[2:])
    given = inferer.roi_size
    wanted = [given] * len(sizes) if isinstance(given, int) else list(given)
    return tuple(int(w) if w and w > 0 else s for w, s in zip(wanted, sizes, strict=True))


def _padded(inside: BoolArray, roi: Sequence[int]) -> BoolArray:
    """The mask with the margin that MONAI adds where an image is smaller than a window."""
    return np.pad(inside, padding_of(inside.shape, roi))


def window_count(inferer: SlidingWindowInferer, batch: Tensor) -> int:
    """Number of windows that a sliding window takes over an image (1, C, ...)."""
    roi = _roi(inferer, batch)
    overlap = inferer.overlap
    shares = [overlap] * len(roi) if isinstance(overlap, float | int) else list(overlap)
    count = 1
    for size, window, share in zip(batch.shape[2:], roi, shares, strict=True):
        step = window if window == size else max(1, int(window * (1 - float(share))))
        count *= max(1, -(-(max(int(size), window) - window) // step) + 1)
    return count
