"""Joins overlapping windows on the CPU as MONAI's sliding window does, to the last bit, with fewer copies.

The windows, their weights and the order of the sums are MONAI's. One thread adds up while the network computes the next
windows, and windows that hold nothing of the patient are neither cut out nor computed.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices, get_valid_patch_size
from monai.inferers import SlidingWindowInferer, SlidingWindowInfererAdapt
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["Joined", "is_plain", "joined", "padding_of", "places_of"]

Place = tuple[slice, ...]

Each = Callable[[Iterable[Tensor]], Iterator[Any]]
"""From windows (1, C, ...) to outputs in their order, each of which holds until the next is asked for."""

OnCpu = (None, "cpu", torch.device("cpu"))


@dataclass(frozen=True, eq=False)
class Joined:
    """The output (1, channels, ...) over the whole image, and what it cost.

    Parameters
    ----------
    output
        On the image's grid.
    forward_s
        Seconds in which nothing but the network was waited for.
    computed, windows
        Windows that were computed, and all of them.
    """

    output: Tensor
    forward_s: float
    computed: int
    windows: int


def is_plain(inferer: Any) -> bool:
    """Whether an inferer is MONAI's sliding window with windows of a fixed size and nothing special, on the CPU."""
    if type(inferer) not in {SlidingWindowInferer, SlidingWindowInfererAdapt}:
        return False
    roi = inferer.roi_size
    sized = isinstance(roi, list | tuple) and all(isinstance(n, int) and n > 0 for n in roi)
    special = inferer.buffer_steps or inferer.with_coord or inferer.cpu_thresh or inferer.padding_mode != "constant"
    return sized and not special and inferer.sw_device in OnCpu and inferer.device in OnCpu


def padding_of(size: Sequence[int], roi: Sequence[int]) -> list[tuple[int, int]]:
    """What MONAI adds before and behind each axis of an image that is smaller than a window."""
    missing = [max(window - n, 0) for n, window in zip(size, roi, strict=True)]
    return [(n // 2, n - n // 2) for n in missing]


def places_of(inferer: SlidingWindowInferer, size: Sequence[int]) -> list[Place]:
    """Where the windows lie in an image of this size, padded to a window at least, in MONAI's order."""
    roi = tuple(int(n) for n in inferer.roi_size)
    overlap = inferer.overlap
    shares = [float(overlap)] * len(roi) if isinstance(overlap, float | int) else [float(n) for n in overlap]
    full = tuple(max(n, window) for n, window in zip(size, roi, strict=True))
    steps = tuple(
        window if window == n else max(1, int(window * (1 - share)))
        for n, window, share in zip(full, roi, shares, strict=True)
    )
    return [tuple(place) for place in dense_patch_slices(full, roi, steps)]


def joined(
    inferer: SlidingWindowInferer,
    network: nn.Module,
    batch: Tensor,
    inside: NDArray[np.bool_] | None = None,
    empty: Callable[[int], NDArray[np.float32]] = lambda channels: np.zeros(channels, dtype=np.float32),
    told: Callable[[float], None] = lambda share: None,
) -> Joined | None:
    """The network's output over an image (1, C, ...); None where that cannot be had here.

    That is where no window holds anything of `inside`, or where the network gives other than one image of the window's
    size.

    Parameters
    ----------
    inferer
        For which `is_plain` holds.
    network
        A module, or an engine in its place.
    inside
        Where the patient is; windows without are not computed. None computes every window.
    empty
        What a window that is not computed counts for, by the number of channels.
    told
        Called with the share done.
    """
    size = tuple(int(n) for n in batch.shape[2:])
    roi = tuple(int(n) for n in inferer.roi_size)
    padding = padding_of(size, roi)
    image = _padded(batch.float(), padding, inferer.cval)
    mask = None if inside is None else np.pad(inside, padding)
    places = places_of(inferer, size)
    wanted = [place for place in places if mask is None or bool(mask[place].any())]
    weight = _weight(inferer, roi, tuple(image.shape[2:]))
    count = np.zeros(image.shape[2:], dtype=np.float32)
    for place in places:
        count[place] += weight
    total: NDArray[np.float32] | None = None
    buffer: NDArray[np.float32] | None = None
    each: Each = getattr(network, "each", None) or (lambda windows: map(network, windows))
    outputs = iter(each(image[(slice(None), slice(None), *place)] for place in wanted))
    forward_s = 0.0
    for number, place in enumerate(wanted):
        began = time.monotonic()
        output = next(outputs)
        forward_s += time.monotonic() - began
        if not isinstance(output, Tensor) or output.shape[0] != 1 or tuple(output.shape[2:]) != roi:
            return None
        values = output[0].float().numpy()
        if total is None or buffer is None:
            total, buffer = np.zeros((len(values), *image.shape[2:]), dtype=np.float32), np.empty_like(values)
        part = total[(slice(None), *place)]
        part += np.multiply(values, weight, out=buffer)
        told((number + 1) / len(wanted))
    if total is None:
        return None
    if len(wanted) < len(places):
        background = empty(len(total))
        left_out = [place for place in places if mask is not None and not mask[place].any()]
        for channel, value in zip(total, background, strict=True):
            for place in left_out if value else ():
                channel[place] += value * weight
    total /= count
    whole = total[(slice(None), *(slice(a, a + n) for (a, _), n in zip(padding, size, strict=True)))]
    return Joined(torch.from_numpy(np.ascontiguousarray(whole))[None], forward_s, len(wanted), len(places))


def _padded(batch: Tensor, padding: Sequence[tuple[int, int]], value: float) -> Tensor:
    """The image, at least as large as a window."""
    if not any(before or behind for before, behind in padding):
        return batch
    flat = [n for pair in reversed(padding) for n in pair]
    return torch.nn.functional.pad(batch, flat, value=value)


def _weight(inferer: SlidingWindowInferer, roi: tuple[int, ...], size: tuple[int, ...]) -> NDArray[np.float32]:
    """How much each voxel of a window counts."""
    weight = compute_importance_map(
        get_valid_patch_size(size, roi),
        mode=inferer.mode,
        sigma_scale=inferer.sigma_scale,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    return np.asarray(weight.numpy(), dtype=np.float32)
