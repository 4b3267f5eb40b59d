"""The figures of a card come from the data alone: closed-form scores, repeatable intervals, worst cases pictured."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import monai_bundles as mb
from monai_bundles.errors import NothingToEvaluate
from monai_bundles.evaluation.cases import Case, cases_of
from monai_bundles.evaluation.evaluate import evaluate
from monai_bundles.evaluation.picture import case_picture
from monai_bundles.evaluation.summary import dice, mean_of_rows, summarised
from monai_bundles.registry import load_bundle
from tests.conftest import data_folder
from tests.monai_bundles.making import ABOVE_HU, BELOW_HU, GRIDS, make_bundle, make_volume


def test_dice_is_its_formula() -> None:
    a, b = np.array([True, True, False]), np.array([True, False, False])

    assert dice(a, b) == pytest.approx(2 / 3)
    assert dice(a & ~a, b & ~b) == 1.0


def test_the_table_names_the_worst_patient_and_repeats_its_interval() -> None:
    scores = {"a": {"Bone": 0.9, "Lung_L": 0.5}, "b": {"Bone": 0.7}, "c": {"Bone": 0.8}}

    rows = summarised(scores)

    assert rows["Bone"].mean_dice == pytest.approx(0.8)
    assert rows["Bone"].worst == "b"
    assert rows["Bone"].interval[0] >= 0.7
    assert rows["Bone"].interval[1] <= 0.9
    assert rows["Lung_L"].patients == 1
    assert mean_of_rows(rows) == pytest.approx(0.65)
    assert summarised(scores) == rows


def cases() -> list[Case]:
    """One patient whose reference is what the planted network gives, one whose reference is shifted."""
    volume = make_volume(GRIDS["oblique"]())
    right = {"Bone": volume.array > ABOVE_HU, "Lung_L": volume.array < BELOW_HU}
    shifted = {"Bone": np.roll(right["Bone"], 2, axis=2)}
    return [Case("first", volume, right), Case("second", volume, shifted)]


def test_a_bundle_is_scored_on_every_case_and_the_worst_is_pictured(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path))

    result = evaluate(bundle, cases(), "validation", tmp_path / "pictures")

    assert result.patients["first"] == {"Bone": 1.0, "Lung_L": 1.0}
    assert result.rows["Bone"].worst == "second"
    assert result.rows["Lung_L"].patients == 1
    assert "worst-Bone-second.png" in result.pictures
    with Image.open(tmp_path / "pictures" / "worst-Bone-second.png") as image:
        assert image.size[0] > 300


def test_voxels_that_do_not_count_change_nothing(tmp_path: Path) -> None:
    volume = make_volume(GRIDS["axial"]())
    truth = {"Bone": (volume.array > ABOVE_HU).copy()}
    truth["Bone"][:4] = False
    counted = np.ones(volume.array.shape, dtype=bool)
    counted[:4] = False

    result = evaluate(load_bundle(make_bundle(tmp_path)), [Case("a", volume, truth, counted=counted)], "all")

    assert result.rows["Bone"].mean_dice == 1.0


def test_a_case_without_the_bundles_structures_is_told(tmp_path: Path) -> None:
    volume = make_volume(GRIDS["axial"]())

    with pytest.raises(NothingToEvaluate):
        evaluate(load_bundle(make_bundle(tmp_path)), [Case("a", volume, {"Liver": volume.array > 0})], "all")


def test_a_folder_without_a_reference_is_told(tmp_path: Path) -> None:
    with pytest.raises(NothingToEvaluate, match="OpenKBP"):
        list(cases_of(tmp_path, "validation"))


def test_a_picture_shows_both_outlines() -> None:
    volume = make_volume(GRIDS["oblique"]())
    truth = np.zeros(volume.array.shape, dtype=bool)
    truth[4:9, 5:14, 6:12] = True

    with Image.open(BytesIO(case_picture(volume, truth, np.roll(truth, 3, axis=2), "planted"))) as image:
        colours = {tuple(c) for c in np.array(image).reshape(-1, 3)}

    assert (60, 220, 90) in colours
    assert (240, 70, 220) in colours


@pytest.mark.data
def test_lesions_of_real_patients_overlap_the_physicians_contours() -> None:
    from contouring.suv import suv_volume

    result = evaluate(
        mb.find("pet_ct_lesion_segmentation"), cases_of(data_folder("sts_petct"), "all", suv_volume), "all"
    )

    assert len(result.patients) == 4
    assert result.rows["GTV"].mean_dice > 0.65
    assert result.methods["fixed_2.5"]["best lesion"].mean_dice > 0.7
    assert set(result.methods) == {"fixed_2.5", "fixed_4.0", "share_41"}
