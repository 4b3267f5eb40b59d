"""`radgate contour margin` and `smooth` as a person types them."""

import json
from pathlib import Path

import numpy as np
import pytest

from contouring.convert import read_structures
from contouring.errors import RecipeRefused
from tests.contouring.segments import Case
from tests.contouring.structure_sets import contour, square, structure_set
from tests.dicom_gateway.contour_commands.typed import run, series


def test_margin_names_its_result(case: Case, structures: Path, tmp_path: Path) -> None:
    result = run("margin", structures, "--series", series(case), "--roi", "SpinalCord", "--mm", 4, "--json",
                 "--out", tmp_path / "prv.dcm")  # fmt: skip

    rows = json.loads(result.stdout)["structures"]
    assert rows[0]["name"] == "SpinalCord_PRV04"
    assert rows[0]["volume_cc"] > case.rois[1].region.voxel_count * 2.5 * 0.99 / 1000


@pytest.mark.parametrize("mm", ["150", "-101", "nan"])
def test_a_margin_out_of_range_is_one_sentence_about_the_option(
    case: Case, structures: Path, tmp_path: Path, mm: str
) -> None:
    result = run("margin", structures, "--series", series(case), "--roi", "SpinalCord", f"--mm={mm}",
                 "--out", tmp_path / "m.nii.gz", fails=True)  # fmt: skip

    assert result.exit_code == 2
    assert "--mm lies within" in result.output


@pytest.mark.parametrize("mm", ["-5", "2.5"])
def test_a_margin_without_a_usual_name_needs_one(case: Case, structures: Path, tmp_path: Path, mm: str) -> None:
    command = ["margin", structures, "--series", series(case), "--roi", "SpinalCord", "--mm", mm]

    refused = run(*command, "--out", tmp_path / "no.dcm")
    named = run(*command, "--name", "SpinalCord", "--out", tmp_path / "yes.dcm")

    assert refused.exit_code == 2 and "--name" in refused.output
    assert not (tmp_path / "no.dcm").exists()
    assert named.exit_code == 0


def test_a_margin_that_leaves_the_scan_or_nothing_is_told(case: Case, structures: Path, tmp_path: Path) -> None:
    common = ["--series", series(case), "--roi", "SpinalCord", "--name", "PTV", "--json", "--out"]

    cut = json.loads(run("margin", structures, "--mm", "60", *common, tmp_path / "cut.dcm").stdout)
    gone = json.loads(run("margin", structures, "--mm", "-60", *common, tmp_path / "gone.dcm").stdout)
    held = json.loads(run("margin", structures, "--mm", "1", *common, tmp_path / "held.dcm").stdout)

    assert any(name == "PTV" and "the end of the scan cuts off about" in text for name, text in cut["remarks"])
    assert ["PTV", "nothing is left of SpinalCord at -60 mm; it is empty"] in gone["remarks"]
    assert gone["structures"][0]["volume_cc"] == 0
    assert not any("end of the scan" in text for _, text in held["remarks"])


def test_what_a_recipe_left_out_is_told(case: Case, structures: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "site.toml"
    step = '[[step]]\nname = "{}_PRV05"\nfrom = "{}"\ngrow_mm = 5\noptional = true\n'
    recipe.write_text('site = "x"\n' + step.format("SpinalCord", "SpinalCord") + step.format("Eye_L", "Eye_L"))

    result = run("margin", structures, "--series", series(case), "--recipe", recipe, "--out", tmp_path / "a.nii.gz")

    assert "note: Eye_L_PRV05: left out: Eye_L missing or empty" in result.stdout


def test_recipe_of_the_site_is_carried_out(case: Case, structures: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "site.toml"
    recipe.write_text('site = "x"\n[[step]]\nname = "SpinalCord_PRV05"\nfrom = "SpinalCord"\ngrow_mm = 5\n')

    result = run("margin", structures, "--series", series(case), "--recipe", recipe, "--out", tmp_path / "a.nii.gz",
                 "--json")  # fmt: skip

    assert [r["name"] for r in json.loads(result.stdout)["structures"]] == ["SpinalCord_PRV05"]
    failed = run("margin", structures, "--series", series(case), "--recipe", "knee", "--out", "x.dcm", fails=True)
    assert isinstance(failed.exception, RecipeRefused)


def test_a_recipe_beside_a_structure_of_one_s_own_is_refused(case: Case, structures: Path, tmp_path: Path) -> None:
    result = run("margin", structures, "--series", series(case), "--recipe", "prostate", "--mm", "5",
                 "--out", tmp_path / "a.dcm")  # fmt: skip

    assert result.exit_code == 2
    assert "--recipe" in result.output
    assert not (tmp_path / "a.dcm").exists()


def test_smooth_keeps_the_volume_and_tells_what_was_too_thin(case: Case, structures: Path, tmp_path: Path) -> None:
    result = run("smooth", structures, "--series", series(case), "--roi", "SpinalCord", "--mm", 2, "--json",
                 "--out", tmp_path / "smooth.dcm")  # fmt: skip

    (row,) = json.loads(result.stdout)["structures"]
    own = read_structures(structures, case.stack.grid).rois[1].region
    changed = read_structures(tmp_path / "smooth.dcm", case.stack.grid).rois[0].region
    assert row["name"] == "SpinalCord"
    assert changed.voxel_count == own.voxel_count
    assert not np.array_equal(changed.mask(), own.mask())


def test_an_empty_structure_stays_empty_beside_smoothed_ones(case: Case, tmp_path: Path) -> None:
    path, out = tmp_path / "partly.dcm", tmp_path / "smooth.nii.gz"
    rois = [(1, "SpinalCord", [contour(square(case.stack.grid, p)) for p in (3, 4, 5)]), (2, "Heart", None)]
    structure_set(rois, case.stack.grid).save_as(path, enforce_file_format=True)

    result = run("smooth", path, "--series", series(case), "--mm", 1, "--out", out, "--json")

    assert ["Heart", "is empty and stays so"] in json.loads(result.stdout)["remarks"]
    assert out.exists()
