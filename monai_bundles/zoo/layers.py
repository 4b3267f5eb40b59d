"""The two small parts of torchvision that MONAI's detectors are built with, for where torchvision is not installed.

The names of the weights are the same either way: the layers keep theirs.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from types import SimpleNamespace

import torch

__all__ = ["LayerOutputs", "stand_in_for_torchvision"]


class LayerOutputs(torch.nn.ModuleDict):
    """A network up to the last layer that is asked for; gives the outputs of those asked for, by their new names.

    Parameters
    ----------
    model
        Whose layers are called one after the other.
    return_layers
        New name of each layer whose output is wanted, by the layer's own name.

    Raises
    ------
    ValueError
        A layer is asked for that is not there.
    """

    def __init__(self, model: torch.nn.Module, return_layers: Mapping[str, str]) -> None:
        layers = dict(model.named_children())
        missing = sorted(set(return_layers) - set(layers))
        if missing:
            raise ValueError(f"The network has no layer {missing[0]}.")
        order = list(layers)
        last = max(order.index(name) for name in return_layers)
        super().__init__({name: layers[name] for name in order[: last + 1]})
        self.return_layers = dict(return_layers)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """The outputs by their new names."""
        found = {}
        for name, layer in self.items():
            image = layer(image)
            if name in self.return_layers:
                found[self.return_layers[name]] = image
        return found


def stand_in_for_torchvision() -> bool:
    """Give MONAI's detectors their own parts where torchvision is not installed; whether that was done."""
    if importlib.util.find_spec("torchvision") is not None:
        return False
    backbones = importlib.import_module("monai.networks.blocks.backbone_fpn_utils")
    detectors = importlib.import_module("monai.apps.detection.networks.retinanet_network")
    backbones.torchvision_models = SimpleNamespace(  # type: ignore[attr-defined]
        _utils=SimpleNamespace(IntermediateLayerGetter=LayerOutputs)
    )
    detectors._validate_trainable_layers = _trainable_layers  # type: ignore[attr-defined]
    return True


def _trainable_layers(_pretrained: bool, trainable: int | None, max_value: int, default_value: int) -> int:
    """How many layers may be trained: without meaning here, where nothing is."""
    return min(max_value, default_value if trainable is None else trainable)
