"""A planted box comes to the patient where it was planted, on a grid that is neither square nor along the axes."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

import monai_bundles as mb
from imaging.ras import affine_ras
from imaging.volume import Volume
from monai_bundles.adding.add import add
from monai_bundles.config import read_inference
from monai_bundles.zoo.boxes import box_from_voxels, box_from_world_ras, lesion_in_box, voxels_in_box
from monai_bundles.zoo.calls import WorkflowRun
from monai_bundles.zoo.detection import detect
from monai_bundles.zoo.inputs import source_tensors
from monai_bundles.zoo.preparing import prepare
from monai_bundles.zoo.workflow import Workflow
from tests.monai_bundles.making import GRIDS, grid_of, make_volume
from tests.monai_bundles.zoo_making import make_zoo_bundle, metadata, pre, threshold_network

CENTRE = np.array([9.3, 14.2, 17.6])
"""Of the planted lesion, (k, j, i) of the grid below."""

RADII_MM = np.array([7.0, 5.5, 8.0])


def nodule_volume() -> tuple[Volume, Any]:
    """An ellipsoid of soft tissue in lung, on an oblique grid of unequal spacings; and its voxels."""
    grid = grid_of((2, 1, 0), (1, 1, 1), turned=True, shape=(21, 30, 37))
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    inside = (((indices - CENTRE) * grid.spacing_mm / RADII_MM) ** 2).sum(axis=-1) <= 1
    return make_volume(grid, np.where(inside, 40, -850).astype(np.int16)), inside


def centre_lps(volume: Volume) -> Any:
    """Where the lesion is."""
    return volume.affine_lps[:3, :3] @ CENTRE + volume.affine_lps[:3, 3]


def overlap(a: Any, b: Any) -> float:
    """Dice."""
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


@pytest.mark.parametrize("name", GRIDS)
def test_a_box_in_voxels_lies_where_its_voxels_lie(name: str) -> None:
    volume = make_volume(GRIDS[name]())

    box = box_from_voxels([2, 3, 4, 8, 9, 11], affine_ras(volume.grid))
    part, inside = voxels_in_box(box, volume)

    full = np.zeros(volume.array.shape, dtype=bool)
    full[part] = inside
    assert np.argwhere(full).min(axis=0).tolist() == [4, 3, 2]
    assert np.argwhere(full).max(axis=0).tolist() == [11, 9, 8]
    assert np.allclose(box.size_mm, [6 * 1.3, 6 * 1.9, 7 * 2.7])


def test_a_box_in_world_ras_keeps_its_size_and_turns_two_signs() -> None:
    box = box_from_world_ras([10.0, -20.0, 30.0, 4.0, 5.0, 6.0])

    assert box.centre_lps == (-10.0, 20.0, 30.0)
    assert box.size_mm == (4.0, 5.0, 6.0)


def test_the_lesion_inside_a_box_is_outlined() -> None:
    volume, truth = nodule_volume()
    half = RADII_MM * 1.3
    corners = np.concatenate([CENTRE - half / volume.spacing_mm, CENTRE + half / volume.spacing_mm])
    box = box_from_voxels(corners.reshape(2, 3)[:, ::-1].ravel(), affine_ras(volume.grid))

    region = lesion_in_box(box, volume)

    assert region is not None
    assert np.array_equal(region.mask(), truth)


def test_a_box_beside_the_volume_has_no_lesion() -> None:
    volume, _ = nodule_volume()

    assert lesion_in_box(box_from_world_ras([5000.0, 0.0, 0.0, 10.0, 10.0, 10.0]), volume) is None


INFERER = '''
import os
import warnings
from pathlib import Path

import numpy as np
import torch

from scripts import settings


class PlantedInferer:
    """Gives the bounding box of what is bright, in voxels of the preprocessed image, and a weaker one elsewhere."""

    def __init__(self, detector):
        self.detector = detector

    def __call__(self, inputs, network):
        assert isinstance(network, torch.nn.Module)
        assert np.product([2, 3]) == 6
        bright = torch.nonzero(inputs[0][0] > settings.LIMIT)
        low, high = bright.min(dim=0).values - 1.5, bright.max(dim=0).values + 1.5
        Path("../ran.txt").write_text(f"{os.getcwd()} {os.getpid()}")
        box = torch.cat([low, high]).float()
        return [{
            "box": torch.stack([torch.tensor([0.0, 0, 0, 3, 3, 3]), box]),
            "label": torch.tensor([0, 0]),
            "label_scores": torch.tensor([0.04, 0.93]),
        }]
'''


def detection_bundle(tmp_path: Path) -> mb.Bundle:
    """Boxes in world coordinates as the Model Zoo's lung nodule bundle gives them, with code of its own."""
    outputs = {"-1": "background", "0": "nodule"}
    spacing = {
        "_target_": "Spacingd",
        "keys": "image",
        "pixdim": [0.9, 0.8, 1.25],
        "_disabled_": "@whether_resampled",
    }
    scale = {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -1024.0, "a_max": 300.0, "b_min": 0.0,
             "b_max": 1.0, "clip": True}  # fmt: skip
    boxes = [
        {"_target_": "ClipBoxToImaged", "box_keys": "box", "label_keys": "label", "box_ref_image_keys": "image"},
        {
            "_target_": "AffineBoxToWorldCoordinated",
            "box_keys": "box",
            "box_ref_image_keys": "image",
            "affine_lps_to_ras": True,
        },
        {"_target_": "ConvertBoxModed", "box_keys": "box", "src_mode": "xyzxyz", "dst_mode": "cccwhd"},
        {"_target_": "DeleteItemsd", "keys": ["image"]},
    ]
    config = {
        "whether_raw": False,
        "whether_resampled": "$(not @whether_raw)",
        "network_def": threshold_network(),
        "detector": {"_target_": "torch.nn.Identity"},
        "detector_ops": ["$@detector.eval()"],
        "preprocessing": pre(spacing, scale),
        "inferer": {"_target_": "scripts.detection_inferer.PlantedInferer", "detector": "@detector"},
        "postprocessing": {"_target_": "Compose", "transforms": boxes},
        "evaluator": {
            "_target_": "scripts.evaluator.DetectionEvaluator",
            "_requires_": "@detector_ops",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
        },
    }
    root = make_zoo_bundle(
        tmp_path, "planted_ct_detection", config=config, meta=metadata(outputs, task="detection"), entry="evaluating"
    )
    (root / "scripts").mkdir()
    (root / "scripts" / "__init__.py").write_text("", encoding="utf-8")
    (root / "scripts" / "settings.py").write_text("LIMIT = 0.5\n", encoding="utf-8")
    (root / "scripts" / "detection_inferer.py").write_text(INFERER, encoding="utf-8")
    return add(str(root), tmp_path / "library", trust=True).bundle


def test_a_detector_with_code_of_its_own_runs_in_its_own_process_and_finds_the_planted_nodule(tmp_path: Path) -> None:
    bundle = detection_bundle(tmp_path)
    volume, truth = nodule_volume()

    with mb.Worker() as worker:
        output = worker.run(bundle, volume, device="cpu")
        again = worker.run(bundle, volume, device="cpu")

    assert len(output.findings) == 1
    finding = output.findings[0]
    assert finding.box is not None
    assert finding.label == "nodule"
    assert finding.score == pytest.approx(0.93)
    assert np.linalg.norm(np.array(finding.box.centre_lps) - centre_lps(volume)) < 1.0
    lesion = next(s.region for s in output.structures if s.name == finding.structure)
    assert overlap(lesion.mask(), truth) > 0.97
    assert any("not shown" in sentence for sentence in output.warnings)
    assert again.findings == output.findings
    place, process = (bundle.root.parent / "ran.txt").read_text(encoding="utf-8").rsplit(" ", 1)
    assert Path(place) == bundle.root.resolve()
    assert int(process) != os.getpid()


def test_an_image_is_brought_to_the_networks_spacing_although_a_switch_says_that_files_were(tmp_path: Path) -> None:
    bundle = detection_bundle(tmp_path)
    volume, _ = nodule_volume()
    prepared = prepare(read_inference(bundle.root), bundle.root, "cpu", keep_channels_apart=False)
    source = source_tensors(bundle, volume, {}, channel_first=prepared.channel_first)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI's transforms warn of what they were asked to do
        image = ConfigParser(prepared.config).get_parsed_content("preprocessing")(source)["image"]

    assert np.allclose(np.linalg.norm(image.affine[:3, :3], axis=0), [0.9, 0.8, 1.25])
    assert "spacing-of-raw-images" in prepared.repairs


def test_boxes_end_at_the_image_and_those_thinner_than_a_voxel_are_left_out(tmp_path: Path) -> None:
    bundle = detection_bundle(tmp_path)
    volume, _ = nodule_volume()
    source = source_tensors(bundle, volume, {}, channel_first=True)
    boxes = [[-4.0, 2, 3, 5, 9, 11], [30, 21, 15, 40, 33, 24], [7, 6, 5, 7.9, 12, 13], [50, 6, 5, 60, 12, 13]]
    found = {"box": torch.tensor(boxes), "label": torch.zeros(4), "label_scores": torch.tensor([0.9, 0.8, 0.7, 0.6])}
    workflow = Workflow(torch.nn.Identity(), None, None, lambda images, network: [found], True, True, 3, ())
    run = WorkflowRun()

    detect(bundle, workflow, source, "image", volume, run, "cpu")

    expected = [
        box_from_voxels(corners, affine_ras(volume.grid)) for corners in ([0, 2, 3, 5, 9, 11], [30, 21, 15, 37, 30, 21])
    ]
    got = [f.box for f in run.findings]
    assert len(got) == len(expected)
    for mine, theirs in zip(got, expected, strict=True):
        assert mine is not None
        assert np.allclose(mine.centre_lps, theirs.centre_lps, atol=1e-3)
        assert np.allclose(mine.size_mm, theirs.size_mm, atol=1e-3)


def test_the_same_bundle_runs_without_a_worker_too(tmp_path: Path) -> None:
    volume, _ = nodule_volume()

    output = mb.run_bundle(detection_bundle(tmp_path), volume, device="cpu")

    assert output.structures[0].name == "GTV_1"
