"""Looks on while a network runs: what it was given, what it gave, and the first thing that did not fit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["Seen", "answering", "tensors_in", "watched"]

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


@dataclass(eq=False)
class Seen:
    """What was seen of a network.

    Parameters
    ----------
    given
        Shape (N, C, ...) of the first input.
    gave
        The first output, as it came.
    takes_channels, got_channels
        Of the first convolution that was called with another number of channels than it takes.
    shapes
        Shape of the output (without N) by that of the input.
    is_finite
        Whether all values of all outputs are numbers.
    """

    given: tuple[int, ...] = ()
    gave: Any = None
    takes_channels: int = 0
    got_channels: int = 0
    shapes: dict[tuple[int, ...], tuple[int, ...]] = field(default_factory=dict)
    is_finite: bool = True


@contextmanager
def watched(network: torch.nn.Module) -> Iterator[Seen]:
    """Look on meanwhile."""
    seen = Seen()

    def before(_module: Any, inputs: tuple[Any, ...]) -> None:
        first = next(tensors_in(inputs), None)
        if not seen.given and first is not None and not first.is_meta:
            seen.given = tuple(first.shape)

    def at_convolution(module: Any, inputs: tuple[Any, ...]) -> None:
        got = int(inputs[0].shape[1]) if inputs and inputs[0].ndim > 1 else 0
        if not seen.takes_channels and got != module.in_channels and not inputs[0].is_meta:
            seen.takes_channels, seen.got_channels = module.in_channels, got

    def after(_module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        found = list(tensors_in(output))
        if any(tensor.is_meta for tensor in found):
            return  # the memory of a run is estimated with tensors that hold nothing
        seen.is_finite &= all(bool(torch.isfinite(t).all()) for t in found if t.is_floating_point())
        seen.gave = output if seen.gave is None else seen.gave
        first = next(tensors_in(inputs), None)
        if first is not None and isinstance(output, torch.Tensor):
            seen.shapes[tuple(first.shape[1:])] = tuple(output.shape[1:])

    hooks = [network.register_forward_pre_hook(before), network.register_forward_hook(after)]
    hooks += [m.register_forward_pre_hook(at_convolution) for m in network.modules() if isinstance(m, CONVOLUTIONS)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def answering(
    network: torch.nn.Module, seen: Seen, answer: Callable[[tuple[int, ...]], torch.Tensor]
) -> Iterator[None]:
    """The network gives other values of the shapes that were seen, without computing them.

    Parameters
    ----------
    answer
        From the shape (C, ...) of an output to its values.
    """
    own = network.forward
    was_replaced = "forward" in vars(network)

    def forward(image: torch.Tensor, *arguments: Any, **named: Any) -> Any:
        shape = seen.shapes.get(tuple(image.shape[1:]))
        if shape is None or image.is_meta:
            return own(image, *arguments, **named)
        return answer(shape).expand(len(image), *shape).clone()

    network.forward = forward
    try:
        yield
    finally:
        del network.forward
        if was_replaced:
            network.forward = own


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested lists and dictionaries."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from tensors_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from tensors_in(inner)
