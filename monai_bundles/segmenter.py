"""Builds the segmenter or finder of a bundle that needs no network, from its `configs/inference.json`."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from imaging.volume import Region, Volume
from monai_bundles.bundle import Bundle, Finding
from monai_bundles.config import read_inference
from monai_bundles.errors import UnknownNetwork

__all__ = ["Finder", "Found", "Segmenter", "load_finder", "load_segmenter"]


class Segmenter(Protocol):
    """Regions by TG-263 name of a volume, on its own grid; what is not there has no entry."""

    def __call__(self, volume: Volume, progress: Callable[[float, str], None] | None = None) -> dict[str, Region]:
        """The regions found."""
        ...


@dataclass(frozen=True, eq=False)
class Found:
    """Findings, their regions by the structure's name, and sentences for the reader."""

    regions: dict[str, Region]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


class Finder(Protocol):
    """Findings in a volume, with the help of other images of the study by the names of their channels."""

    def __call__(
        self, volume: Volume, companions: Mapping[str, Volume], progress: Callable[[float, str], None] | None = None
    ) -> Found:
        """What was found."""
        ...


def load_finder(bundle: Bundle) -> Finder:
    """The finder that the entry `segmenter` names.

    Raises
    ------
    UnknownNetwork
        There is no such class, or it does not take these arguments.
    """
    finder: Finder = _built(bundle)
    return finder


def load_segmenter(bundle: Bundle) -> Segmenter:
    """The callable that the entry `segmenter` names by `_target_`, built with the other entries as arguments.

    Raises
    ------
    UnknownNetwork
        There is no such class, or it does not take these arguments.
    """
    segmenter: Segmenter = _built(bundle)
    return segmenter


def _built(bundle: Bundle) -> Any:
    """The object that the configuration names.

    Raises
    ------
    UnknownNetwork
        It cannot be built.
    """
    entry: dict[str, Any] = read_inference(bundle.root).get("segmenter", {})
    target = str(entry.get("_target_", ""))
    module_name, _, class_name = target.rpartition(".")
    arguments = {key: value for key, value in entry.items() if not key.startswith("_")}
    # The registry has made sure that the target lies in this package.
    try:
        factory = getattr(importlib.import_module(module_name), class_name)
        return factory(**arguments)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UnknownNetwork(
            f"The segmenter of bundle {bundle.name} cannot be built; correct it in configs/inference.json.",
            target=target,
            reason=type(error).__name__,
        ) from error
