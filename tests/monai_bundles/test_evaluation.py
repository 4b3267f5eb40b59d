"""The figures of a card come from the data alone: closed-form scores, repeatable intervals, worst cases pictured."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import monai_bundles as mb
from imaging.geometry import Grid
from imaging.volume import Region
from monai_bundles.errors import BadMetadata, NothingToEvaluate
from monai_bundles.evaluation.cases import Case, cases_of
from monai_bundles.evaluation.evaluate import evaluate
from monai_bundles.evaluation.holding import held, shares_of
from monai_bundles.evaluation.lesion_cases import off_centre
from monai_bundles.evaluation.picture import case_picture
from monai_bundles.evaluation.summary import dice, difference, mean_of_rows, summarised
from monai_bundles.registry import load_bundle
from monai_bundles.seal import seal
from tests.conftest import data_folder
from tests.monai_bundles.making import (
    ABOVE_HU,
    BELOW_HU,
    GRIDS,
    edit,
    grid_of,
    make_bundle,
    make_volume,
    threshold_weights,
)


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


def test_a_difference_is_taken_patient_by_patient() -> None:
    """Scores that vary much and differ by the same: the interval is that one difference."""
    mine, theirs = {"a": 0.9, "b": 0.3, "c": 0.5}, {"b": 0.25, "a": 0.85, "c": 0.45, "d": 0.0}

    found = difference(mine, theirs)

    assert found is not None
    assert (found.mean, found.interval, found.patients, found.better) == (0.05, (0.05, 0.05), 3, 3)
    assert difference(mine, {"d": 0.1}) is None


def test_equal_scores_have_equal_intervals_in_whichever_row() -> None:
    """Of three values 27 samples are possible: the 95 % of their means are known."""
    same = {"a": 0.3, "b": 0.6, "c": 0.9}
    scores = {patient: {"Bone": value, "Lung_L": value, "Body": value} for patient, value in same.items()}

    rows = summarised(scores)

    assert {row.interval for row in rows.values()} == {(0.3, 0.9)}
    assert {share.interval for share in shares_of(scores).values()} == {(0.3, 0.9)}


def cases() -> list[Case]:
    """One patient whose reference is what the planted network gives, one whose reference is shifted."""
    volume = make_volume(GRIDS["oblique"]())
    right = {"Bone": volume.array > ABOVE_HU, "Lung_L": volume.array < BELOW_HU}
    shifted = {"Bone": np.roll(right["Bone"], 2, axis=2)}
    return [Case("first", volume, right), Case("second", volume, shifted)]


def test_what_lies_in_a_structure_is_counted_where_nobody_drew_the_structure() -> None:
    volume = make_volume(GRIDS["oblique"]())
    empty = np.zeros(volume.array.shape, bool)
    cord, canal, body, jaw = (empty.copy() for _ in range(4))
    cord[2:10, 4:6, 4:8] = True  # 8 slices of 8 voxels
    canal[4:12, 4:6, 5:9] = True  # holds 6 of each 8, on 6 of the 8 slices
    jaw[2:4, 0:2, 0:5] = True
    body[:, :, 1:] = True
    case = Case("first", volume, {"SpinalCord": cord, "Bone_Mandible": jaw})

    holdings = held({"Body": body, "SpinalCanal": canal, "Bone": empty}, case)
    shares = {sentence: holding.share for sentence, holding in holdings.items()}
    rows = shares_of({"first": shares, "second": {"organs in Body": 1.0}})

    assert shares == pytest.approx({
        "organs in Body": 1 - 4 / (64 + 20),
        "Bone_Mandible in Bone": 0.0,
        "slices of SpinalCord with SpinalCanal": 6 / 8,
        "SpinalCord in SpinalCanal, on these": 6 / 8,
    })
    assert (rows["organs in Body"].worst, rows["organs in Body"].whole) == ("first", 1)
    assert np.array_equal(holdings["organs in Body"].part, cord | jaw)
    assert not held({"Lung_L": body}, case)


def test_where_nobody_drew_a_structure_the_worst_share_is_pictured_and_what_is_found_counted(
    tmp_path: Path,
) -> None:
    grid = GRIDS["axial"]()
    volume = make_volume(grid)
    bone = volume.array > ABOVE_HU
    jaw = bone.copy()
    jaw[:, :3] = True

    result = evaluate(
        load_bundle(make_bundle(tmp_path)), [Case("a", volume, {"Bone_Mandible": jaw})], "all", tmp_path / "pictures"
    )

    assert result.held["Bone_Mandible in Bone"].worst_share == pytest.approx(
        np.count_nonzero(jaw & bone) / np.count_nonzero(jaw), abs=1e-4
    )
    assert result.found == {"patients": 1, "Bone": 1, "Lung_L": 1}
    assert result.memory_mib > 50
    [picture] = result.pictures
    assert picture == "worst-Bone_Mandible_in_Bone-a.png"
    assert (tmp_path / "pictures" / picture).stat().st_size > 1000


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


def test_a_case_cut_off_centre_keeps_every_voxel_where_it_was() -> None:
    volume = make_volume(grid_of((2, 1, 0), (1, 1, 1), turned=True, shape=(31, 47, 61)))
    other = make_volume(volume.grid, volume.array + 1, unit="1")
    truth = {"GTV": volume.array > ABOVE_HU}

    cut = off_centre(Case("STS_001", volume, truth, {"MR": other}, counted=truth["GTV"]))

    k, j, i = 3, 5, 4
    point = cut.volume.affine_lps @ [k, j, i, 1]
    place = tuple(np.rint(np.linalg.inv(volume.affine_lps) @ point).astype(int)[:3])
    assert np.allclose(volume.affine_lps @ [*place, 1], point)
    assert cut.volume.array[k, j, i] == volume.array[place] == cut.companions["MR"].array[k, j, i] - 1
    assert cut.truth["GTV"][k, j, i] == truth["GTV"][place]
    lost_mm = (np.array(volume.array.shape) - cut.volume.array.shape) * volume.spacing_mm
    assert np.allclose(lost_mm, 40.0, atol=1.4)
    assert cut.counted is not None
    assert cut.counted.shape == cut.volume.array.shape


def test_a_patient_is_scored_with_the_weights_that_have_not_seen_it(tmp_path: Path) -> None:
    import torch

    root = make_bundle(tmp_path)
    blind = threshold_weights() | {"bias": torch.tensor([-1e6, -1e6])}
    torch.save(blind, root / "models" / "without_first.pt")
    seal(root)
    edit(root, "radgate", lambda content: content.update(left_out={"models/without_first.pt": ["first"]}))

    result = evaluate(load_bundle(root), cases(), "all")

    assert result.patients["first"] == {"Bone": 0.0, "Lung_L": 0.0}
    assert result.patients["second"]["Bone"] > 0.1


@pytest.mark.parametrize(
    "entry", [{"models/other.pt": ["a"]}, {"models/model.pt": ["a", "a"]}, {"models/model.pt": "a"}, ["a"]]
)
def test_an_entry_on_unseen_patients_that_cannot_be_right_is_refused(tmp_path: Path, entry: object) -> None:
    root = make_bundle(tmp_path, radgate={"left_out": entry})

    with pytest.raises(BadMetadata, match="left_out"):
        load_bundle(root)


def test_surface_dice_has_its_own_interval(tmp_path: Path) -> None:
    def half(found: Region, truth: Region, grid: Grid) -> float:
        assert found.shape == truth.shape == grid.shape
        return 0.5

    result = evaluate(load_bundle(make_bundle(tmp_path)), cases(), "all", surface=half)

    assert result.rows["Bone"].mean_surface_dice == 0.5
    assert result.rows["Bone"].surface_interval == (0.5, 0.5)


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
    fixed = result.methods["fixed_4.0"]["all lesions"].mean_dice
    gap = result.differences["fixed_4.0"]["all lesions"]
    assert gap.patients == 4
    assert gap.mean == pytest.approx(result.rows["GTV"].mean_dice - fixed, abs=2e-3)
