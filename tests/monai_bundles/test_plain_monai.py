"""The shipped network's `inference.json` is complete: MONAI alone runs it from a file, with the runner's answer."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

import monai_bundles as mb
from imaging.ras import affine_ras
from imaging.testing.phantom import make_phantom
from imaging.volume import Volume
from monai_bundles import inference
from monai_bundles.registry import SHIPPED, load_bundle
from monai_bundles.restore import restore
from monai_bundles.seal import seal

pytestmark = [
    pytest.mark.slow,
    # MONAI 1.6 tries every reader when it builds LoadImaged and warns of an optional one that is not installed.
    pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader:UserWarning"),
]

NAME = "head_neck_ct_oar_segmentation"


@pytest.fixture(scope="module")
def neck() -> Volume:
    """A small part of the digital patient, at a spacing near the network's own so that no block means are taken."""
    volume = make_phantom(shape=(160, 140, 150), seed=4).volume
    planes, rows, columns = slice(66, 101), slice(37, 99), slice(41, 108)
    corner = [volume.grid.points_lps(k, [[columns.start, rows.start]])[0] for k in range(planes.start, planes.stop)]
    grid = replace(volume.grid, positions_lps=np.array(corner), rows=62, columns=67)
    return Volume(np.ascontiguousarray(volume.array[planes, rows, columns]), grid, unit=volume.unit)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle with random weights and without clean-up, so that every voxel of the output counts."""
    root = tmp_path_factory.mktemp("site") / NAME
    shutil.copytree(SHIPPED / NAME, root, ignore=shutil.ignore_patterns("models"))
    (root / "models").mkdir()
    config = ConfigParser()
    config.read_config(root / "configs" / "inference.json")
    torch.manual_seed(11)
    network = config.get_parsed_content("network_def")
    state = network.state_dict()
    torch.save(state, root / "models" / "model.pt")
    radgate = (root / "configs" / "radgate.json").read_text(encoding="utf-8")
    start = radgate.index('"postprocessing"')
    (root / "configs" / "radgate.json").write_text(radgate[:start] + '"postprocessing": {}\n}\n', encoding="utf-8")
    seal(root)
    return root


def by_monai(root: Path, volume: Volume, folder: Path) -> Any:
    """(7, Z, Y, X) masks on the volume's grid by MONAI's own transforms, inferer and inversion, from a NIfTI file."""
    path = folder / "ct.nii.gz"
    nibabel.save(nibabel.Nifti1Image(volume.array.transpose(2, 1, 0), affine_ras(volume.grid)), path)
    config = ConfigParser()
    config.read_config(root / "configs" / "inference.json")
    config["bundle_root"] = str(root)
    config["device"] = "cpu"
    # Saving is the last step and has nothing to add here.
    config["postprocessing"]["transforms"] = config["postprocessing"]["transforms"][:-1]
    for expression in ("network", "initialize"):
        config.get_parsed_content(expression)
    network = config.get_parsed_content("network").eval()
    data = config.get_parsed_content("preprocessing")({"image": str(path)})
    with torch.inference_mode():
        data["pred"] = config.get_parsed_content("inferer")(data["image"][None], network)[0]
    result = config.get_parsed_content("postprocessing")(data)["pred"]
    return np.asarray(result).transpose(0, 3, 2, 1).astype(bool)


def test_monai_alone_gives_what_the_runner_gives(
    root: Path, neck: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MONAI's inversion is linear. A network of random weights gives a pattern of single voxels, on which the runner's
    # cubic splines would rightly differ.
    monkeypatch.setattr(inference, "restore", partial(restore, order=1))
    expected = by_monai(root, neck, tmp_path)
    bundle = load_bundle(root)

    found = {s.name: s.region.mask() for s in mb.run_bundle(bundle, neck, device="cpu").structures}

    assert expected.any()
    assert not expected.all()
    for channel, structure in enumerate(bundle.structures):
        mine = found.get(structure.name, np.zeros(neck.array.shape, dtype=bool))
        # Sums in another order move single probabilities over the threshold.
        assert np.count_nonzero(mine != expected[channel]) < 0.002 * mine.size, structure.name
