"""Builds the segmenter of a bundle that needs no network, from its `configs/inference.json`."""

import importlib
from collections.abc import Callable
from typing import Any, Protocol

from imaging.volume import Region, Volume
from monai_bundles.bundle import Bundle
from monai_bundles.errors import UnknownNetwork
from monai_bundles.metadata import read_json

__all__ = ["Segmenter", "load_segmenter"]


class Segmenter(Protocol):
    """Regions by TG-263 name of a volume, on its own grid; what is not there has no entry."""

    def __call__(self, volume: Volume, progress: Callable[[float, str], None] | None = None) -> dict[str, Region]:
        """The regions found."""
        ...


def load_segmenter(bundle: Bundle) -> Segmenter:
    """The callable that the entry `segmenter` names by `_target_`, built with the other entries as arguments.

    Raises
    ------
    UnknownNetwork
        There is no such class, or it does not take these arguments.
    """
    entry: dict[str, Any] = read_json(bundle.root / "configs" / "inference.json").get("segmenter", {})
    target = str(entry.get("_target_", ""))
    module_name, _, class_name = target.rpartition(".")
    arguments = {key: value for key, value in entry.items() if not key.startswith("_")}
    # The registry has made sure that the target lies in this package.
    try:
        factory = getattr(importlib.import_module(module_name), class_name)
        segmenter: Segmenter = factory(**arguments)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UnknownNetwork(
            f"The segmenter of bundle {bundle.name} cannot be built; correct it in configs/inference.json.",
            target=target,
            reason=type(error).__name__,
        ) from error
    return segmenter
