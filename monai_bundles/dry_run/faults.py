"""Says what a failed try means, and which entry is wrong: an exception of a library names none."""

import traceback
from typing import Any

import torch

from monai_bundles.bundle import Bundle
from monai_bundles.dry_run.watching import Seen, tensors_in
from monai_bundles.errors import (
    BundleError,
    BundleFailed,
    UnlabelledOutput,
    WrongChannels,
    WrongDimensions,
    WrongOutput,
)

__all__ = ["explained", "wrong_form"]

BOXES = frozenset({"box", "boxes", "pred_boxes"})

PREPROCESSING = frozenset({"preprocessed", "_preprocess"})
"""Functions of the two runners that call a bundle's preprocessing."""

KIND_OF = {"boxes": "boxes", "scores": "scores"}
"""What a network gives for each form of output; an image for all others."""


def explained(bundle: Bundle, error: BundleError, seen: Seen, dims: int) -> BundleError:
    """The error with the entry that is wrong, where what was seen of the network tells it; else the same."""
    if seen.takes_channels and seen.given and seen.got_channels == seen.given[1]:
        return WrongChannels(
            f"The network of bundle {bundle.name} takes {seen.takes_channels} channels, and `inputs` in "
            f"configs/radgate.json give {seen.got_channels} after its preprocessing; correct `inputs`, or in_channels "
            "of network_def in its configuration.",
            expected=seen.takes_channels,
            got=seen.got_channels,
        )
    wrong = wrong_form(bundle, seen, dims)
    if wrong is not None:
        return wrong
    unknown = error.fields.get("labels", ()) if isinstance(error, WrongOutput) else ()
    if unknown:
        channels = next((int(t.shape[1]) for t in tensors_in(seen.gave) if t.ndim > 1), 0)
        return UnlabelledOutput(
            f"The network of bundle {bundle.name} (output channels: {channels}) can give the label {unknown[0]}, which "
            "neither `structures` in configs/radgate.json nor `channel_def` in configs/metadata.json names; name it.",
            labels=list(unknown),
            channels=channels,
        )
    if not isinstance(error, BundleFailed):
        return error
    kind = error.fields.get("kind", "")
    if seen.given and len(seen.given) - 2 not in {dims, 0}:
        return WrongDimensions(
            f"The network of bundle {bundle.name} has {dims} spatial dimensions, and its preprocessing gives images "
            f"with {len(seen.given) - 2}; correct network_def or `preprocessing` in its configuration.",
            network=dims,
            got=len(seen.given) - 2,
        )
    if bundle.output == "boxes" and not seen.given:
        return WrongOutput(
            "`output.form` in configs/radgate.json says boxes, and the configuration defines no detector that gives "
            "some; correct it."
        )
    entry = _entry(error, seen)
    return BundleFailed(
        f"Bundle {bundle.name} fails on a made image of what it declares to take, in `{entry}` of its configuration "
        f"({kind}); correct it, or `inputs` in configs/radgate.json.",
        entry=entry,
        kind=kind,
    )


def _entry(error: BundleError, seen: Seen) -> str:
    """The part of the configuration in which it came to the error."""
    if seen.given:
        return "network_def" if seen.gave is None else "postprocessing"
    trace = error.__cause__.__traceback__ if error.__cause__ is not None else None
    frames = traceback.extract_tb(trace)
    return "preprocessing" if any(frame.name in PREPROCESSING for frame in frames) else "inferer"


def wrong_form(bundle: Bundle, seen: Seen, dims: int) -> WrongOutput | None:
    """What is wrong where the network gives another form of output than declared; None where it gives that one."""
    kind = _kind(seen.gave, dims)
    if kind in {"", KIND_OF.get(bundle.output, "an image")}:
        return None
    return WrongOutput(
        f"`output.form` in configs/radgate.json of bundle {bundle.name} says {bundle.output}, and the network gives "
        f"{kind}; correct it.",
        form=bundle.output,
        got=kind,
    )


def _kind(output: Any, dims: int) -> str:
    """What an output is: "boxes", "scores" or "an image"; empty where it cannot be told."""
    entries = output if isinstance(output, list | tuple) else [output]
    if any(isinstance(entry, dict) and BOXES & set(entry) for entry in entries):
        return "boxes"
    first = entries[0] if entries else None
    if not isinstance(first, torch.Tensor):
        return ""  # feature maps of a detector, maps by name
    if first.ndim == 2 or (first.ndim > 2 and max(first.shape[2:]) == 1):
        return "scores"
    return "an image" if first.ndim == dims + 2 else ""
