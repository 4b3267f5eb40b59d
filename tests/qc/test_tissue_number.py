"""Which peak of a CT is soft tissue: the densest large one, whatever is highest."""

from dataclasses import replace

import numpy as np
import pytest

from qc.image.checks.ct_hu_tissue import tissue
from qc.image.profile import load_profiles
from qc.image.registry import Measured, NotEvaluable
from tests.qc.bodies import TRUNK, volume_inputs


def found(slope: float = 1.0, **shares: float) -> Measured | NotEvaluable:
    """A CT whose rows are so many hundredths of fat (-105 HU), muscle (50) and organs with contrast medium (150)."""
    hu = {"fat": -105.0, "muscle": 50.0, "contrast": 150.0}
    shape = (12, 150, 200)
    rows = np.full(shape[1], -1000.0)
    at = 0
    for name, share in shares.items():
        rows[at : at + round(share * shape[1])] = hu[name]
        at += round(share * shape[1])
    values = rows[None, :, None] + np.random.default_rng(1).normal(0, 15, shape)
    description = replace(TRUNK, planes=shape[0], rows=shape[1], columns=shape[2])
    return tissue(volume_inputs(((values + 1000) * slope - 1000).astype(np.int16), description))


def value(slope: float = 1.0, **shares: float) -> float:
    result = found(slope, **shares)
    assert isinstance(result, Measured)
    return float(result.value)


@pytest.mark.parametrize("fat", [0.0, 0.2, 0.4, 0.6])
def test_muscle_is_found_beside_more_and_more_fat(fat: float) -> None:
    assert value(fat=fat, muscle=0.25) == pytest.approx(50, abs=6)


def test_fat_does_not_pass_for_muscle_where_the_scale_is_too_steep() -> None:
    assert value(1.2, fat=0.5, muscle=0.3) == pytest.approx(1050 * 1.2 - 1000, abs=6)


def test_organs_with_contrast_medium_are_passed_by_where_muscle_is_there() -> None:
    assert value(muscle=0.4, contrast=0.3) == pytest.approx(50, abs=6)
    assert value(1.1, fat=0.3, muscle=0.4) == pytest.approx(1050 * 1.1 - 1000, abs=6)


def test_a_body_of_fat_alone_cannot_be_told_from_muscle_on_a_flat_scale() -> None:
    result = found(fat=0.7)

    assert isinstance(result, NotEvaluable) and result.reason == "no_region"


@pytest.mark.parametrize("slope", [0.82, 0.84, 0.86, 0.88, 0.9])
def test_muscle_on_a_flat_scale_does_not_pass_for_fat(slope: float) -> None:
    assert value(slope, fat=0.2, muscle=0.5) == pytest.approx(1050 * slope - 1000, abs=6)


def test_a_ct_whose_scale_cannot_be_told_does_not_pass() -> None:
    assert "ct.hu.tissue" in load_profiles()["ct_base"].required
