"""Traps that the Model Zoo's own bundles hold, each in a small bundle made here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import monai_bundles as mb
from imaging.volume import Volume
from monai_bundles import errors, memory
from monai_bundles.adding.describe import describe
from monai_bundles.checkpoint import weights_files
from monai_bundles.config import read_inference
from monai_bundles.zoo.layers import LayerOutputs, stand_in_for_torchvision
from tests.monai_bundles.making import GRIDS, make_volume
from tests.monai_bundles.test_zoo import INVERT, masks
from tests.monai_bundles.zoo_making import HIGH, USUAL_OUTPUTS, make_zoo_bundle, metadata, post, pre

SIGMOID = {"_target_": "Activationsd", "keys": "pred", "sigmoid": True}
THRESHOLD = {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}


@pytest.fixture
def volume() -> Volume:
    """The planted image on an oblique grid."""
    return make_volume(GRIDS["oblique"]())


def taken_in(root: Path, library: Path, code: str) -> mb.Bundle:
    """A bundle with code of its own, in the library."""
    from monai_bundles.adding.add import add

    (root / "scripts").mkdir()
    (root / "scripts" / "__init__.py").write_text("", encoding="utf-8")
    (root / "scripts" / "steps.py").write_text(code, encoding="utf-8")
    return add(str(root), library, trust=True).bundle


def test_a_weights_file_is_found_through_an_entry_that_holds_its_folder(tmp_path: Path) -> None:
    handlers = [
        {"_target_": "CheckpointLoader", "load_path": "$@model_dir + '/model.pt'", "load_dict": {"model": "@network"}}
    ]
    root = make_zoo_bundle(tmp_path, config={"model_dir": "$@bundle_root + '/models'", "handlers": handlers})

    assert weights_files(root, read_inference(root)) == ("models/model.pt",)


def test_meanings_are_also_read_from_label_def(tmp_path: Path) -> None:
    meta = metadata({})
    output = meta["network_data_format"]["outputs"]["pred"]
    del output["channel_def"]
    output["label_def"] = USUAL_OUTPUTS

    found = describe(make_zoo_bundle(tmp_path, meta=meta)).content["structures"]

    assert [(s["label"], s["name"]) for s in found] == [(1, "Spleen"), (2, "Lung_L")]


JOIN_AND_MERGE = '''
import numpy as np
import torch
from monai.transforms import MapTransform


class Join(MapTransform):
    """Three phases become one image; the header of the first is copied, as files once had them."""

    def __init__(self, keys):
        super().__init__(keys)

    def __call__(self, data):
        data["image"] = np.concatenate([data[key] for key in self.keys])
        data["image_meta_dict"] = data[self.keys[0] + "_meta_dict"]
        return data


class MergeClassesd(MapTransform):
    """Overlapping channels become one label map: the first one wins."""

    def __call__(self, data):
        numbers = torch.arange(len(data["pred"])).reshape(-1, 1, 1, 1)
        data["pred"] = (data["pred"] * numbers).max(dim=0, keepdim=True).values
        return data
'''


def test_series_that_the_bundle_joins_itself_reach_the_network_and_its_merged_classes_stay_apart(
    tmp_path: Path,
) -> None:
    names = ["early", "late"]
    meta = metadata({"0": "background", "1": "first phase", "2": "second phase"})
    load = {"_target_": "LoadImaged", "keys": [*names, "label"], "image_only": False}
    config = {
        "network_def": {"_target_": "torch.nn.Conv3d", "in_channels": 2, "out_channels": 3, "kernel_size": 1},
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                load,
                {"_target_": "EnsureChannelFirstd", "keys": names},
                {"_target_": "Orientationd", "keys": names, "axcodes": "LPS"},
                {"_target_": "scripts.steps.Join", "keys": names},
                {"_target_": "EnsureTyped", "keys": "image"},
            ],
        },
        "postprocessing": post(
            {**INVERT, "orig_keys": "early"},
            SIGMOID,
            THRESHOLD,
            {"_target_": "scripts.steps.MergeClassesd", "keys": "pred"},
        ),
    }
    weight = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).reshape(3, 2, 1, 1, 1)
    state = {"weight": weight, "bias": torch.tensor([5.0, -0.5, -0.5])}
    root = make_zoo_bundle(tmp_path, config=config, meta=meta, state=state)
    bundle = taken_in(root, tmp_path / "library", JOIN_AND_MERGE)
    grid = GRIDS["oblique"]()
    rng = np.random.default_rng(20261123)
    early, late = (
        make_volume(grid, np.asarray(rng.random(grid.shape) > 0.6, dtype=np.float32), unit="[hnsf'U]") for _ in range(2)
    )

    found = masks(bundle, early, companions={"late": late})

    assert np.array_equal(found["first_phase"], early.array > 0.5)
    assert np.array_equal(found["second_phase"], late.array > 0.5)
    assert (found["first_phase"] & found["second_phase"]).any()


def test_fewer_windows_at_once_come_before_smaller_ones(
    tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    from monai_bundles.adding.add import add

    inferer = {"_target_": "SlidingWindowInferer", "roi_size": [64, 64, 64], "sw_batch_size": 4, "overlap": 0.25}
    bundle = add(str(make_zoo_bundle(tmp_path, config={"inferer": inferer})), tmp_path / "library").bundle
    network = torch.nn.Conv3d(1, 3, 1)
    one, four = (memory.network_bytes(network, (n, 1, 64, 64, 64)) for n in (1, 4))
    limit = memory.WORKSPACE_BYTES + (one + four) // 2
    monkeypatch.setattr("monai_bundles.memory.available_bytes", lambda _device: limit)

    output = mb.run_bundle(bundle, volume, device="cpu")

    assert not any("windows" in sentence for sentence in output.warnings)
    assert np.array_equal(output.structures[0].region.mask(), volume.array > HIGH)


def test_layers_are_given_by_their_new_names_up_to_the_last_one_asked_for() -> None:
    network = torch.nn.Sequential()
    for name, factor in (("a", 2.0), ("b", 3.0), ("c", 5.0)):
        layer = torch.nn.Conv1d(1, 1, 1, bias=False)
        torch.nn.init.constant_(layer.weight, factor)
        network.add_module(name, layer)

    body = LayerOutputs(network, {"a": "0", "b": "1"})
    found = body(torch.ones(1, 1, 1))

    assert [(name, float(value.detach().sum())) for name, value in found.items()] == [("0", 2.0), ("1", 6.0)]
    assert sorted(body.state_dict()) == ["a.weight", "b.weight"]
    with pytest.raises(ValueError, match="no layer d"):
        LayerOutputs(network, {"d": "0"})


def test_a_detector_on_a_residual_network_is_built_without_torchvision() -> None:
    from monai.apps.detection.networks.retinanet_network import resnet_fpn_feature_extractor
    from monai.networks.nets.resnet import resnet10

    stand_in_for_torchvision()
    backbone = resnet10(spatial_dims=3, n_input_channels=1, conv1_t_stride=[2, 2, 1], conv1_t_size=[7, 7, 7])
    extractor = resnet_fpn_feature_extractor(backbone, 3, False, [1, 2], None)

    found = extractor(torch.zeros(1, 1, 48, 32, 16))

    assert [tuple(value.shape[2:]) for value in found.values()] == [(12, 8, 8), (6, 4, 4), (3, 2, 2)]
    assert any(name.startswith("body.layer1.") for name in extractor.state_dict())


PROMPTED = '''
import torch
from monai.inferers import Inferer
from monai.transforms import MapTransform


class Asked(Inferer):
    """Gives one channel for each number it is asked for: where the image lies above a hundred times the number."""

    def __init__(self):
        Inferer.__init__(self)

    def __call__(self, inputs, network, point_coords, point_labels, class_vector, labels=None):
        assert point_coords is None and point_labels is None and class_vector.shape[1:] == (1,)
        values = network(inputs)
        return torch.cat([values - 100.0 * n for n in class_vector.flatten()], dim=1)


class Numbered(MapTransform):
    """The last of the structures asked for that lies at a voxel."""

    def __call__(self, data):
        present = data["pred"] > 0
        numbers = data["label_prompt"].reshape(-1, 1, 1, 1) * present
        data["pred"] = numbers.max(dim=0, keepdim=True).values.float()
        return data
'''


def test_a_network_that_is_asked_by_number_is_asked_for_the_named_structures(tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "network_def": {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 1, "kernel_size": 1},
        "preprocessing": pre(),
        "offered": "$[n + 1 for n in range(5) if n != 1]",
        "inferer": {"_target_": "scripts.steps.Asked"},
        "postprocessing": post(
            {"_target_": "scripts.steps.Numbered", "keys": "pred"},
            {**INVERT, "transform": "$copy.deepcopy(@preprocessing)"},
        ),
        "imports": ["$import copy"],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "hyper_kwargs": {"user_prompt": True, "everything_labels": "@offered"},
        },
    }
    state = {"weight": torch.ones(1, 1, 1, 1, 1), "bias": torch.zeros(1)}
    meta = metadata({"0": "background", "1": "liver", "2": "kidney", "3": "spleen"})
    root = make_zoo_bundle(tmp_path, config=config, meta=meta, state=state)
    bundle = taken_in(root, tmp_path / "library", PROMPTED)
    grid = GRIDS["oblique, flipped"]()
    values = np.random.default_rng(7).integers(-50, 450, grid.shape).astype(np.int16)

    found = masks(bundle, make_volume(grid, values))

    assert sorted(found) == ["Liver", "Spleen"]
    assert np.array_equal(found["Spleen"], values > 300)
    assert np.array_equal(found["Liver"], (values > 100) & (values <= 300))


CLICKS = {"_target_": "AddClickSignalsd", "image": "image", "foreground": "foreground"}


@pytest.mark.parametrize(
    ("config", "form", "said"),
    [
        ({"preprocessing": pre(CLICKS)}, "segmentation", "clicks"),
        (
            {"dataset": {"_target_": "MaskedPatchWSIDataset", "transform": "@preprocessing"}},
            "segmentation",
            "whole slides",
        ),
    ],
)
def test_what_a_study_cannot_feed_or_nobody_could_deliver_is_refused_at_describe(
    tmp_path: Path, config: dict[str, Any], form: str, said: str
) -> None:
    meta = metadata(USUAL_OUTPUTS)
    meta["network_data_format"]["outputs"]["pred"]["format"] = form

    with pytest.raises(errors.NeedsMore, match=said):
        describe(make_zoo_bundle(tmp_path, config=config, meta=meta))


def test_a_bundle_that_is_one_program_is_refused_in_plain_words(tmp_path: Path) -> None:
    root = make_zoo_bundle(tmp_path)
    (root / "configs" / "inference.json").write_text('{"run": ["$scripts.inference.main(@args)"], "args": {}}')

    with pytest.raises(errors.UnknownNetwork, match="program of the bundle's own"):
        describe(root)


def test_colours_and_endoscopes_are_told_from_the_metadata(tmp_path: Path) -> None:
    meta = metadata({"0": "background", "1": "tools"}, task="Endoscopic tool segmentation", description="Planted")
    image = {"modality": "regular", "format": "RGB", "channel_def": {"0": "R", "1": "G", "2": "B", "3": "Mask"}}
    meta["network_data_format"]["inputs"]["image"].update(image)
    network = {"_target_": "torch.nn.Conv3d", "in_channels": 4, "out_channels": 2, "kernel_size": 1}

    found = describe(make_zoo_bundle(tmp_path, config={"network_def": network}, meta=meta))

    assert found.content["accepts"]["modalities"] == ["ES"]
    [entry] = found.content["inputs"]
    assert entry == {"key": "image", "channels": [{"name": "image", "modality": "ES"}], "colours": True}
