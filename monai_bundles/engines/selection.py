"""Which engine a network has: the one that was chosen on this machine, or a choice on the study's own windows, or none.

A network has one engine for all studies, whatever their size, so that equal input gives equal output. Only the network
and its windows decide whether one is looked for: light networks have none.
"""

import copy
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from monai_bundles.blending import is_plain
from monai_bundles.bundle import Bundle
from monai_bundles.engines.choice import Labels, choice_of, choose, engine_of
from monai_bundles.engines.kinds import EAGER, EngineNetwork
from monai_bundles.windows import fullest_windows

__all__ = [
    "TRIED_WINDOWS",
    "eager_only",
    "identity_of",
    "masks_of_argmax",
    "masks_of_sigmoid",
    "selected_engine",
    "warm_engine",
]

LIGHT_FLOPS = 2e9
"""Operations a window below which a network is not worth a measurement: some hundredths of a second."""

TRIED_WINDOWS = 2

CONVOLUTION_DIMENSIONS = 3
"""Fewest of a convolution's weights; the second is the number of channels."""

_eager_only: ContextVar[bool] = ContextVar("_eager_only", default=False)

KEPT = 2
"""Engines of this process that stay compiled; each holds memory for its windows."""

_Key = tuple[str, tuple[int, ...], int]

_built: OrderedDict[_Key, EngineNetwork] = OrderedDict()
"""So that a warm worker compiles once."""

_heavy: dict[_Key, bool] = {}
"""Networks of this process that were weighed, and whether they are worth an engine."""


def identity_of(bundle: Bundle) -> str:
    """Digest of a bundle and of the weights that it runs with, of which a cross-validated one has several."""
    first = next(iter(bundle.weights_sha256.items()), ("", ""))
    return hashlib.sha256("/".join((bundle.algorithm.bundle_digest, *first)).encode()).hexdigest()


def selected_engine(
    identity: str,
    network: nn.Module,
    inferer: Any,
    batch: Tensor,
    inside: NDArray[np.bool_] | None = None,
    cache: Path | None = None,
    labels: Labels | None = None,
) -> nn.Module:
    """The network, or the engine that computes it faster with the same labels.

    Parameters
    ----------
    identity
        Of the bundle and its weights.
    network
        In evaluation mode on the CPU.
    inferer
        Of the bundle.
    batch
        Image (1, C, ...).
    inside
        The body on the image's grid.
    cache
        Folder of choices; None for the user's own.
    labels
        What of an output counts; None: channels are structures, at a probability of one half.
    """
    if _eager_only.get() or not is_plain(inferer):
        return network
    shape = (1, int(batch.shape[1]), *(int(n) for n in inferer.roi_size))
    key = (identity, shape, torch.get_num_threads())
    if key in _built:
        _built.move_to_end(key)
        return _built[key]
    if not _is_heavy(key, network):
        return network
    choice = choice_of(identity, shape, cache)
    if choice is not None:
        return _kept(key, lambda: engine_of(choice, network, shape))
    tried = fullest_windows(inferer, batch, inside, TRIED_WINDOWS)
    return _kept(key, lambda: choose(identity, network, tried, labels or masks_of_sigmoid, cache)[1])


@contextmanager
def eager_only() -> Iterator[None]:
    """Runs take the network itself meanwhile, and nothing is measured."""
    token = _eager_only.set(True)
    try:
        yield
    finally:
        _eager_only.reset(token)


def warm_engine(identity: str, network: nn.Module, inferer: Any, cache: Path | None = None) -> None:
    """Build the engine that was chosen on this machine for the windows of a bundle, so that no study waits for it."""
    weights = next((p for p in network.parameters() if p.ndim >= CONVOLUTION_DIMENSIONS), None)
    if weights is None or not is_plain(inferer):
        return
    shape = (1, int(weights.shape[1]), *(int(n) for n in inferer.roi_size))
    choice = choice_of(identity, shape, cache)
    if choice is not None and choice.engine != EAGER:
        _kept((identity, shape, torch.get_num_threads()), lambda: engine_of(choice, network, shape))


def masks_of_sigmoid(output: Tensor) -> NDArray[np.bool_]:
    """Masks of a network whose channels are structures, at a probability of one half."""
    return np.asarray(output[0].float().numpy() > 0)


def masks_of_argmax(output: Tensor) -> NDArray[np.bool_]:
    """Masks of a network of which the highest channel counts; the first is the background."""
    labels = output[0].argmax(dim=0).numpy()
    return np.stack([labels == n for n in range(1, max(2, output.shape[1]))])


def _kept(key: _Key, make: Callable[[], EngineNetwork]) -> EngineNetwork:
    """An engine that is made now and stays; the one used longest ago makes room before."""
    while len(_built) >= KEPT:
        _built.popitem(last=False)
    _built[key] = make()
    return _built[key]


def _is_heavy(key: _Key, network: nn.Module) -> bool:
    """Whether a network is worth an engine: it gives one image, and computes long enough at it."""
    if key not in _heavy:
        shape = key[1]
        for device in ("meta", "cpu"):
            # On tensors without memory it is counted at once; a network that these cannot pass is run.
            try:
                tried = copy.deepcopy(network).to(device)
                with torch.inference_mode(), FlopCounterMode(display=False) as counter:
                    output = tried(torch.zeros(shape, device=device))
            except Exception:  # noqa: BLE001, S112 - a network may raise whatever it likes; then it has no engine
                continue
            is_image = isinstance(output, Tensor) and tuple(output.shape[2:]) == shape[2:]
            _heavy[key] = is_image and counter.get_total_flops() >= LIGHT_FLOPS
            break
        else:
            _heavy[key] = False
    return _heavy[key]
