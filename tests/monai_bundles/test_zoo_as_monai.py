"""A bundle gives the labels that MONAI's own steps give on the same image as a NIfTI file, voxel for voxel."""

import warnings
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor

import monai_bundles as mb
from imaging.geometry import Grid
from imaging.ras import affine_ras
from imaging.volume import Volume
from monai_bundles.adding.add import add
from tests.monai_bundles.making import grid_of, make_volume
from tests.monai_bundles.zoo_making import make_zoo_bundle, post, pre

ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}


def invert(*, nearest: bool) -> dict[str, Any]:
    """The step back to the source's voxels."""
    return {
        "_target_": "Invertd",
        "keys": "pred",
        "transform": "@preprocessing",
        "orig_keys": "image",
        "nearest_interp": nearest,
    }


def by_monai(config: dict[str, Any], bundle: mb.Bundle, volume: Volume, file: Path) -> Any:
    """Labels (Z, Y, X) by MONAI alone, from a file."""
    nibabel.save(nibabel.Nifti1Image(volume.array.transpose(2, 1, 0).astype(np.float32), affine_ras(volume.grid)), file)
    loaders = [{"_target_": "LoadImaged", "keys": "image"}, {"_target_": "EnsureChannelFirstd", "keys": "image"}]
    steps = config["preprocessing"]["transforms"][2:]
    parser = ConfigParser({
        **config,
        "preprocessing": {"_target_": "Compose", "transforms": [*loaders, *steps]},
        "postprocessing": {"_target_": "Compose", "transforms": config["postprocessing"]["transforms"][:-1]},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "sw_batch_size": 4, "overlap": 0.5},
    })
    network = torch.nn.Conv3d(1, 3, 1)
    network.load_state_dict(torch.load(bundle.root / "models" / "model.pt", weights_only=True))
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # MONAI's transforms warn of what they were asked to do
        data = parser.get_parsed_content("preprocessing")({"image": str(file)})
        image = data["image"]
        output = parser.get_parsed_content("inferer")(image.as_tensor()[None], network)[0]
        data["pred"] = MetaTensor(output.clone(), affine=image.affine.clone())
        labels = parser.get_parsed_content("postprocessing")(data)["pred"]
    return np.asarray(labels)[0].transpose(2, 1, 0)


def decimals(grid: Grid) -> Grid:
    """The grid as DICOM states one: six decimals of each direction."""
    return Grid(
        positions_lps=np.round(grid.positions_lps, 6),
        row_direction=np.round(grid.row_direction, 6),
        column_direction=np.round(grid.column_direction, 6),
        pixel_spacing_mm=grid.pixel_spacing_mm,
        rows=grid.rows,
        columns=grid.columns,
        frame_of_reference_uid=grid.frame_of_reference_uid,
    )


@pytest.mark.parametrize("order", ["labels", "probabilities"])
@pytest.mark.parametrize("pixdim", [[0.65, 0.7, 0.45], [2.0, 2.0, 2.0]], ids=str)
def test_labels_are_those_of_monai_on_a_nifti_file(tmp_path: Path, pixdim: list[float], order: str) -> None:
    spacing = {"_target_": "Spacingd", "keys": "image", "pixdim": pixdim, "mode": "bilinear"}
    softmax = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
    steps = [ARGMAX, invert(nearest=True)] if order == "labels" else [softmax, invert(nearest=False), ARGMAX]
    config = {"preprocessing": pre(spacing), "postprocessing": post(*steps)}
    bundle = add(str(make_zoo_bundle(tmp_path, config=config)), tmp_path / "library").bundle
    volume = make_volume(decimals(grid_of((2, 1, 0), (1, 1, 1), turned=True)))

    output = mb.run_bundle(bundle, volume, device="cpu")

    labels = np.zeros(volume.array.shape)
    for number, name in ((1, "Spleen"), (2, "Lung_L")):
        labels[next(s.region.mask() for s in output.structures if s.name == name)] = number
    assert np.array_equal(labels, by_monai(config, bundle, volume, tmp_path / "image.nii.gz"))
