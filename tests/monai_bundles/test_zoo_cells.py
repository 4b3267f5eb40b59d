"""A bundle that numbers single cells in colour pictures, with a loader and a last step of its own, as `vista2d`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monai_bundles as mb
from imaging.pictures import Pictures
from monai_bundles import errors
from monai_bundles.adding.describe import describe
from monai_bundles.adding.objects import object_name
from monai_bundles.adding.requirements import missing_packages
from monai_bundles.config import read_inference
from monai_bundles.metadata import instances_of
from monai_bundles.registry import load_bundle
from monai_bundles.zoo.pictures import on_picture
from tests.monai_bundles.colour_making import LIMITS, is_red
from tests.monai_bundles.zoo_making import make_zoo_bundle, metadata
from tests.synthetic.pictures import coloured

CODE = '''
import numpy as np
from monai.transforms import MapTransform
from scipy import ndimage


class LoadTiffd(MapTransform):
    """Reads files, which there are none of here: rows first, channels in front."""

    def __call__(self, data):
        raise RuntimeError("files are not read here")


class LogitsToLabelsd(MapTransform):
    """Numbers the objects, as an array without channels; each lies one row lower than its pixels."""

    def __call__(self, data):
        d = dict(data)
        for key in self.key_iterator(d):
            numbers, _ = ndimage.label(np.asarray(d[key].cpu())[0] > 0)
            d[f"{key}_centroids"] = np.zeros((2, 3))
            d[key] = np.vstack([np.zeros_like(numbers[:1]), numbers[:-1]]).astype(np.uint16)
        return d


class SaveTiffExd(MapTransform):
    """Writes files."""

    def __init__(self, output_dir, output_ext=".png", output_postfix="seg", *args, **kwargs):
        raise RuntimeError("savers are not built here")
'''

STEP = "scripts.components"


def cell_metadata() -> dict[str, Any]:
    """Metadata as `vista2d` writes them: three output channels that have no names."""
    content = metadata({}, task="Cell Instance Segmentation in Microscopy Images", name="Planted: Cells")
    content["description"] = "A planted model for microscopy images"
    image = {
        "type": "image",
        "format": "RGB",
        "num_channels": 3,
        "spatial_shape": [16, 16],
        "channel_def": {"0": "image"},
        "is_patch_data": True,
    }
    pred = {"type": "image", "format": "segmentation", "num_channels": 3, "spatial_shape": [16, 16]}
    content["network_data_format"] = {"inputs": {"image": image}, "outputs": {"pred": pred}}
    return content


def cell_folder(folder: Path, meta: dict[str, Any] | None = None) -> Path:
    """The bundle; its network gives what is red, and two channels that nobody looks at."""
    import torch

    image = {"keys": "@image_key"}
    config = {
        "image_key": "image",
        "channels_last": True,
        "input_dict": "${'image': '/nowhere/001_img.png'}",
        "pretrained_ckpt_path": "$@bundle_root + '/models/model.pt'",
        "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": 3, "out_channels": 3, "kernel_size": 1},
        "preprocessing_transforms": [
            {"_target_": f"{STEP}.LoadTiffd", **image},
            {"_target_": "EnsureTyped", **image, "data_type": "tensor", "dtype": "$torch.float"},
        ],
        "preprocessing": {"_target_": "Compose", "transforms": "$@preprocessing_transforms "},
        "dataset": {"_target_": "Dataset", "data": "$[@input_dict]", "transform": "@preprocessing"},
        "inferer": {
            "_target_": "SlidingWindowInfererAdapt",
            "roi_size": [16, 16],
            "sw_batch_size": 1,
            "overlap": 0.625,
            "mode": "gaussian",
            "cache_roi_weight_map": True,
            "progress": False,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "ToDeviced", "keys": "pred", "device": "cpu"},
                {"_target_": f"{STEP}.LogitsToLabelsd", "keys": "pred"},
                {"_target_": f"{STEP}.SaveTiffExd", "keys": "pred", "output_dir": "@output_dir"},
            ],
        },
        "checkpointloader": {
            "_target_": "CheckpointLoader",
            "load_path": "@pretrained_ckpt_path",
            "load_dict": {"state_dict": "@network"},
        },
    }
    weight = torch.tensor([LIMITS[:3], [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]).reshape(3, 3, 1, 1)
    state = {"state_dict": {"weight": weight, "bias": torch.tensor([LIMITS[3], 0.0, 0.0])}}
    root = make_zoo_bundle(folder, "planted_cells", config=config, meta=meta or cell_metadata(), state=state)
    (root / "scripts").mkdir()
    (root / "scripts" / "__init__.py").write_text("", encoding="utf-8")
    (root / "scripts" / "components.py").write_text(CODE, encoding="utf-8")
    return root


def test_describe_gives_the_numbered_objects_a_meaning_and_says_so(tmp_path: Path) -> None:
    content = describe(cell_folder(tmp_path)).content

    assert content["output"] == {"form": "labels", "instances": True}
    assert content["structures"] == [{"label": 1, "name": "Cell"}]
    [entry] = content["inputs"]
    assert (entry["colours"], entry["rows_first"]) == (True, True)
    assert any("each number of the label map" in note for note in content["not_guessed"])
    assert not any("cannot be told" in note for note in content["not_guessed"] if "channels" in note)


def test_every_cell_lies_on_its_pixels_though_rows_come_first(tmp_path: Path) -> None:
    root = cell_folder(tmp_path)
    describe(root).write(root)
    bundle = replace(load_bundle(root), trusted=True)
    pictures = Pictures(coloured())

    output = mb.run_bundle(bundle, pictures, device="cpu")

    lower = np.zeros(pictures.shape, dtype=bool)
    lower[:, 1:] = is_red(coloured())[:, :-1]
    [cells] = output.structures
    assert cells.name == "Cell"
    assert np.array_equal(cells.region.mask(), lower)
    right = np.zeros(pictures.shape, dtype=bool)
    right[:, :, 1:] = is_red(coloured())[:, :, :-1]
    assert not np.array_equal(right, lower), "a mix-up of rows and columns would be seen"


def test_an_output_with_rows_first_is_undone_by_its_own_affine() -> None:
    from monai.data import MetaTensor
    from torch import diag, tensor

    values = np.arange(6.0).reshape(1, 2, 3)
    output = MetaTensor(values, affine=diag(tensor([2.0, 2.0, 1.0, 1.0])))
    output.affine[:2, 3] = 0.5

    found = on_picture(output, output, (4, 6), rows_first=True)

    np.testing.assert_array_equal(found, values.repeat(2, axis=1).repeat(2, axis=2))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "Cell"),
        ({"task": "cell image segmentation", "name": "VISTA-Cell"}, "Cell"),
        ({"task": "Instance segmentation of nuclei", "name": "x"}, "Nucleus"),
        ({"task": "Instance segmentation", "name": "x"}, ""),
        ({"task": "Spleen segmentation", "name": "x"}, ""),
    ],
)
def test_only_objects_that_the_metadata_name_get_a_meaning(changes: dict[str, str], name: str) -> None:
    assert object_name({**cell_metadata(), **changes}) == name


def test_outputs_that_are_no_objects_still_need_a_meaning(tmp_path: Path) -> None:
    meta = {**cell_metadata(), "task": "Planted segmentation", "name": "Planted"}

    with pytest.raises(errors.UnlabelledOutput, match="channel_def"):
        describe(cell_folder(tmp_path, meta))


@pytest.mark.parametrize(
    ("form", "instances", "structures"),
    [("channels", True, 1), ("labels", "yes", 1), ("labels", True, 2)],
)
def test_numbered_objects_are_labels_of_one_structure(form: str, instances: Any, structures: int) -> None:
    entry = {"output": {"form": form, "instances": instances}, "structures": [{}] * structures}

    with pytest.raises(errors.BadMetadata, match="instances"):
        instances_of(entry)


def test_what_the_bundle_imports_is_named_where_it_is_missing(tmp_path: Path) -> None:
    root = cell_folder(tmp_path)
    code = root / "scripts" / "components.py"
    code.write_text("import cells_of_nowhere\n" + code.read_text(encoding="utf-8"), encoding="utf-8")

    assert missing_packages(root, read_inference(root), with_code=True) == ("cells_of_nowhere",)
