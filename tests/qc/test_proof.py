"""The proof itself: planting, counting and drawing, on synthetic series and tables."""

import csv
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from qc.image.proof.clean import CleanSeries, clean_series
from qc.image.proof.drawing import draw_all
from qc.image.proof.planting import DEFECTS
from qc.image.proof.ratings import auc, rated_benchmark
from qc.image.proof.study import claims, gaps, prove, wilson
from qc.image.registry import discover
from qc.image.result import Grade
from qc.image.run import check_inputs
from tests.conftest import data_folder
from tests.qc.chest import chest_inputs
from tests.qc.radiographs import forearm


def test_every_planted_defect_names_a_check() -> None:
    assert {d.check for d in DEFECTS} <= set(discover())


def test_wilson_interval_of_no_alarm_in_200_reaches_down_to_98_per_cent() -> None:
    low, high = wilson(200, 200)

    # The lower end is n over n plus z squared.
    assert low == pytest.approx(0.98115, abs=1e-4)
    assert high == pytest.approx(1.0)
    assert wilson(0, 0) == (0.0, 1.0)


def test_area_under_the_curve_counts_pairs() -> None:
    score, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])

    assert auc(score, positive) == 0.75


def test_study_of_a_forearm_follows_exposure_and_draws_its_plots(tmp_path: Path) -> None:
    series = CleanSeries("forearm", "DX", forearm(), "dx_limb")

    study = prove([series])
    paths = draw_all(study, tmp_path)

    by_name = {d["name"]: d for d in study["defects"]}
    assert by_name["exposure"]["rho_median"] >= 0.98
    assert by_name["film saturation"]["rho_median"] >= 0.95
    own = {row["name"]: row["own"] for row in study["cross_talk"]}
    assert own["film saturation"] == 1.0
    assert {r["check"] for r in study["specificity"]} >= {"dx.clip", "dx.inversion"}
    for path in paths:
        assert ElementTree.fromstring(path.read_text(encoding="utf-8")).tag.endswith("svg")  # noqa: S314 - our own file


def test_a_claim_that_does_not_hold_names_what_speaks_against_it(tmp_path: Path) -> None:
    study = prove([CleanSeries("forearm", "DX", forearm(), "dx_limb", {"dx.side_marker": "there is none"})])
    low = {"kind": "DX", "check": "dx.clip", "judged": 20, "passed": 18, "share": 0.9}
    few = {"kind": "DX", "check": "dx.clip", "judged": 19, "passed": 1, "share": 0.05}
    blind = {"name": "blur", "check": "ct.sharpness.f50", "series": 4, "own": 0.5, "open_to_own": 4}
    talks = {"name": "ring", "check": "ct.ring", "series": 4, "own": None, "open_to_own": 0}

    spoilt = study | {
        "defects": [
            {"name": "blur", "rho_median": 0.9, "series": 4},
            {"name": "noise", "rho_median": 1.0, "series": 1, "largest_error_percent": 5.1},
        ],
        "specificity": [low, few],
        "cross_talk": [blind | {"unlisted": {}}, talks | {"unlisted": {"ct.hu.air": 0.25}}],
    }

    assert len(study["claims"]) == 1  # one forearm shows nothing of noise, or of shares
    assert study["gaps"].keys() == gaps(spoilt).keys()
    assert [*claims(spoilt).values(), *gaps(spoilt).values()] == [
        ["blur: 0.900"],
        ["DX dx.clip: 18 of 20"],
        ["noise: up to 5.1 %"],
        ["blur, ct.sharpness.f50: 0.50 of 4"],
        ["ring: ct.hu.air in 0.25 of 4"],
    ]
    marker = next(r for r in study["specificity"] if r["check"] == "dx.side_marker")
    assert (marker["judged"], marker["unfit"]) == (0, 1)


def test_ratings_of_one_collection_are_found_again_in_another(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for name, rater, sites in (("abide.tsv", "rater_3", 6), ("ds030.tsv", "rater_1", 2)):
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerow(["cjv", "snr_total", "efc", "noise_only", "site", rater])
            for number in range(50 * sites):
                site, bad = number % sites, rng.uniform() < 0.25
                cjv = 0.4 + 0.1 * site + (0.08 if bad else 0) + rng.normal(0, 0.03)
                snr = 9 + 2 * site - (1.0 if bad else 0) + rng.normal(0, 0.7)
                writer.writerow([cjv, snr, rng.normal(), rng.normal(), f"S{site}", -1 if bad else 1])

    found = rated_benchmark(tmp_path)

    assert found["auc_test"] > 0.9
    # Raw values of several sites hide what scaling within a site shows.
    assert found["auc_test"] > found["single_metrics"]["cjv"]["test"]
    assert found["auc_test_interval"][0] < found["auc_test"] < found["auc_test_interval"][1]


def test_pictures_without_headers_get_those_that_a_film_has(tmp_path: Path) -> None:
    folder = tmp_path / "fracture_xray" / "images"
    folder.mkdir(parents=True)
    film = forearm().pictures[0].array
    Image.fromarray((film / film.max() * 255).astype(np.uint8)).save(folder / "f_1.png")

    [found] = clean_series(tmp_path, ("DX",))
    verdict = check_inputs(found.inputs, found.profile)

    assert verdict.grade is Grade.PASS
    photometric = verdict.result("gen.pixel.photometric")
    assert photometric is not None and photometric.grade is Grade.PASS


@pytest.mark.data
def test_clean_series_of_the_data_folder_are_read() -> None:
    folder = data_folder("fracture_xray").parent

    found = list(clean_series(folder, ("DX", "MR"), most=3))

    assert [s.kind for s in found].count("DX") == 3
    assert all(s.inputs.pictures or s.inputs.volume is not None for s in found)


def test_planting_leaves_the_clean_series_as_it_was() -> None:
    inputs = chest_inputs()
    before = [str(h.ImagePositionPatient) for h in inputs.headers]
    pixels = inputs.volume.array.copy() if inputs.volume is not None else np.empty(0)

    for defect in DEFECTS:
        if defect.kind == "CT":
            defect.plant(inputs, defect.severities[-1], 1)

    assert [str(h.ImagePositionPatient) for h in inputs.headers] == before
    assert inputs.volume is not None
    assert np.array_equal(inputs.volume.array, pixels)
