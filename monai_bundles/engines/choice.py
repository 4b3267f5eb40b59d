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


def choice_of(bundle_digest: str, cache: Path | None = None) -> Choice | None:
    """The choice that was made on this machine for a bundle; None where there is none, or it cannot be read."""
    try:
        content = json.loads(_file(bundle_digest, cache).read_text(encoding="utf-8"))
        trials = tuple(Trial(**trial) for trial in content["trials"])
        return Choice(str(content["engine"]), str(content["machine"]), trials)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def choose(
    bundle_digest: str, network: nn.Module, windows: Sequence[Tensor], labels: Labels, cache: Path | None = None
) -> tuple[Choice, EngineNetwork]:
    """Try every engine on these windows, keep the fastest that gives the same labels, and remember it.

    Parameters
    ----------
    bundle_digest
        Under which the choice is remembered.
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
    reference: list[NDArray[np.bool_]] = []
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
        masks = [labels(output) for output in outputs]
        reference = reference or masks
        agreement = _joined(reference, masks)
        reason = "" if agreement.is_equal else "its labels differ from those of eager PyTorch"
        trials.append(Trial(name, seconds, agreement.voxels, agreement.dice, agreement.is_equal, reason))
        built[name] = engine
    usable = [t for t in trials if t.taken and t.seconds_per_window is not None]
    best = min(usable, key=lambda t: t.seconds_per_window or 0.0)
    choice = Choice(best.engine, machine_key(), tuple(trials))
    _remember(bundle_digest, choice, cache)
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
    """Outputs, and the mean seconds a window of the fastest pass; the first pass, which warms up, is not timed."""
    with torch.inference_mode():
        outputs = [engine(window) for window in windows]
        fastest = float("inf")
        for _ in range(REPEATS):
            began = time.perf_counter()
            for window in windows:
                engine(window)
            fastest = min(fastest, (time.perf_counter() - began) / len(windows))
    return outputs, fastest


def _joined(first: list[NDArray[np.bool_]], second: list[NDArray[np.bool_]]) -> Agreement:
    """Agreement over all windows together."""
    flat = [np.concatenate([m.reshape(len(m), -1) for m in masks], axis=1) for masks in (first, second)]
    return compare(flat[0], flat[1])


def _remember(bundle_digest: str, choice: Choice, cache: Path | None) -> None:
    """Write the choice; a folder that cannot be written costs the next start a measurement, no more."""
    path = _file(bundle_digest, cache)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(choice), indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        log.warning("the choice of an engine cannot be kept: %s", error.strerror)


def _file(bundle_digest: str, cache: Path | None) -> Path:
    return (CACHE if cache is None else cache) / f"{bundle_digest[:24]}-{machine_key()}.json"


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
