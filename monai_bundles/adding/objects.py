"""What can be told of a bundle that numbers single objects in a picture (cells, nuclei) and names no structure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monai_bundles.bundle import BundleInput
from monai_bundles.config import targets
from monai_bundles.zoo.preparing import OWN_LOADER

__all__ = ["object_input", "object_name"]

OBJECTS = {"cell": "Cell", "cells": "Cell", "nucleus": "Nucleus", "nuclei": "Nucleus"}

NUMBERING = re.compile(r"instance|cell (image )?segmentation", re.IGNORECASE)
"""How metadata say that every object has a number of its own."""


def object_name(metadata: Mapping[str, Any]) -> str:
    """What the single objects are, where the metadata say that they are numbered; else nothing."""
    outputs = metadata["network_data_format"].get("outputs", {})
    named = any(o.get("channel_def") or o.get("label_def") for o in outputs.values() if isinstance(o, dict))
    words = " ".join(str(metadata.get(key, "")) for key in ("task", "name", "label_classes"))
    if named or len(outputs) != 1 or not NUMBERING.search(words):
        return ""
    return next((OBJECTS[w] for w in re.findall(r"[a-z]+", words.lower()) if w in OBJECTS), "")


def object_input(entry: BundleInput, config: dict[str, Any]) -> BundleInput:
    """The input as the bundle's own loader would give it: arrays of pictures have their rows first."""
    own = any(OWN_LOADER.fullmatch(e["_target_"]) for _, e in targets(config))
    return replace(entry, rows_first=own and entry.colours)
