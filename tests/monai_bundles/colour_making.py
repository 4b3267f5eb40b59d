"""Two tiny bundles for colour pictures whose answers are known in closed form; holds no tests."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.monai_bundles.zoo_making import make_zoo_bundle, metadata, post

__all__ = ["RED", "classifier_folder", "is_red", "red_score", "segmenter_folder"]

RED = (8.0, -3.0, 1.0)
"""Weights of the classifier: no two channels can be exchanged without another score."""

LIMITS = (1.0, -0.5, -0.7, -50.0)
"""Weights of red, green, blue and one in the segmenter."""

READ = (
    {"_target_": "LoadImaged", "keys": "image"},
    {"_target_": "EnsureChannelFirstd", "keys": "image", "channel_dim": -1},
)


def red_score(picture: NDArray[np.uint8]) -> float:
    """What the classifier gives a picture for its class "inbody"."""
    return float(1 / (1 + np.exp(-(picture.reshape(-1, 3).mean(axis=0) / 255 @ np.array(RED)))))


def is_red(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """What the segmenter outlines."""
    return np.asarray(pictures.astype(float) @ np.array(LIMITS[:3]) + LIMITS[3] > 0)


def colour_metadata(outputs: dict[str, str], task: str, kind: str) -> dict[str, Any]:
    """Metadata as the Model Zoo's endoscopic bundles write them."""
    content = metadata(outputs, task=task, name=task, description="Planted, for video frames of an endoscope")
    image = {
        "type": "magnitude",
        "format": "RGB",
        "modality": "regular",
        "num_channels": 3,
        "spatial_shape": [16, 16],
        "channel_def": {"0": "R", "1": "G", "2": "B"},
    }
    content["network_data_format"]["inputs"] = {"image": image}
    content["network_data_format"]["outputs"]["pred"].update(format=kind, type="probabilities")
    return content


def classifier_folder(folder: Path) -> Path:
    """A bundle as `endoscopic_inbody_classification`: mean colours decide."""
    import torch

    state = {"0.weight": torch.tensor([[0.0, 0.0, 0.0], RED]).reshape(2, 3, 1, 1), "0.bias": torch.zeros(2)}
    config = {
        "network_def": "$torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.AdaptiveAvgPool2d(1), "
        "torch.nn.Flatten())",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "AsChannelFirstd", "keys": "image"},
                {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": 0, "a_max": 255, "b_min": 0, "b_max": 1},
                {"_target_": "EnsureTyped", "keys": "image"},
            ],
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "AsDiscreted", "argmax": True, "to_onehot": 2, "keys": ["pred"]}],
        },
    }
    meta = colour_metadata({"0": "outbody", "1": "inbody"}, "Endoscopic inbody classification", "classification")
    return make_zoo_bundle(folder, "planted_inbody_classification", config=config, meta=meta, state=state)


def segmenter_folder(folder: Path, *steps: dict[str, Any], inverts: bool = True) -> Path:
    """A bundle as `endoscopic_tool_segmentation`: one label, made of red.

    Parameters
    ----------
    steps
        Further preprocessing.
    inverts
        Whether postprocessing undoes it.
    """
    import torch

    weight = torch.tensor([[0.0, 0.0, 0.0], LIMITS[:3]]).reshape(2, 3, 1, 1)
    invert = {
        "_target_": "Invertd",
        "keys": "pred",
        "transform": "@preprocessing",
        "orig_keys": "image",
        "nearest_interp": False,
        "to_tensor": True,
    }
    config = {
        "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": 2, "kernel_size": 1},
        "preprocessing": {"_target_": "Compose", "transforms": [*READ, *steps]},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": post(
            *([invert] if inverts else []),
            {"_target_": "AsDiscreted", "argmax": True, "to_onehot": 2, "keys": ["pred"]},
            {"_target_": "Lambdad", "keys": ["pred"], "func": "$lambda x : x[1:]"},
        ),
    }
    meta = colour_metadata({"0": "background", "1": "tools"}, "Endoscopic tool segmentation", "segmentation")
    state = {"weight": weight, "bias": torch.tensor([0.0, LIMITS[3]])}
    return make_zoo_bundle(folder, "planted_tool_segmentation", config=config, meta=meta, state=state)
