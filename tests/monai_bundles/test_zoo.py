"""Bundles in the Model Zoo's layout give the planted answer on the source's voxels, whatever their traps."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monai_bundles as mb
from imaging.volume import Volume
from monai_bundles import errors
from monai_bundles.adding.add import add
from tests.monai_bundles.making import GRIDS, make_volume
from tests.monai_bundles.zoo_making import (
    HIGH,
    LOW,
    make_zoo_bundle,
    post,
    pre,
    threshold_network,
    threshold_state,
)

SPACING = {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"}
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
INVERT = {
    "_target_": "Invertd",
    "keys": "pred",
    "transform": "@preprocessing",
    "orig_keys": "image",
    "nearest_interp": False,
    "to_tensor": True,
}


def added(tmp_path: Path, *, trust: bool = False, **changes: Any) -> mb.Bundle:
    """A planted bundle, taken in."""
    return add(str(make_zoo_bundle(tmp_path, **changes)), tmp_path / "library", trust=trust).bundle


def masks(bundle: mb.Bundle, volume: Volume, **options: Any) -> dict[str, Any]:
    """What a run gives, by name."""
    output = mb.run_bundle(bundle, volume, device="cpu", **options)
    return {s.name: s.region.mask() for s in output.structures}


def overlap(a: Any, b: Any) -> float:
    """Dice."""
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


@pytest.fixture
def volume() -> Volume:
    """The planted image on an oblique grid."""
    return make_volume(GRIDS["oblique"]())


def smooth_volume(name: str = "oblique, flipped") -> Volume:
    """A ball of high values in a sea of middle ones, smooth enough to be resampled."""
    grid = GRIDS[name]()
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    distance_mm = np.linalg.norm((indices - np.array([6.2, 10.4, 9.1])) * grid.spacing_mm, axis=-1)
    return make_volume(grid, np.round(900 - 100 * distance_mm).astype(np.int16))


@pytest.mark.parametrize("grid", GRIDS)
def test_labels_come_back_voxel_for_voxel(tmp_path: Path, grid: str) -> None:
    volume = make_volume(GRIDS[grid]())

    found = masks(added(tmp_path), volume)

    assert np.array_equal(found["Spleen"], volume.array > HIGH)
    assert np.array_equal(found["Lung_L"], volume.array < LOW)


def _prefixed() -> dict[str, Any]:
    return {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in threshold_state().items()}}


CHECKPOINTS: dict[str, dict[str, Any]] = {
    "bare": {},
    "model": {"state": {"model": threshold_state()}},
    "net": {"state": {"net": threshold_state()}},
    "state_dict of a parallel training": {"state": _prefixed()},
    "another file name": {
        "weights": "models/dynunet_FT.pt",
        "config": {
            "handlers": [],
            "ckpt_path": "$@bundle_root + '/models/dynunet_FT.pt'",
            "checkpointloader": {
                "_target_": "CheckpointLoader",
                "load_path": "@ckpt_path",
                "load_dict": {"model": "@network"},
            },
        },
    },
    "no loader": {"config": {"handlers": []}},
    "load_state_dict": {
        "config": {
            "handlers": [],
            "checkpoint": "$os.path.join(@bundle_root, 'models', 'model.pt')",
            "initialize": ["$@network.load_state_dict(torch.load(@checkpoint, map_location=@device))"],
        }
    },
}


@pytest.mark.parametrize("trap", CHECKPOINTS)
def test_weights_are_found_in_every_form_of_checkpoint(tmp_path: Path, volume: Volume, trap: str) -> None:
    found = masks(added(tmp_path, **CHECKPOINTS[trap]), volume)

    assert np.array_equal(found["Spleen"], volume.array > HIGH)


@pytest.mark.parametrize("entry", ["run", "evaluating", "inference", "inferring", "eval"])
def test_the_name_of_the_entry_does_not_matter(tmp_path: Path, volume: Volume, entry: str) -> None:
    found = masks(added(tmp_path, entry=entry), volume)

    assert np.array_equal(found["Spleen"], volume.array > HIGH)


CONFIGS: dict[str, dict[str, Any]] = {
    "yaml": {"suffix": "yaml"},
    "removed transform": {
        "config": {
            "preprocessing": {
                "_target_": "Compose",
                "transforms": [
                    {"_target_": "LoadImaged", "keys": "image"},
                    {"_target_": "AddChanneld", "keys": "image"},
                ],
            }
        }
    },
    "hard-coded cuda": {
        "config": {
            "device": "$torch.device('cuda')",
            "inferer": {
                "_target_": "SlidingWindowInferer",
                "roi_size": [16, 16, 16],
                "sw_batch_size": 1,
                "overlap": 0.25,
                "sw_device": "$torch.device('cuda:0')",
                "device": "cuda:0",
            },
        }
    },
    "np.product": {
        "config": {
            "patch": [4, 2, 2],
            "inferer": {
                "_target_": "SlidingWindowInferer",
                "roi_size": "$[int(np.product(@patch))] * 3",
                "overlap": 0.25,
            },
        }
    },
    "transforms in a list of their own": {
        "config": {
            "preprocessing_transforms": pre()["transforms"],
            "extra_transforms": [{"_target_": "EnsureTyped", "keys": "image"}],
            "preprocessing": {
                "_target_": "Compose",
                "transforms": "$@preprocessing_transforms + @extra_transforms",
            },
        }
    },
    "a switch": {
        "config": {
            "coarse": False,
            "preprocessing": {
                "_target_": "Compose",
                "transforms": [
                    {"_target_": "LoadImaged", "keys": "image", "_disabled_": "@coarse"},
                    {"_target_": "EnsureChannelFirstd", "keys": "image"},
                    {**SPACING, "_disabled_": "$not @coarse"},
                ],
            },
        }
    },
    "no evaluator": {"config": {"evaluator": None, "dataloader": None, "dataset": None, "run": None}},
    "no postprocessing but the network's own channels": {"config": {"postprocessing": None, "evaluator": None}},
    "no standard properties": {"config": {"dataset_dir": None, "datalist": None, "dataset": None, "dataloader": None}},
}


@pytest.mark.parametrize("trap", CONFIGS)
def test_configurations_with_traps_give_the_planted_answer(tmp_path: Path, volume: Volume, trap: str) -> None:
    found = masks(added(tmp_path, **deepcopy(CONFIGS[trap])), volume)

    assert np.array_equal(found["Spleen"], volume.array > HIGH)
    assert np.array_equal(found["Lung_L"], volume.array < LOW)


@pytest.mark.parametrize(
    "postprocessing",
    [
        post(),
        post(ARGMAX, INVERT),
        post(ARGMAX),
        post(ARGMAX, {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1, 2]}, INVERT),
    ],
    ids=["softmax, inverse, argmax", "argmax, linear inverse", "no inverse", "largest part"],
)
def test_a_resampled_ball_stays_in_place_and_labels_stay_whole(tmp_path: Path, postprocessing: dict[str, Any]) -> None:
    volume = smooth_volume()
    config = {"preprocessing": pre(SPACING), "postprocessing": postprocessing}

    found = masks(added(tmp_path, config=config), volume)["Spleen"]

    truth = volume.array > HIGH
    shift = (np.argwhere(found).mean(axis=0) - np.argwhere(truth).mean(axis=0)) * volume.grid.spacing_mm
    assert overlap(found, truth) > 0.88
    assert np.abs(shift).max() < 0.8, "half of a voxel of the network"


def test_removed_arguments_are_dropped_and_told(tmp_path: Path) -> None:
    pytest.importorskip("einops")
    import torch
    from monai.networks.nets import SwinUNETR

    torch.manual_seed(3)
    settings = {"in_channels": 1, "out_channels": 3, "feature_size": 12, "depths": [1, 1, 1, 1], "num_heads": [1] * 4}
    network = {"_target_": "SwinUNETR", "img_size": [64, 64, 64], **settings, "use_checkpoint": False}
    config = {
        "network_def": network,
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [64, 64, 64], "overlap": 0.0},
    }
    bundle = added(tmp_path, config=config, state=SwinUNETR(**settings).state_dict())

    output = mb.run_bundle(bundle, make_volume(GRIDS["coronal"]()), device="cpu")

    assert any("swin-unetr-img-size" in sentence for sentence in output.warnings)


def test_a_network_whose_package_is_missing_is_refused_by_the_packages_name(tmp_path: Path) -> None:
    import importlib.util

    if importlib.util.find_spec("einops") is not None:
        pytest.skip("einops is installed here")
    network = {"_target_": "SwinUNETR", "img_size": [32, 32, 32], "in_channels": 1, "out_channels": 3}

    with pytest.raises(errors.MissingPackages, match="einops"):
        added(tmp_path, config={"network_def": network})


@pytest.mark.parametrize(
    "inferer",
    [
        {"_target_": "SliceInferer", "roi_size": [16, 16], "spatial_dim": 2},
        {"_target_": "SimpleInferer"},
        {"_target_": "SlidingWindowInferer", "roi_size": [16, 16], "overlap": 0.25},
    ],
    ids=lambda i: i["_target_"],
)
def test_a_two_dimensional_network_runs_plane_by_plane(tmp_path: Path, volume: Volume, inferer: dict[str, Any]) -> None:
    preprocessing = {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
        ],
    }
    config = {"network_def": threshold_network(2), "inferer": inferer, "preprocessing": preprocessing}

    found = masks(added(tmp_path, state=threshold_state(2), config=config), volume)

    assert np.array_equal(found["Spleen"], volume.array > HIGH)


def test_labels_without_a_meaning_are_refused_on_the_way_out(tmp_path: Path, volume: Volume) -> None:
    root = make_zoo_bundle(tmp_path)
    bundle = add(str(root), tmp_path / "library").bundle
    path = bundle.root / "configs" / "radgate.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["structures"] = [{"label": 1, "name": "Spleen"}, {"label": 7, "name": "Lung_L"}]
    path.write_text(json.dumps(content), encoding="utf-8")

    from monai_bundles.registry import load_bundle

    with pytest.raises(errors.WrongOutput, match="label 2"):
        mb.run_bundle(load_bundle(bundle.root), volume)


def test_equal_input_gives_equal_output(tmp_path: Path) -> None:
    bundle = added(tmp_path, config={"preprocessing": pre(SPACING)})
    volume = smooth_volume()

    first, second = masks(bundle, volume), masks(bundle, volume)

    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_progress_is_told_and_ends_at_one(tmp_path: Path, volume: Volume) -> None:
    shares: list[float] = []

    mb.run_bundle(added(tmp_path), volume, progress=lambda share, _: shares.append(share), device="cpu")

    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_grey_image_is_given_three_times_to_a_network_made_for_colours(tmp_path: Path, volume: Volume) -> None:
    import torch

    weight = torch.tensor([0.0, 0.05, -0.05]).reshape(3, 1, 1, 1).repeat(1, 3, 1, 1) / 3
    state = {"weight": weight, "bias": torch.tensor([0.0, -0.05 * HIGH, 0.05 * LOW])}
    config = {
        "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": 3, "kernel_size": 1},
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "AsChannelFirstd", "keys": "image"},
            ],
        },
        "inferer": {"_target_": "SimpleInferer"},
    }

    addition = add(str(make_zoo_bundle(tmp_path, config=config, state=state)), tmp_path / "library")

    assert any("colours" in note for note in addition.notes)
    assert np.array_equal(masks(addition.bundle, volume)["Spleen"], volume.array > HIGH)


def test_labels_under_another_key_and_outputs_in_a_dictionary_are_read(tmp_path: Path, volume: Volume) -> None:
    root = make_zoo_bundle(
        tmp_path,
        config={
            "network_def": {"_target_": "scripts.branches.Branches"},
            "preprocessing": pre(),
            "postprocessing": post(
                {"_target_": "FlattenSubKeysd", "keys": "pred", "sub_keys": ["kind", "edge"], "delete_keys": True},
                {"_target_": "AsDiscreted", "keys": "kind", "argmax": True},
                {"_target_": "CopyItemsd", "keys": "kind", "names": "type_map"},
            ),
        },
        state={f"convolution.{k}": v for k, v in threshold_state().items()},
    )
    (root / "scripts").mkdir()
    (root / "scripts" / "__init__.py").write_text("", encoding="utf-8")
    (root / "scripts" / "branches.py").write_text(
        "import torch\n\n\nclass Branches(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.convolution = torch.nn.Conv3d(1, 3, 1)\n\n"
        "    def forward(self, x):\n        y = self.convolution(x)\n        return {'kind': y, 'edge': y[:, :1]}\n",
        encoding="utf-8",
    )
    bundle = add(str(root), tmp_path / "library", trust=True).bundle

    found = masks(bundle, volume)

    assert bundle.trusted
    assert np.array_equal(found["Spleen"], volume.array > HIGH)
