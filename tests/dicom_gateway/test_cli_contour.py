"""`radgate contour` as a person types it."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from contouring import write_rtstruct
from contouring.convert import read_structures
from contouring.errors import LateralityConflict, RecipeRefused, UnknownStructure
from dicom_gateway.cli.contour import app
from imaging.errors import NotAnImageStack
from tests.contouring.segments import ALGORITHM, MADE_AT, Case, make_case
from tests.synthetic.series import write_series


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("series"))


@pytest.fixture
def structures(case: Case, tmp_path: Path) -> Path:
    path = tmp_path / "rs.dcm"
    path.write_bytes(write_rtstruct(case.rois, case.stack, made_at=MADE_AT, algorithm=ALGORITHM).encoded)
    return path


def run(*arguments: object, fails: bool = False) -> Result:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if not fails and result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def series(case: Case) -> Path:
    return case.stack.files[0].parent


def test_masks_and_back_give_the_same_voxels(case: Case, structures: Path, tmp_path: Path) -> None:
    for name in ("map.nii.gz", "seg.dcm"):
        forth = run("to-mask", structures, "--series", series(case), "--out", tmp_path / name, "--json")
        back = run("to-rtstruct", tmp_path / name, "--series", series(case), "--out", tmp_path / "back.dcm",
                   "--profile", "eclipse", "--mode", "crack", "--json")  # fmt: skip

        assert json.loads(forth.stdout)["structures"] == json.loads(back.stdout)["structures"]
        read = read_structures(tmp_path / "back.dcm", case.stack.grid)
        assert all(np.array_equal(r.region.mask(), m) for r, m in zip(read.rois, case.masks.values(), strict=True))


def test_one_structure_is_taken_out(case: Case, structures: Path, tmp_path: Path) -> None:
    result = run("to-mask", structures, "--series", series(case), "--out", tmp_path / "one.dcm", "--roi", "SpinalCord")

    assert result.exit_code == 0
    assert "SpinalCord" in result.stdout
    assert "Parotid" not in result.stdout


def test_check_says_what_is_broken_and_exits_with_one(case: Case, structures: Path) -> None:
    good = run("check", structures, "--profile", "generic", "--json")
    import pydicom

    ds = pydicom.dcmread(structures)
    ds.StructureSetROISequence[0].ROIName = "A name longer than sixteen"
    ds.save_as(structures)
    bad = run("check", structures, "--profile", "eclipse", "--series", series(case), "--json")

    assert (good.exit_code, json.loads(good.stdout)["findings"]) == (0, [])
    assert bad.exit_code == 1
    assert json.loads(bad.stdout)["findings"]


def test_compare_prints_a_table_and_draws(case: Case, structures: Path, tmp_path: Path) -> None:
    run("margin", structures, "--series", series(case), "--roi", "SpinalCord", "--mm", 3, "--name", "SpinalCord",
        "--out", tmp_path / "grown.dcm")  # fmt: skip

    result = run("compare", structures, tmp_path / "grown.dcm", "--series", series(case),
                 "--picture", tmp_path / "worst.png", "--json")  # fmt: skip

    found = json.loads(result.stdout)
    assert 0.3 < found["agreements"]["SpinalCord"]["dice"] < 1
    assert found["agreements"]["SpinalCord"]["hausdorff95_mm"] == pytest.approx(3, abs=1.2)
    assert found["only_in_reference"] == ["Parotid_L"]
    assert (tmp_path / "worst.png").read_bytes().startswith(b"\x89PNG")
    assert "SpinalCord" in run("compare", structures, tmp_path / "grown.dcm", "--series", series(case)).stdout


def test_margin_names_its_result(case: Case, structures: Path, tmp_path: Path) -> None:
    result = run("margin", structures, "--series", series(case), "--roi", "SpinalCord", "--mm", 4, "--json",
                 "--out", tmp_path / "prv.dcm")  # fmt: skip

    rows = json.loads(result.stdout)["structures"]
    assert rows[0]["name"] == "SpinalCord_PRV04"
    assert rows[0]["volume_cc"] > case.rois[1].region.voxel_count * 2.5 * 0.99 / 1000


def test_recipe_of_the_site_is_carried_out(case: Case, structures: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "site.toml"
    recipe.write_text('site = "x"\n[[step]]\nname = "SpinalCord_PRV05"\nfrom = "SpinalCord"\ngrow_mm = 5\n')

    result = run("margin", structures, "--series", series(case), "--recipe", recipe, "--out", tmp_path / "a.nii.gz",
                 "--json")  # fmt: skip

    assert [r["name"] for r in json.loads(result.stdout)["structures"]] == ["SpinalCord_PRV05"]
    failed = run("margin", structures, "--series", series(case), "--recipe", "knee", "--out", "x.dcm", fails=True)
    assert isinstance(failed.exception, RecipeRefused)


def test_measure_gives_volume_axes_and_density(case: Case, structures: Path) -> None:
    result = run("measure", structures, "--series", series(case), "--roi", "SpinalCord", "--json")

    row = json.loads(result.stdout)["structures"][0]
    assert row["volume_cc"] == pytest.approx(case.rois[1].region.voxel_count * 2.5 * 1.1 * 0.9 / 1000, rel=1e-5)
    assert row["axes"]["long_axis"]["length_mm"] == pytest.approx(np.hypot(18 * 1.1, 18 * 0.9))
    assert row["density"]["unit"] == "[hnsf'U]"
    assert row["uptake"] is None
    assert "SpinalCord" in run("measure", structures, "--series", series(case)).stdout


def test_measure_of_pet_gives_uptake(tmp_path: Path) -> None:
    case = make_case(tmp_path / "pet", modality="PT")
    path = tmp_path / "rs.dcm"
    path.write_bytes(write_rtstruct(case.rois, case.stack, made_at=MADE_AT, algorithm=ALGORITHM).encoded)

    row = json.loads(run("measure", path, "--series", tmp_path / "pet", "--json").stdout)["structures"][0]

    assert row["density"]["unit"] == "g/ml{SUVbw}"
    assert 0 < row["uptake"]["peak"] <= row["uptake"]["maximum"]


def test_rename_lists_what_has_no_match_and_exits_with_one(case: Case, structures: Path, tmp_path: Path) -> None:
    import pydicom

    ds = pydicom.dcmread(structures)
    ds.StructureSetROISequence[0].ROIName = "Speicheldruese li"
    ds.StructureSetROISequence[1].ROIName = "spinal cord"
    ds.save_as(structures)
    aliases = tmp_path / "aliases.toml"
    aliases.write_text('"speicheldruese li" = "Parotid_L"\n')

    partly = run("rename", structures, "--json")
    wholly = run("rename", structures, "--aliases", aliases, "--out", tmp_path / "renamed.dcm")

    assert (partly.exit_code, json.loads(partly.stdout)["unmatched"]) == (1, 1)
    assert wholly.exit_code == 0
    names = [i.ROIName for i in pydicom.dcmread(tmp_path / "renamed.dcm").StructureSetROISequence]
    assert names == ["Parotid_L", "SpinalCord"]


def test_rename_sees_a_structure_on_the_wrong_side(case: Case, structures: Path) -> None:
    """The planted fault: the body's middle lies right of the structure that is called right."""
    import pydicom

    centres = {r.name.tg263: np.argwhere(r.region.mask()).mean(axis=0) for r in case.rois}
    assert abs(centres["Parotid_L"][2] - centres["SpinalCord"][2]) * 0.9 > 10
    ds = pydicom.dcmread(structures)
    ds.StructureSetROISequence[0].ROIName = "Parotid_L"
    ds.StructureSetROISequence[1].ROIName = "Body"
    ds.save_as(structures)
    right_way = run("rename", structures, "--series", series(case), fails=True)
    ds.StructureSetROISequence[0].ROIName = "Parotid_R"
    ds.save_as(structures)
    other_way = run("rename", structures, "--series", series(case), fails=True)

    errors = [r.exception for r in (right_way, other_way)]
    assert sum(isinstance(e, LateralityConflict) for e in errors) == 1


def test_errors_are_typed(case: Case, structures: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.nii.gz"

    empty = run("to-mask", structures, "--series", tmp_path, "--out", out, fails=True)
    unknown = run("to-mask", structures, "--series", series(case), "--out", out, "--roi", "Heart", fails=True)
    nothing = run("margin", structures, "--series", series(case), "--out", out, fails=True)
    label = run("to-rtstruct", structures, "--series", series(case), "--out", out, "--label", "one", fails=True)

    assert isinstance(empty.exception, NotAnImageStack)
    assert isinstance(unknown.exception, UnknownStructure)
    assert (nothing.exit_code, label.exit_code) == (2, 2)


def test_the_series_that_the_structures_name_is_taken(case: Case, structures: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    write_series(both / "one", seed=1)
    write_series(both / "two", seed=2)

    result = run("to-mask", structures, "--series", both, "--out", tmp_path / "m.nii.gz", "--json")

    assert result.exit_code == 0
    import pydicom

    ds = pydicom.dcmread(structures)
    del ds.ReferencedFrameOfReferenceSequence
    ds.save_as(structures)
    open_which = run("to-mask", structures, "--series", both, "--out", tmp_path / "m.nii.gz", fails=True)
    assert isinstance(open_which.exception, NotAnImageStack)


def test_an_uneven_series_is_measured_without_density(tmp_path: Path) -> None:
    case = make_case(tmp_path / "ct", planes=6, steps_mm=(2.0, 3.0, 3.0, 5.0, 2.5))
    path = tmp_path / "rs.dcm"
    path.write_bytes(write_rtstruct(case.rois, case.stack, made_at=MADE_AT, algorithm=ALGORITHM).encoded)

    rows = json.loads(run("measure", path, "--series", tmp_path / "ct", "--json").stdout)["structures"]

    assert [r["density"] for r in rows] == [None, None]
    assert all(r["volume_cc"] > 0 for r in rows)
