"""Lesions of known uptake are found by every threshold, measured, and kept apart from uptake that the CT explains."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import monai_bundles as mb
from imaging.testing.phantom import make_phantom
from imaging.volume import Region, Volume
from monai_bundles.errors import BadMetadata, MissingSeries, VolumeOutsideRange
from monai_bundles.pet.anatomy import liver_reference, pet_anatomy, physiological
from monai_bundles.pet.finder import LesionFinder
from monai_bundles.pet.thresholds import delineated, percist_limit
from tests.monai_bundles.making import grid_of, make_volume

SUVBW = "g/ml{SUVbw}"


def ball(
    shape: tuple[int, ...], centre: tuple[float, float, float], radius_mm: float, spacing_mm: tuple[float, ...]
) -> Any:
    """Voxels within a ball."""
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    return np.linalg.norm((indices - np.array(centre)) * spacing_mm, axis=-1) <= radius_mm


@pytest.fixture
def pet() -> Volume:
    """Two lesions, SUV 10 and 5, in a background of 1, on an oblique grid."""
    grid = grid_of((2, 1, 0), (1, 1, 1), turned=True, shape=(24, 31, 37))
    values = np.ones(grid.shape, dtype=np.float32)
    values[ball(grid.shape, (8, 10, 11), 8.0, grid.spacing_mm)] = 10.0
    values[ball(grid.shape, (17, 21, 26), 6.5, grid.spacing_mm)] = 5.0
    values[3, 3, 3] = 9.0
    return make_volume(grid, values, unit=SUVBW)


def test_both_lesions_are_found_and_a_single_hot_voxel_is_not(pet: Volume) -> None:
    output = mb.run_bundle(mb.find("pet_ct_lesion_segmentation"), pet)

    assert [s.name for s in output.structures] == ["GTV_1", "GTV_2"]
    assert np.array_equal(output.structures[0].region.mask(), (pet.array == 10))
    assert np.array_equal(output.structures[1].region.mask(), pet.array == 5)
    assert output.findings[0].measured["suv_max_g_ml"] == 10.0
    voxel_cc = float(np.prod(pet.spacing_mm)) / 1000
    assert output.findings[1].measured["volume_cc"] == pytest.approx(np.count_nonzero(pet.array == 5) * voxel_cc)
    assert output.findings[1].measured["total_lesion_glycolysis_g"] == pytest.approx(
        5 * np.count_nonzero(pet.array == 5) * voxel_cc
    )
    assert any("not set apart" in sentence for sentence in output.warnings)


def test_a_higher_limit_finds_less(pet: Volume) -> None:
    found = LesionFinder(method="fixed_4.0")(replace(pet, array=np.minimum(pet.array, 4.5)), {})
    dimmer = LesionFinder(method="fixed_4.0")(replace(pet, array=pet.array * 0.7), {})

    assert len(found.regions) == 2
    assert len(dimmer.regions) == 1


def test_a_share_of_the_maximum_is_taken_lesion_by_lesion(pet: Volume) -> None:
    labels, count = delineated(pet.array, "share_41", None)

    assert count == 3
    assert np.count_nonzero(labels == 1) == np.count_nonzero(pet.array == 10)
    assert set(np.bincount(labels.ravel())[1:]) == {1, (pet.array == 5).sum(), (pet.array == 10).sum()}


def test_a_cold_centre_belongs_to_the_contour_and_not_to_the_uptake(pet: Volume) -> None:
    array = pet.array.copy()
    core = ball(array.shape, (8, 10, 11), 3.0, pet.spacing_mm)
    array[core] = 0.5

    found = LesionFinder()(replace(pet, array=array), {})

    assert found.regions["GTV_1"].mask()[core].all()
    assert found.findings[0].measured["suv_mean_g_ml"] == pytest.approx(10.0)


def test_percists_limit_is_its_formula() -> None:
    assert percist_limit(2.0, 0.3) == pytest.approx(3.6)


def test_a_pet_in_another_unit_is_refused(pet: Volume) -> None:
    with pytest.raises(VolumeOutsideRange):
        mb.run_bundle(mb.find("pet_ct_lesion_segmentation"), replace(pet, unit="Bq/mL"))


def test_a_ct_of_another_frame_of_reference_is_refused(pet: Volume) -> None:
    grid = replace(grid_of((2, 1, 0), (1, 1, 1), turned=False), frame_of_reference_uid="1.2.3")

    with pytest.raises(MissingSeries):
        LesionFinder()(pet, {"CT": make_volume(grid)})


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(BadMetadata, match="percist"):
        LesionFinder(method="by_eye")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def torso() -> Volume:
    """CT of the digital patient, coarse enough for a PET."""
    return make_phantom(shape=(60, 120, 130)).volume


def uptake(torso: Volume, regions: dict[str, Region]) -> Volume:
    """SUV 1 in the body and 2 with a little noise below the right lung."""
    rng = np.random.default_rng(3)
    values = np.zeros(torso.array.shape, dtype=np.float32)
    values[regions["Body"].mask()] = 2.0
    values += rng.normal(0, 0.05, values.shape).astype(np.float32) * (values > 0)
    return replace(torso, array=values, unit=SUVBW, sources=())


def test_the_liver_is_measured_below_the_right_lung_or_not_at_all(torso: Volume) -> None:
    regions = {s.name: s.region for s in mb.run_bundle(mb.find("ct_body_segmentation"), torso).structures}
    pet = uptake(torso, regions)
    anatomy = pet_anatomy(torso)

    liver = liver_reference(anatomy, pet.array, pet)
    without = replace(anatomy, lung_right=np.zeros_like(anatomy.lung_right))

    assert liver is None or liver[0] == pytest.approx(2.0, abs=0.05)
    assert liver_reference(without, pet.array, pet) is None


def test_uptake_inside_the_skull_is_the_brains() -> None:
    grid = grid_of((2, 1, 0), (1, 1, 1), turned=False, shape=(40, 90, 120))
    middle = (20.0, 45.0, 60.0)
    hu = np.full(grid.shape, -1000, dtype=np.int16)
    hu[ball(grid.shape, middle, 75.0, grid.spacing_mm)] = 700
    hu[ball(grid.shape, middle, 66.0, grid.spacing_mm)] = 35
    ct = make_volume(grid, hu)
    suv = np.full(grid.shape, 0.5, dtype=np.float32)
    suv[ball(grid.shape, middle, 50.0, grid.spacing_mm)] = 9.0
    pet = make_volume(grid, suv, unit=SUVBW)
    anatomy = replace(pet_anatomy(ct), body=hu > -500)

    kind = physiological(Region.from_mask(suv > 2.5), anatomy, suv, pet)
    found = LesionFinder(method="fixed_2.5")(pet, {"CT": ct})

    assert kind == "brain"
    assert found.regions == {}
    assert any("brain" in note for note in found.notes)
