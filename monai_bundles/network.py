"""Builds the network, preprocessing and inferer that a bundle's `configs/inference.json` describes, and its weights.

Only these parts of the configuration are used, and only as data: an expression (`$...`) in them, or a target outside
MONAI and `torch.nn`, is refused. torch and MONAI are imported here and in `monai_bundles.inference`, nowhere else.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from monai_bundles.adding.judging import foreign_entries
from monai_bundles.bundle import Bundle
from monai_bundles.errors import NetworkSupportMissing, UnknownNetwork, WeightsDoNotFit
from monai_bundles.hot import HotModels
from monai_bundles.metadata import read_json
from monai_bundles.registry import check_weights

__all__ = ["NetworkParts", "load_network"]

ALLOWED_PREFIXES = ("monai.", "torch.nn.")

LOADERS = frozenset({"LoadImaged", "EnsureChannelFirstd", "EnsureTyped", "LoadImageD", "EnsureChannelFirstD"})
"""Preprocessing steps that read files: radgate hands over the image itself, with its channel in front."""

VOLUMETRIC_DIM = 5
"""Dimensions of the weights of a three-dimensional convolution."""

CHECKPOINT_KEYS = ("state_dict", "model", "net")
"""Entries under which checkpoints keep the weights, when they are not the weights themselves."""


@dataclass(frozen=True, eq=False)
class NetworkParts:
    """What a run needs: the network in evaluation mode, the steps before it, the inferer, and the activation after it.

    Parameters
    ----------
    network
        Module on its device.
    preprocessing
        Callable on a dictionary with the image under `image_key`.
    inferer
        Callable (inputs, network).
    image_key
        Key of the image in the dictionary.
    spacing_mm
        Spacing to which preprocessing resamples, along its own axes; None where it does not.
    sigmoid
        Whether the outputs are logits.
    """

    network: Any
    preprocessing: Any
    inferer: Any
    image_key: str
    spacing_mm: tuple[float, ...] | None
    sigmoid: bool


def load_network(bundle: Bundle, device: str) -> NetworkParts:
    """The bundle's parts on a device ("cpu", "cuda", ...); kept for the next call with the same weights.

    Raises
    ------
    MissingWeights, WrongHash
        See `monai_bundles.registry.verify`.
    UnknownNetwork
        The configuration describes something that does not exist here or may not be used.
    WeightsDoNotFit
        The weights belong to another network, or the file holds more than weights.
    NetworkSupportMissing
        torch or MONAI is not installed.
    """
    missing = [name for name in ("torch", "monai") if importlib.util.find_spec(name) is None]
    if missing:
        raise NetworkSupportMissing(
            f"Bundle {bundle.name} needs {' and '.join(missing)}; install radgate with the group 'ai'.", missing=missing
        )
    check_weights(bundle)
    weights = tuple(bundle.weights_sha256)
    key = (bundle.name, str(bundle.root), bundle.algorithm.bundle_digest, weights[0], device)
    return _hot.get(key, lambda: _loaded(bundle.name, bundle.root, weights, device))


def _weight_bytes(parts: NetworkParts) -> int:
    return sum(p.numel() * p.element_size() for p in parts.network.parameters())


_hot: HotModels[NetworkParts] = HotModels(_weight_bytes)


def _loaded(name: str, root: Path, weights: tuple[str, ...], device: str) -> NetworkParts:
    """The parts of a bundle.

    Raises
    ------
    UnknownNetwork
        The configuration describes something that cannot be built.
    """
    import torch
    from monai.bundle import ConfigParser

    config = read_json(root / "configs" / "inference.json")
    entry = "network_def" if "network_def" in config else "network"
    steps = config.get("preprocessing", {}).get("transforms", [])
    used = {
        "network_def": config[entry],
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [s for s in steps if isinstance(s, dict) and s.get("_target_") not in LOADERS],
        },
        "inferer": config.get("inferer", {"_target_": "SimpleInferer"}),
    }
    _refuse_code(name, used)
    parser = ConfigParser(used)
    try:
        network = parser.get_parsed_content("network_def")
        preprocessing = parser.get_parsed_content("preprocessing")
        inferer = parser.get_parsed_content("inferer")
    except Exception as error:
        # MONAI raises whatever the named class raises; every one of them means that the configuration is unusable.
        raise UnknownNetwork(
            f"Bundle {name} describes a network, preprocessing or inferer that cannot be built with this MONAI; "
            "correct its configs/inference.json.",
            kind=type(error).__name__,
        ) from error
    if not isinstance(network, torch.nn.Module) or not callable(inferer):
        raise UnknownNetwork(f"`{entry}` in configs/inference.json of bundle {name} is no network; correct it.")
    _load_weights(name, root, weights, network)
    network.to(torch.device(device)).eval()
    _lay_out_channels_last(network)
    return NetworkParts(
        network=network,
        preprocessing=preprocessing,
        inferer=inferer,
        image_key=_image_key(steps),
        spacing_mm=_target_spacing(steps),
        sigmoid=_applies_sigmoid(config.get("postprocessing", {}).get("transforms", [])),
    )


def _lay_out_channels_last(network: Any) -> None:
    """Order the weights so that convolutions are a quarter faster on a CPU; the sums are the same in another order."""
    import torch

    if any(p.dim() == VOLUMETRIC_DIM for p in network.parameters()):
        network.to(memory_format=torch.channels_last_3d)


def _load_weights(name: str, root: Path, weights: tuple[str, ...], network: Any) -> None:
    """Put the first weights file into the network.

    Raises
    ------
    WeightsDoNotFit
        They belong to another network, or the file holds more than weights.
    """
    import torch

    try:
        state = torch.load(root / weights[0], map_location="cpu", weights_only=True)
        for key in CHECKPOINT_KEYS:
            if isinstance(state, dict) and isinstance(state.get(key), dict):
                state = state[key]
                break
        network.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError, UnpicklingError, EOFError, ValueError) as error:
        raise WeightsDoNotFit(
            f"The weights {weights[0]} are not those of the network that bundle {name} defines; take weights and "
            "configuration from the same version.",
            kind=type(error).__name__,
        ) from error


def _strings(value: Any) -> Iterator[tuple[str, str]]:
    """Every string below a value with the key it stands under."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str):
                yield str(key), inner
            else:
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings({"": inner})


def _refuse_code(name: str, config: dict[str, Any]) -> None:
    """Refuse what would run code other than MONAI's own.

    Raises
    ------
    UnknownNetwork
        An expression, a reference, a foreign target or an argument that loads code is there.
    """
    for key, text in _strings(config):
        foreign = key == "_target_" and "." in text and not text.startswith(ALLOWED_PREFIXES)
        if foreign or text.startswith(("$", "@", "%")):
            raise UnknownNetwork(
                f"Bundle {name} describes its network or preprocessing with code of its own, which is not run; write "
                "it with MONAI's classes and plain values.",
                entry=key,
            )
    for where, what in foreign_entries(config):
        raise UnknownNetwork(
            f"Bundle {name} describes its network or preprocessing with {what}, which radgate does not know; write it "
            "with MONAI's classes and plain values.",
            entry=where,
        )


def _image_key(steps: list[Any]) -> str:
    """Key that the first preprocessing step works on."""
    for step in steps:
        keys = step.get("keys", "image") if isinstance(step, dict) else "image"
        return str(keys[0] if isinstance(keys, list) else keys)
    return "image"


def _target_spacing(steps: list[Any]) -> tuple[float, ...] | None:
    """Spacing of the `Spacingd` step."""
    for step in steps:
        if isinstance(step, dict) and step.get("_target_") == "Spacingd":
            return tuple(float(v) for v in step["pixdim"])
    return None


def _applies_sigmoid(steps: list[Any]) -> bool:
    """Whether postprocessing turns logits to probabilities."""
    return any(isinstance(s, dict) and s.get("_target_") == "Activationsd" and bool(s.get("sigmoid")) for s in steps)
