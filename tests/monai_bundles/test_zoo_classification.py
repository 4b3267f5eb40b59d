"""A classifier's scores, and where in the image they come from."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import monai_bundles as mb
from tests.monai_bundles.making import GRIDS, make_volume
from tests.monai_bundles.test_zoo import added, overlap
from tests.monai_bundles.zoo_making import metadata, post


def classifier(tmp_path: Path, outputs: Mapping[str, str]) -> mb.Bundle:
    """A two-dimensional network whose second class is the mean of what lies above zero."""
    import torch

    meta = metadata(outputs, task="Planted classification", name="Planted classification")
    image = {"modality": "MG", "format": "magnitude", "spatial_shape": [16, 16]}
    meta["network_data_format"]["inputs"]["image"].update(image)
    meta["network_data_format"]["outputs"]["pred"].update(format="classification", type="probabilities")
    state = {
        "0.weight": torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1),
        "0.bias": torch.zeros(2),
    }
    layers = "$torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), "
    config = {
        "network_def": layers + "torch.nn.Flatten())",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Resized", "keys": "image", "spatial_size": [20, 24]},
            ],
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": post({"_target_": "Activationsd", "keys": "pred", "softmax": True}),
    }
    return added(tmp_path, meta=meta, config=config, state=state)


def test_a_classifier_gives_scores_and_where_they_come_from(tmp_path: Path) -> None:
    grid = GRIDS["oblique"]()
    array = np.zeros(grid.shape, dtype=np.float32)
    array[5, 3:9, 12:20] = 40.0

    output = mb.run_bundle(classifier(tmp_path, {"0": "A", "1": "B"}), make_volume(grid, array, unit="1"))

    assert [s.label for s in output.scores] == ["B", "A"]
    assert output.scores[0].value > 0.9
    assert sum(s.value for s in output.scores) == pytest.approx(1.0)
    assert output.heat_map is not None
    assert output.structures == ()
    where = output.heat_map.mask()
    assert overlap(where, array > 0) > 0.7
    assert where[5].any()
    assert not where[4].any()
