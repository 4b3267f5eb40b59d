"""Which engine a run uses: the one that was chosen on this machine, or a choice on the run's own windows, or none."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monai_bundles.engines.choice import choice_of, choose, engine_of
from monai_bundles.engines.kinds import EAGER, EngineNetwork
from monai_bundles.windows import fullest_windows

__all__ = ["eager_only", "masks_of_argmax", "masks_of_sigmoid", "selected_engine", "warm_engine"]

WORTH_S = 10.0
"""A run that eager PyTorch does faster than this is not worth a measurement."""

TRIED_WINDOWS = 2

CONVOLUTION_DIMENSIONS = 4
"""Fewest of a convolution's weights; the second is the number of channels."""

_eager_only: ContextVar[bool] = ContextVar("_eager_only", default=False)

_built: dict[tuple[str, tuple[int, ...], int], EngineNetwork] = {}
"""Engines of this process, so that a warm worker compiles once."""


def selected_engine(
    bundle_digest: str,
    network: nn.Module,
    inferer: Any,
    batch: Tensor,
    windows: int,
    inside: NDArray[np.bool_] | None = None,
    cache: Path | None = None,
) -> nn.Module:
    """The network, or the engine that computes it faster with the same labels.

    Parameters
    ----------
    bundle_digest
        Of the bundle.
    network
        In evaluation mode on the CPU.
    inferer
        Of the bundle, with windows.
    batch
        Image (1, C, ...).
    windows
        How many windows will be computed.
    inside
        The body on the image's grid.
    cache
        Folder of choices; None for the user's own.
    """
    first = [] if _eager_only.get() else fullest_windows(inferer, batch, inside, 1)
    if not first:
        return network
    shape = tuple(int(n) for n in first[0].shape)
    key = (bundle_digest, shape, torch.get_num_threads())
    if key in _built:
        return _built[key]
    choice = choice_of(bundle_digest, cache)
    if choice is not None:
        engine = engine_of(choice, network, shape)
    else:
        if _eager_seconds(network, first[0]) * windows < WORTH_S:
            return network
        tried = fullest_windows(inferer, batch, inside, TRIED_WINDOWS)
        _, engine = choose(bundle_digest, network, tried, masks_of_sigmoid, cache)
    _built.clear()
    _built[key] = engine
    return engine


@contextmanager
def eager_only() -> Iterator[None]:
    """Runs take the network itself meanwhile, and nothing is measured."""
    token = _eager_only.set(True)
    try:
        yield
    finally:
        _eager_only.reset(token)


def warm_engine(bundle_digest: str, network: nn.Module, inferer: Any, cache: Path | None = None) -> None:
    """Build the engine that was chosen on this machine for the windows of a bundle, so that no study waits for it."""
    choice = choice_of(bundle_digest, cache)
    window = getattr(inferer, "roi_size", None)
    weights = next((p for p in network.parameters() if p.ndim >= CONVOLUTION_DIMENSIONS), None)
    if choice is None or choice.engine == EAGER or weights is None or not isinstance(window, list | tuple):
        return
    if min(window) > 0:
        shape = (1, int(weights.shape[1]), *(int(n) for n in window))
        _built.clear()
        _built[bundle_digest, shape, torch.get_num_threads()] = engine_of(choice, network, shape)


def masks_of_sigmoid(output: Tensor) -> NDArray[np.bool_]:
    """Masks of a network whose channels are structures, at a probability of one half."""
    return np.asarray(output[0].float().numpy() > 0)


def masks_of_argmax(output: Tensor) -> NDArray[np.bool_]:
    """Masks of a network of which the highest channel counts; the first is the background."""
    labels = output[0].argmax(dim=0).numpy()
    return np.stack([labels == n for n in range(1, output.shape[1])])


def _eager_seconds(network: nn.Module, window: Tensor) -> float:
    with torch.inference_mode():
        began = time.perf_counter()
        network(window)
        return time.perf_counter() - began
