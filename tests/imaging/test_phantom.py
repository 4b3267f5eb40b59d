"""The digital patient: valid DICOM, the same again by seed, and truth that agrees with the picture."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from imaging.series import load_volume, scan
from imaging.testing.labels import REGIONS
from imaging.testing.phantom import Phantom, make_phantom, write_phantom
from tests.conftest import require_program

SHAPE = (40, 112, 128)


@pytest.fixture(name="phantom", scope="module")
def one_phantom() -> Phantom:
    return make_phantom(SHAPE, seed=1)


def hu_of(phantom: Phantom, name: str) -> NDArray[np.int16]:
    region = phantom.regions[name]
    return np.asarray(phantom.volume.array[region.box][region.crop])


def centre_mm(phantom: Phantom, name: str) -> NDArray[np.float64]:
    """Centroid in LPS."""
    region = phantom.regions[name]
    kji = np.argwhere(region.crop).mean(axis=0) + region.start
    return np.asarray((phantom.volume.affine_lps @ [*kji, 1])[:3])


def test_written_series_reads_back_exactly(phantom: Phantom, tmp_path: Path) -> None:
    files = write_phantom(tmp_path, phantom)

    found = scan([tmp_path])
    volume = load_volume(found.stacks[0])

    assert found.stacks[0].files == tuple(files)
    np.testing.assert_array_equal(volume.array, phantom.volume.array)
    assert volume.grid.is_same_as(phantom.grid)
    assert volume.unit == phantom.volume.unit
    assert str(found.stacks[0].header.PatientName) == "Moti^Ren=模体^人"


@pytest.mark.interop
def test_dciodvfy_finds_no_error(phantom: Phantom, tmp_path: Path) -> None:
    program = require_program("dciodvfy")
    files = write_phantom(tmp_path, phantom)

    said = subprocess.run([program, str(files[17])], capture_output=True, text=True, check=False).stderr

    assert "Error" not in said
    assert "CTImage" in said


def test_same_seed_gives_the_same_patient_and_another_seed_another() -> None:
    first, again, other = (make_phantom((9, 40, 48), seed=s) for s in (3, 3, 4))

    np.testing.assert_array_equal(first.volume.array, again.volume.array)
    assert not np.array_equal(first.volume.array, other.volume.array)
    assert first.grid.frame_of_reference_uid != other.grid.frame_of_reference_uid


@pytest.mark.parametrize("shape", [SHAPE, (9, 40, 48)])
def test_every_structure_is_there_at_every_size(shape: tuple[int, int, int]) -> None:
    assert list(make_phantom(shape).regions) == list(REGIONS)


@pytest.mark.parametrize(
    ("name", "low_hu", "high_hu"),
    [
        ("Lung_L", -880, -720),
        ("Lung_R", -880, -720),
        ("Trachea", -1010, -800),
        ("Bone", 150, 1100),
        ("Bone_Mandible", 250, 1300),
        ("SpinalCord", 0, 120),
        ("Brainstem", 20, 45),
        ("Parotid_L", -40, 20),
        ("Parotid_R", -40, 40),
        ("Esophagus", -60, 60),
    ],
)
def test_structures_have_their_density(phantom: Phantom, name: str, low_hu: float, high_hu: float) -> None:
    assert low_hu < np.median(hu_of(phantom, name)) < high_hu


def test_sides_are_right_and_not_mirror_images(phantom: Phantom) -> None:
    for name in ("Lung", "Parotid"):
        left, right = centre_mm(phantom, f"{name}_L"), centre_mm(phantom, f"{name}_R")
        assert left[0] > right[0] + 50
    assert phantom.regions["Lung_R"].voxel_count > 1.1 * phantom.regions["Lung_L"].voxel_count
    flipped = phantom.regions["Body"].mask()[:, :, ::-1]
    assert not np.array_equal(flipped, phantom.regions["Body"].mask())


def test_order_from_head_to_chest_is_anatomical(phantom: Phantom) -> None:
    order = ["Brainstem", "Parotid_L", "Larynx", "Trachea", "Lung_R"]

    heights = [centre_mm(phantom, name)[2] for name in order]

    assert heights == sorted(heights, reverse=True)
    assert centre_mm(phantom, "SpinalCord")[1] > centre_mm(phantom, "Trachea")[1]


def test_regions_lie_in_the_body_and_exclude_each_other(phantom: Phantom) -> None:
    body = phantom.regions["Body"].mask()
    total = np.zeros(body.shape, dtype=int)
    for name, region in phantom.regions.items():
        if name not in {"Body", "Bone", "SpinalCanal"}:
            assert (region.mask() <= body).all()
            total += region.mask()
    assert total.max() == 1
    assert (phantom.regions["Bone_Mandible"].mask() <= phantom.regions["Bone"].mask()).all()


def test_something_lies_outside_of_the_body(phantom: Phantom) -> None:
    outside = phantom.volume.array[~phantom.regions["Body"].mask()]

    assert (outside > -400).sum() > 500
    assert np.median(outside) < -980


def test_volumes_are_those_of_a_person(phantom: Phantom) -> None:
    litres = float(np.prod(phantom.volume.spacing_mm)) / 1e6
    expected = {"Body": (12, 21), "Lung_L": (0.9, 2.2), "Lung_R": (1.1, 2.6), "Parotid_L": (0.010, 0.030)}

    for name, (low, high) in expected.items():
        assert low < phantom.regions[name].voxel_count * litres < high


def test_spacing_and_matrix_are_never_square(phantom: Phantom) -> None:
    assert len(set(phantom.volume.spacing_mm)) == 3
    assert len(set(phantom.volume.array.shape)) == 3
    assert (np.abs(phantom.grid.positions_lps[0]) > 1).all()
