"""What a network that is asked for structures by number is asked for: those that `configs/radgate.json` names.

Such an inferer takes the numbers as `class_vector`, and points that a person would click; radgate gives no points.
"""

import inspect
from typing import Any

import torch

__all__ = ["PROMPT_KEY", "asked_for", "prompt_arguments", "takes_prompts"]

NO_POINTS = ("point_coords", "point_labels")
PROMPT_KEY = "label_prompt"
"""Entry of the dictionary by which postprocessing knows what was asked for."""


def takes_prompts(inferer: Any) -> bool:
    """Whether an inferer wants to be told which structures to look for."""
    return "class_vector" in _parameters(inferer)


def asked_for(labels: tuple[int, ...], offered: Any) -> tuple[int, ...]:
    """The labels that a network is asked for: those that the bundle itself asks for where it says so, else all.

    Parameters
    ----------
    labels
        Those that `configs/radgate.json` names.
    offered
        The bundle's own list, or None.
    """
    if not isinstance(offered, list | tuple | set) or not offered:
        return labels
    known = {int(n) for n in offered}
    return tuple(n for n in labels if n in known)


def prompt_arguments(inferer: Any, labels: tuple[int, ...], device: str) -> dict[str, Any]:
    """Named arguments for an inferer that takes prompts; none for another one."""
    names = _parameters(inferer)
    if "class_vector" not in names:
        return {}
    vector = torch.tensor(labels, device=device).unsqueeze(-1)
    return {"class_vector": vector, **{name: None for name in NO_POINTS if name in names}}


def _parameters(inferer: Any) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(inferer).parameters)
    except (TypeError, ValueError):
        return frozenset()
