"""PERCIST's liver, and what the CT sets apart, on a trunk whose organs are drawn by hand: every number is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from imaging.volume import Region, Volume
from monai_bundles.pet.anatomy import PetAnatomy, liver_reference, physiological
from monai_bundles.pet.finder import LesionFinder
from tests.monai_bundles.making import grid_of, make_volume

SUVBW = "g/ml{SUVbw}"
SHAPE = (110, 150, 260)
"""297 x 285 x 338 mm, planes towards the head, columns towards the patient's left."""

LIVER_SUV, LIVER_SD = 2.1, 0.12


def box(low: tuple[int, int, int], high: tuple[int, int, int]) -> Any:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


LIVER, HEART, BLADDER = (
    box((40, 40, 45), (68, 110, 110)),
    box((72, 60, 136), (88, 90, 162)),
    box((5, 60, 115), (14, 85, 145)),
)
LESION = box((30, 100, 190), (36, 108, 200))
LUNG_RIGHT, LUNG_LEFT = box((68, 35, 40), (100, 115, 110)), box((68, 35, 162), (100, 115, 220))


@pytest.fixture(scope="module")
def trunk() -> tuple[Volume, PetAnatomy]:
    """PET and anatomy of a trunk with liver, heart, bladder and one lesion."""
    grid = grid_of((2, 1, 0), (1, 1, 1), turned=False, shape=SHAPE)
    body = box((0, 20, 20), (110, 130, 240))
    hu = np.where(body, 40.0, -1000.0).astype(np.float32)
    hu[LUNG_RIGHT | LUNG_LEFT] = -800.0
    hu[LIVER] = 60.0
    hu[BLADDER] = 5.0
    suv = np.where(body, 0.3, 0.0).astype(np.float32)
    noise = np.random.default_rng(7).normal(LIVER_SUV, LIVER_SD, SHAPE).astype(np.float32)
    suv[LIVER] = noise[LIVER]
    suv[HEART] = 7.0
    suv[BLADDER] = 20.0
    suv[LESION] = 4.25
    anatomy = PetAnatomy(hu, body, LUNG_LEFT, LUNG_RIGHT, np.zeros(SHAPE, dtype=bool))
    return make_volume(grid, suv, unit=SUVBW), anatomy


def test_the_liver_has_its_mean_and_deviation(trunk: tuple[Volume, PetAnatomy]) -> None:
    pet, anatomy = trunk

    measured = liver_reference(anatomy, pet.array, pet)

    assert measured is not None
    assert measured[0] == pytest.approx(LIVER_SUV, abs=0.01)
    assert measured[1] == pytest.approx(LIVER_SD, abs=0.01)


def test_a_liver_too_small_for_the_sphere_is_none(trunk: tuple[Volume, PetAnatomy]) -> None:
    pet, anatomy = trunk
    thin = np.where(LIVER & (np.arange(SHAPE[0])[:, None, None] > 59), anatomy.ct_hu, -100.0).astype(np.float32)

    assert liver_reference(replace(anatomy, ct_hu=thin), pet.array, pet) is None


@pytest.mark.parametrize(("organ", "kind"), [(HEART, "heart"), (BLADDER, "urine"), (LESION, ""), (LIVER, "")])
def test_uptake_is_called_what_the_ct_shows(trunk: tuple[Volume, PetAnatomy], organ: Any, kind: str) -> None:
    pet, anatomy = trunk

    assert physiological(Region.from_mask(organ), anatomy, pet.array, pet) == kind


def test_the_same_uptake_on_the_right_is_no_heart_and_of_soft_tissue_no_urine(
    trunk: tuple[Volume, PetAnatomy],
) -> None:
    pet, anatomy = trunk
    mirrored = Region.from_mask(HEART[:, :, ::-1])
    solid = replace(anatomy, ct_hu=np.where(BLADDER, 45.0, anatomy.ct_hu).astype(np.float32))

    assert physiological(mirrored, anatomy, pet.array, pet) == ""
    assert physiological(Region.from_mask(BLADDER), solid, pet.array, pet) == ""


def test_percist_finds_the_lesion_alone_and_says_its_limit(
    trunk: tuple[Volume, PetAnatomy], monkeypatch: pytest.MonkeyPatch
) -> None:
    pet, anatomy = trunk
    monkeypatch.setattr("monai_bundles.pet.finder.pet_anatomy", lambda _ct: anatomy)

    found = LesionFinder()(pet, {"CT": make_volume(pet.grid, np.zeros(SHAPE, dtype=np.int16))})
    brighter = LesionFinder()(
        replace(pet, array=np.where(LIVER, pet.array + 1.0, pet.array)),
        {"CT": make_volume(pet.grid, np.zeros(SHAPE, dtype=np.int16))},
    )

    assert list(found.regions) == ["GTV_1"]
    assert np.array_equal(found.regions["GTV_1"].mask(), LESION)
    limit = next(note for note in found.notes if note.startswith("PERCIST"))
    assert float(limit.rstrip(".").split()[-1]) == pytest.approx(1.5 * LIVER_SUV + 2 * LIVER_SD, abs=0.04)
    assert any("heart" in note for note in found.notes)
    assert any("urine" in note for note in found.notes)
    assert brighter.regions == {}, "a liver of 3.1 lifts the limit above the lesion"
