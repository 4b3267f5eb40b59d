"""Which files hold a bundle's weights, from its own configuration, and the weights inside a checkpoint."""

import re
from pathlib import Path
from typing import Any

from monai_bundles.adding.large_files import large_files
from monai_bundles.config import looked_up, targets, walk
from monai_bundles.errors import BrokenWeights, MissingWeights, WeightsDoNotFit

__all__ = ["require_finite", "state_of", "weights_files"]

SUFFIXES = (".pt", ".pth", ".ckpt")

KEYS = ("state_dict", "model", "net", "network", "model_state_dict", "params", "ema")
"""Entries under which checkpoints keep the weights, when they are not the weights themselves."""

PREFIXES = ("module.", "_orig_mod.", "network.", "model.", "net.")
"""What data-parallel and compiled training put before the names."""

MOST_REFERENCES = 5
"""Entries that refer to each other further than this go round in circles."""

LITERAL = re.compile(r"""['"]([^'"]*)['"]""")


def weights_files(root: Path, config: dict[str, Any]) -> tuple[str, ...]:
    """Paths within the bundle of the weights that a run needs, the network's own first.

    Raises
    ------
    MissingWeights
        The one that the configuration names is not there, or there is none at all.
    """
    named = _named_files(config)
    missing = [name for name in named if not (root / name).is_file()]
    if missing:
        raise MissingWeights(
            f"The weights file {missing[0]} that the configuration names is not in the bundle; put it there and try "
            "again.",
            file=missing[0],
        )
    if named:
        return tuple(named)
    models = root / "models"
    there = sorted(p for p in models.rglob("*") if p.suffix in SUFFIXES) if models.is_dir() else []
    preferred = [p for p in there if p.name == "model.pt"] or there
    if not preferred:
        listed = [e["path"] for e in large_files(root)]
        hint = f"; large_files.yml lists {listed[0]}" if listed else ""
        raise MissingWeights(f"The bundle has no weights in models/{hint}; put them there and try again.")
    return (preferred[0].relative_to(root).as_posix(),)


def _named_files(config: dict[str, Any]) -> list[str]:
    """Files that a checkpoint loader or a `torch.load` of the configuration names, in the order of their use."""
    found: list[str] = []
    loaders = [
        str(e["load_path"])
        for _, e in targets(config)
        if e["_target_"].endswith("CheckpointLoader") and "load_path" in e
    ]
    loaded = [v for _, _, v in walk(config) if isinstance(v, str) and v.startswith("$") and "torch.load(" in v]
    loaded.sort(key=lambda text: "load_state_dict" not in text)
    for text in loaders + loaded:
        name = _path_in(text, config)
        if name and name not in found:
            found.append(name)
    return [n for n in found if not n.startswith("..")]


def _path_in(text: str, config: dict[str, Any]) -> str:
    """The weights file within the bundle that an expression means, read without running it; empty where none is."""
    joined = _joined(text, config)
    start = joined.find("models/")
    path = joined[start:] if start >= 0 else joined
    return path if path.endswith(SUFFIXES) else ""


def _joined(text: str, config: dict[str, Any], depth: int = 0) -> str:
    """The pieces of a path in an expression and in what it refers to: file names, and folders kept in other entries."""
    if depth > MOST_REFERENCES:
        return ""
    source = text
    for reference in re.findall(r"@(\w+(?:(?:::|#)\w+)*)", text):
        value = looked_up(config, reference)
        if isinstance(value, str) and reference not in {"bundle_root", "device", "network", "network_def"}:
            part = _joined(value, config, depth + 1) if value.startswith(("$", "@")) else value
            source = source.replace(f"@{reference}", f"'{part}'")
    if "if " in source and " else " in source:
        source = source.split(" if ")[0]
    parts = [p for p in LITERAL.findall(source) if p]
    return "/".join(p.strip("/") for p in parts if not p.startswith(("cuda", "cpu")))


def state_of(content: Any, network: Any) -> dict[str, Any]:
    """The weights of a network in a checkpoint: bare, or under one of the usual entries, with or without prefixes.

    Raises
    ------
    WeightsDoNotFit
        There are none that the network has.
    """
    wanted = set(network.state_dict())
    candidates = [content] if isinstance(content, dict) else []
    for entry in list(candidates):
        inner = [entry[key] for key in KEYS if isinstance(entry.get(key), dict)]
        candidates += inner + [i[key] for i in inner for key in KEYS if isinstance(i.get(key), dict)]
    best: dict[str, Any] = {}
    for candidate in candidates:
        for renamed in (candidate, *(_without(candidate, prefix) for prefix in PREFIXES)):
            if len(wanted & set(renamed)) > len(wanted & set(best)):
                best = renamed
    if not best or wanted - set(best):
        raise WeightsDoNotFit(
            "The weights are not those of the network that the bundle defines; take weights and configuration from the "
            "same version.",
            missing=len(wanted - set(best)),
        )
    return {k: v for k, v in best.items() if k in wanted}


def require_finite(name: str, path: str, network: Any) -> None:
    """Refuse weights that are no numbers: the network's answer to every image would be none.

    Raises
    ------
    BrokenWeights
        A parameter is NaN or infinite, or a buffer NaN (masks of attention may be infinite).
    """
    import torch

    parameters = set(dict(network.named_parameters()))
    for entry, values in network.state_dict().items():
        if not isinstance(values, torch.Tensor) or not values.is_floating_point():
            continue
        wrong = ~torch.isfinite(values) if entry in parameters else torch.isnan(values)
        if bool(wrong.any()):
            raise BrokenWeights(
                f"The weights {path} of bundle {name} hold {int(wrong.sum())} values in {entry} that are no numbers "
                "(NaN or infinite); take them from their source again.",
                entry=entry,
            )


def _without(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The state with a prefix taken off the names that have it."""
    return {str(k).removeprefix(prefix): v for k, v in state.items()}
