"""Lets a network answer everything that it could, each label somewhere, and sees that every answer has a meaning.

On a made image a network may find nothing, and a label that nobody named would show on the first patient who has it.
So its output is replaced: each of its channels wins in a part of the image, and the bundle's own postprocessing makes
labels of that.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from monai_bundles.bundle import Bundle, BundleOutput
from monai_bundles.dry_run.watching import Seen, answering
from monai_bundles.errors import UnlabelledOutput

__all__ = ["check_answers"]

ENOUGH_S = 8.0
"""A network of a hundred channels is not asked for all of them in all that time."""

CERTAIN = 12.0


def check_answers(
    bundle: Bundle, network: torch.nn.Module, seen: Seen, dims: int, run: Callable[[], BundleOutput]
) -> None:
    """Compare the labels that the network can give with those that `configs/radgate.json` names.

    Parameters
    ----------
    run
        The bundle on an image of a size that was seen.

    Raises
    ------
    UnlabelledOutput
        It cannot give one that is named.
    WrongOutput
        It can give another one.
    """
    if (
        bundle.output != "labels"
        or bundle.instances
        or not isinstance(seen.gave, torch.Tensor)
        or seen.gave.ndim != dims + 2
    ):
        return
    channels = int(seen.gave.shape[1])
    if channels == 1:
        return
    named = {s.label: s.name for s in bundle.structures}
    found: set[str] = set()
    began = time.monotonic()
    for group in _groups(channels, named, 2**dims):
        if time.monotonic() - began > ENOUGH_S:
            return
        with answering(network, seen, partial(_won_by, group)):
            output = run()
        found |= {s.name for s in output.structures}
    missing = [label for label, name in named.items() if name not in found and label >= channels]
    # Postprocessing that gives other numbers than the channels' shows it in the labels that were found.
    renumbers = any(label >= channels for label, name in named.items() if name in found)
    if missing and not renumbers:
        raise UnlabelledOutput(
            f"`structures` in configs/radgate.json of bundle {bundle.name} names the label {missing[0]}, and the "
            f"network has {channels} channels, the background among them; correct it.",
            labels=missing,
            channels=channels,
        )


def _groups(channels: int, named: dict[int, str], size: int) -> Iterator[Sequence[int]]:
    """Channels in groups of the number of parts of an image, those that nobody named first."""
    order = sorted(range(1, channels), key=lambda channel: (channel in named, channel))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _won_by(channels: Sequence[int], shape: tuple[int, ...]) -> torch.Tensor:
    """Logits (C, ...) of which each of these channels is the highest in a half along every axis."""
    values = torch.full(shape, -CERTAIN)
    sides = [(slice(0, n // 2), slice(n // 2, n)) for n in shape[1:]]
    parts: Iterator[tuple[slice, ...]] = itertools.product(*sides)
    for channel, part in zip(channels, parts, strict=False):
        values[channel][part] = CERTAIN
    return values
