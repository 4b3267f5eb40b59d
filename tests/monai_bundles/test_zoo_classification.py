"""A classifier's scores, and where in the image they come from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monai_bundles as mb
from monai_bundles.zoo.heat import heat_region
from tests.monai_bundles.making import GRIDS, make_volume
from tests.monai_bundles.test_zoo import added, overlap
from tests.monai_bundles.zoo_making import metadata, post, pre


def classifier(tmp_path: Path, outputs: Mapping[str, str], modality: str = "MG") -> mb.Bundle:
    """A two-dimensional network whose second class is the mean of what lies above zero."""
    import torch

    meta = metadata(outputs, task="Planted classification", name="Planted classification")
    image = {"modality": modality, "format": "magnitude", "spatial_shape": [16, 16]}
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


VOLUME_NETWORK = (
    "$torch.nn.Sequential(torch.nn.Conv3d(1, 2, 1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool3d(1), "
    "torch.nn.Flatten(), torch.nn.Linear(2, 2))"
)


def volume_classifier(tmp_path: Path, *steps: Mapping[str, Any]) -> mb.Bundle:
    """A three-dimensional network whose first class is the mean of what lies above zero."""
    import torch

    meta = metadata({"0": "sick", "1": "well"}, task="Planted classification", name="Planted classification")
    meta["network_data_format"]["outputs"]["pred"].update(format="classification", type="probabilities")
    state = {
        "0.weight": torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1, 1),
        "0.bias": torch.zeros(2),
        "4.weight": torch.tensor([[100.0, 0.0], [-100.0, 0.0]]),
        "4.bias": torch.zeros(2),
    }
    config = {
        "network_def": VOLUME_NETWORK,
        "preprocessing": pre(*steps),
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": post({"_target_": "Activationsd", "keys": "pred", "softmax": True}),
    }
    return added(tmp_path, meta=meta, config=config, state=state)


@pytest.mark.parametrize("grid", sorted(GRIDS))
@pytest.mark.parametrize(
    "steps",
    [
        [],
        [{"_target_": "Spacingd", "keys": "image", "pixdim": [1.1, 0.9, 1.7]}],
        [{"_target_": "CropForegroundd", "keys": "image", "source_key": "image"}],
    ],
    ids=["turned", "resampled", "cropped"],
)
def test_a_heat_map_lies_where_the_class_comes_from_however_the_image_was_turned(
    tmp_path: Path, grid: str, steps: list[dict[str, Any]]
) -> None:
    array = np.zeros(GRIDS[grid]().shape, dtype=np.float32)
    array[2:6, 3:6, 15:20] = 1000.0

    heat = mb.run_bundle(volume_classifier(tmp_path, *steps), make_volume(GRIDS[grid](), array)).heat_map

    assert heat is not None and heat.probability is not None
    assert np.abs(np.argwhere(heat.mask()).mean(axis=0) - [3.5, 4.0, 17.0]).max() < 0.6
    assert overlap(heat.mask(), array > 0) > (0.55 if "Spacingd" in str(steps) else 0.99)
    assert heat.probability.max() == pytest.approx(1.0, abs=0.3)


def test_a_map_of_an_image_that_lost_its_place_is_stretched_over_the_plane() -> None:
    import torch

    attention = np.zeros((6, 4), dtype=np.float32)
    attention[4, 1] = 1.0

    heat = heat_region(attention, torch.zeros(1, 6, 4), torch.zeros(1, 12, 12), (3, 12, 12), 2)

    assert np.argwhere(heat.mask()).mean(axis=0) == pytest.approx([2.0, 4.0, 8.5], abs=0.01)
