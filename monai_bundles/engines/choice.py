"""Chooses the engine of a network on this machine by measurement, once, and remembers the choice.

Only the labels decide whether an engine may be taken; only the time decides among those that may.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from monai_bundles.engines.agreement import Agreement, compare
from monai_bundles.engines.kinds import EAGER, ENGINES, EngineNetwork, available_engines

__all__ = ["Choice", "Trial", "choice_of", "choose", "engine_of", "machine_key"]

log = logging.getLogger(__name__)

CACHE = Path.home() / ".cache" / "radgate" / "engines"

REPEATS = 2
"""Timed passes over the windows; the fastest counts, because the machine may have other work."""

LONG_S = 3.0
"""A first pass that takes longer a window is not repeated: what it spends on warming up no longer counts."""

UNSEEN_SHARE = 1e-3
"""Largest difference of an output, as a share of eager PyTorch's highest value, where a structure is nowhere in sight:
equal labels of nothing prove nothing."""

Labels = Callable[[Tensor], NDArray[np.bool_]]
"""From a network's output for one window to masks (structures, ...)."""


@dataclass(frozen=True)
class Trial:
    """One engine on one machine.

    Parameters
    ----------
    engine
        Its name.
    seconds_per_window
        Fastest mean over the windows; None where it could not be built.
    voxels, dice
        Agreement with eager PyTorch.
    taken
        Whether it agrees enough to be taken.
    reason
        Why it could not be built, or is not taken.
    """

    engine: str
    seconds_per_window: float | None
    voxels: float
    dice: float
    taken: bool
    reason: str = ""


@dataclass(frozen=True)
class Choice:
    """The engine of a bundle on a machine, and what it was chosen from."""

    engine: str
    machine: str
    trials: tuple[Trial, ...]


def machine_key() -> str:
    """Digest of what the speed of an engine depends on: processor, threads, versions."""
    names = ("torch", "openvino", "onnxruntime")
    versions = {name: _version(name) for name in names}
    parts = [_processor(), os.cpu_count(), torch.get_num_threads(), platform.machine(), versions]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def choice_of(identity: str, shape: Sequence[int], cache: Path | None = None) -> Choice | None:
    """The choice that was made on this machine for a network; None where there is none, or it cannot be read.

    Parameters
    ----------
    identity
        Of the bundle and its weights.
    shape
        Of a window, (1, C, ...).
    cache
        Folder of choices; None for the user's own.
    """
    try:
        content = json.loads(_file(identity, shape, cache).read_text(encoding="utf-8"))
        trials = tuple(Trial(**trial) for trial in content["trials"])
        return Choice(str(content["engine"]), str(content["machine"]), trials)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def choose(
    identity: str, network: nn.Module, windows: Sequence[Tensor], labels: Labels, cache: Path | None = None
) -> tuple[Choice, EngineNetwork]:
    """Try every engine on these windows, keep the fastest that gives the same labels, and remember it.

    Parameters
    ----------
    identity
        Of the bundle and its weights, under which the choice is remembered with the shape of the windows.
    network
        In evaluation mode on the CPU.
    windows
        Of real images, each (1, C, ...), all of one shape.
    labels
        What of an output counts.
    cache
        Folder of choices; None for the user's own.
    """
    shape = tuple(windows[0].shape)
    reference: list[Tensor] = []
    trials: list[Trial] = []
    built: dict[str, EngineNetwork] = {}
    for name in available_engines():
        try:
            engine = ENGINES[name][1](network, shape)
            outputs, seconds = _timed(engine, windows)
        except Exception as error:  # noqa: BLE001 - an engine that cannot take this network is not an error of the run
            log.info("engine %s cannot take the network: %s", name, type(error).__name__)
            trials.append(Trial(name, None, 0.0, 0.0, taken=False, reason=type(error).__name__))
            continue
        reference = reference or outputs
        agreement, reason = _judged(reference, outputs, labels)
        trials.append(Trial(name, seconds, agreement.voxels, agreement.dice, not reason, reason))
        built[name] = engine
    usable = [t for t in trials if t.taken and t.seconds_per_window is not None]
    best = min(usable, key=lambda t: t.seconds_per_window or 0.0)
    choice = Choice(best.engine, machine_key(), tuple(trials))
    _remember(identity, shape, choice, cache)
    return choice, built[best.engine]


def engine_of(choice: Choice, network: nn.Module, shape: Sequence[int]) -> EngineNetwork:
    """The chosen engine for windows of a shape; eager where it can no longer be built."""
    try:
        engine: EngineNetwork = ENGINES[choice.engine][1](network, tuple(shape))
    except Exception as error:  # noqa: BLE001 - a package that was removed meanwhile must not stop a study
        log.warning("engine %s cannot be built: %s", choice.engine, type(error).__name__)
        return ENGINES[EAGER][1](network, tuple(shape))
    return engine


def _timed(engine: EngineNetwork, windows: Sequence[Tensor]) -> tuple[list[Tensor], float]:
    """Outputs, and the mean seconds a window of the fastest pass; the first, which warms up, counts only if long."""
    with torch.inference_mode():
        began = time.perf_counter()
        outputs = [output.clone() for output in engine.each(windows)]
        fastest = (time.perf_counter() - began) / len(windows)
        if fastest > LONG_S:
            return outputs, fastest
        fastest = float("inf")
        for _ in range(REPEATS):
            began = time.perf_counter()
            for _output in engine.each(windows):
                pass
            fastest = min(fastest, (time.perf_counter() - began) / len(windows))
    return outputs, fastest


def _judged(reference: list[Tensor], outputs: list[Tensor], labels: Labels) -> tuple[Agreement, str]:
    """Agreement over all windows together, and why the engine is not taken; nothing where it may be."""
    masks, expected = _side_by_side(outputs, labels), _side_by_side(reference, labels)
    agreement = compare(expected, masks)
    if not agreement.is_equal:
        return agreement, "its labels differ from those of eager PyTorch"
    if expected.any(axis=1).all():
        return agreement, ""
    pairs = list(zip(reference, outputs, strict=True))
    highest = max(1.0, *(float(a.abs().max()) for a, _ in pairs))
    difference = max(float((a - b).abs().max()) for a, b in pairs)
    # A comparison that is not a number must refuse, so that it is asked this way round.
    is_close = difference <= UNSEEN_SHARE * highest
    return agreement, "" if is_close else "its values differ, and a structure by which to judge them is not in sight"


def _side_by_side(outputs: list[Tensor], labels: Labels) -> NDArray[np.bool_]:
    """Masks (structures, voxels) of all windows."""
    masks = [labels(output) for output in outputs]
    return np.concatenate([m.reshape(len(m), -1) for m in masks], axis=1)


def _remember(identity: str, shape: Sequence[int], choice: Choice, cache: Path | None) -> None:
    """Write the choice; a folder that cannot be written costs the next start a measurement, no more."""
    path = _file(identity, shape, cache)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(asdict(choice), indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        log.warning("the choice of an engine cannot be kept: %s", error.strerror)


def _file(identity: str, shape: Sequence[int], cache: Path | None) -> Path:
    size = "x".join(str(int(n)) for n in shape[1:])
    return (CACHE if cache is None else cache) / f"{identity[:24]}-{size}-{machine_key()}.json"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """Model of the processor, as the system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
