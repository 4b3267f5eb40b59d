"""What can be told of a bundle that gives points: their names, the size of planes, how a missing point is said."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monai_bundles.bundle import BundleInput
from monai_bundles.config import looked_up, targets
from monai_bundles.errors import UnlabelledOutput

__all__ = ["absence_px", "point_input", "point_names"]

MEANINGS = ("coordinate_meanings", "point_def", "landmark_def")
"""Where metadata name the points: their own entry, or one of an output."""

ABSENT_SHARE = 0.05
"""Part of the plane's smaller side within which a point near the first pixel is taken as missing."""

AXES_OF_PHASES = 4


def point_names(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The points in the network's order, each with its name.

    Raises
    ------
    UnlabelledOutput
        The metadata do not name every point once.
    """
    outputs = metadata["network_data_format"].get("outputs", {}).values()
    holders = [metadata, *(o for o in outputs if isinstance(o, dict))]
    found: dict[str, Any] = next(
        (h[key] for h in holders for key in MEANINGS if isinstance(h.get(key), dict) and h[key]), {}
    )
    words = {int(k): str(v).strip() for k, v in found.items() if str(k).isdigit()}
    numbered = sorted(words) == list(range(len(words)))
    if not words or not numbered or len(set(words.values())) < len(words) or not all(words.values()):
        raise UnlabelledOutput(
            "metadata.json does not name the points that the network gives, from 0 and each once "
            "(`coordinate_meanings`); write it there, or write configs/radgate.json by hand.",
        )
    return [{"label": number + 1, "name": words[number]} for number in sorted(words)]


def point_input(entry: BundleInput, config: dict[str, Any]) -> BundleInput:
    """The input with the size of its planes, and whether they come as one file of phases."""
    return replace(entry, phases=_takes_phases(config), size_px=_size_px(config))


def absence_px(config: dict[str, Any]) -> tuple[float, str]:
    """How near the first pixel a point means that it is missing, and a sentence to check that with the card."""
    size = _size_px(config)
    within = round(ABSENT_SHARE * min(size), 1) if size else 0.0
    said = f"Points within {within:g} pixels of the first pixel are" if within else "No point is"
    return within, f"{said} taken as missing on a plane; check `output.absent_within_px` with its card."


def _takes_phases(config: dict[str, Any]) -> bool:
    """Whether preprocessing turns the four axes of one file of phases."""
    names = {"Transpose", "Transposed"}
    turned = [e.get("indices") for _, e in targets(config) if e["_target_"].rpartition(".")[2] in names]
    return any(isinstance(axes, list) and len(axes) == AXES_OF_PHASES for axes in turned)


def _size_px(config: dict[str, Any]) -> tuple[int, ...]:
    """The size of planes where the network's definition fixes it: (channels, along the first axis, the second)."""
    for name in ("network_def", "network", "net", "model"):
        shape = looked_up(config, f"{name}::in_shape")
        if isinstance(shape, list) and len(shape) == 3 and all(isinstance(n, int) for n in shape):
            return (shape[1], shape[2])
    return ()
