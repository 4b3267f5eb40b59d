"""The body segmentation on CTs of real patients: what must be there, what must not, and where it may not reach."""

from pathlib import Path

import numpy as np
import pytest

import monai_bundles as mb
from imaging.geometry import Grid
from imaging.series import Stack, load_volume, scan
from imaging.volume import Volume
from monai_bundles.anatomy import shows_head_and_neck
from tests.conftest import data_folder

pytestmark = pytest.mark.data


def only_stack(folder: Path) -> Stack:
    (stack,) = scan([folder]).stacks
    return stack


def openkbp(number: int) -> tuple[Volume, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """The complete slices of a patient, and the voxels that physicians contoured there."""
    with np.load(data_folder("openkbp") / "ctlab" / f"pt_{number}.npz") as arrays:
        complete = np.flatnonzero(arrays["zvalid"])
        part = slice(complete[0], complete[-1] + 1)
        ct, organs, (dz, dy, dx) = arrays["ct"][part], arrays["oar"][part] > 0, arrays["spacing"].astype(float)
    grid = Grid(
        positions_lps=np.array([[-90.5, -70.3, -211.0]]) + np.arange(len(ct))[:, None] * [0, 0, dz],
        row_direction=np.array([1.0, 0, 0]),
        column_direction=np.array([0, 1.0, 0]),
        pixel_spacing_mm=(dy, dx),
        rows=ct.shape[1],
        columns=ct.shape[2],
        frame_of_reference_uid="1.2.3",
    )
    return Volume(ct, grid, unit="[hnsf'U]"), organs


def run(volume: Volume) -> mb.BundleOutput:
    return mb.run_bundle(mb.find("ct_body_segmentation"), volume)


def cc(output: mb.BundleOutput, volume: Volume) -> dict[str, float]:
    return {s.name: s.region.voxel_count * float(np.prod(volume.spacing_mm)) / 1000 for s in output.structures}


def test_head_and_neck_without_couch_board_and_mask_frame() -> None:
    volume = load_volume(only_stack(data_folder("ct_head_neck") / "series"))

    output = run(volume)

    sizes = cc(output, volume)
    body = next(s.region for s in output.structures if s.name == "Body").mask()
    assert set(sizes) == {"Body", "Trachea", "Bone", "SpinalCanal"}
    assert output.absent == ("Lung_L", "Lung_R")
    assert not body[:, 380:].any(), "the board under the head rest, which touches the neck up to row 375"
    assert 6500 < sizes["Body"] < 7500
    assert 8 < sizes["Trachea"] < 13
    assert shows_head_and_neck(volume)


def test_a_cropped_chest_keeps_its_cut_lung_and_says_so() -> None:
    volume = load_volume(only_stack(data_folder("lung_crop") / "image"))

    output = run(volume)

    sizes = cc(output, volume)
    body = next(s.region for s in output.structures if s.name == "Body").mask()
    assert sizes["Lung_R"] > 900
    assert "Lung_L" not in sizes
    assert body[45, 0, 90], "lung that the field of view cuts belongs to the body"
    assert not body[:, 200, :60].any(), "the couch below the back"
    assert "Lung_R reaches the side of the field of view: its volume is incomplete." in output.warnings
    assert not shows_head_and_neck(volume)


@pytest.mark.parametrize("patient", ["STS_002", "STS_008", "STS_025", "STS_032"])
def test_legs_and_pelvis_have_no_lungs_and_no_trachea(patient: str) -> None:
    volume = load_volume(only_stack(data_folder("sts_petct") / patient / "CT" / "image"))

    output = run(volume)

    assert {s.name for s in output.structures} == {"Body", "Bone"}
    assert output.absent == ("Lung_L", "Lung_R", "Trachea", "SpinalCanal")
    assert not shows_head_and_neck(volume)


@pytest.mark.parametrize("number", [201, 215, 230])
def test_contoured_organs_lie_in_the_body_and_every_structure_is_found(number: int) -> None:
    volume, organs = openkbp(number)

    output = run(volume)

    body = next(s.region for s in output.structures if s.name == "Body").mask()
    assert np.count_nonzero(organs & ~body) < 0.002 * np.count_nonzero(organs)
    assert {s.name for s in output.structures} == {"Body", "Lung_L", "Lung_R", "Trachea", "Bone", "SpinalCanal"}


def test_a_wrong_scale_would_be_seen() -> None:
    volume, organs = openkbp(201)
    too_low = Volume((volume.array - 450).clip(-1024, None).astype(np.int16), volume.grid, unit=volume.unit)

    regions = {s.name: s.region.mask() for s in run(too_low).structures}

    assert "Body" not in regions or np.count_nonzero(organs & ~regions["Body"]) >= 0.002 * np.count_nonzero(organs)
