"""`radgate contour` as a person types it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner, Result

from contouring import write_rtstruct
from contouring.convert import read_structures
from contouring.errors import LateralityConflict, RecipeRefused, SegmentationRefused, UnknownStructure
from dicom_gateway.cli import main
from dicom_gateway.cli.contour import app
from imaging.errors import NotAnImageStack
from imaging.geometry import Grid
from tests.contouring.segments import ALGORITHM, MADE_AT, Case, make_case
from tests.contouring.structure_sets import contour, square, structure_set
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


def test_smooth_keeps_the_volume_and_tells_what_was_too_thin(case: Case, structures: Path, tmp_path: Path) -> None:
    result = run("smooth", structures, "--series", series(case), "--roi", "SpinalCord", "--mm", 2, "--json",
                 "--out", tmp_path / "smooth.dcm")  # fmt: skip

    (row,) = json.loads(result.stdout)["structures"]
    own = read_structures(structures, case.stack.grid).rois[1].region
    changed = read_structures(tmp_path / "smooth.dcm", case.stack.grid).rois[0].region
    assert row["name"] == "SpinalCord"
    assert changed.voxel_count == own.voxel_count
    assert not np.array_equal(changed.mask(), own.mask())


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


def test_measure_gives_volume_axes_and_density(case: Case, structures: Path) -> None:
    result = run("measure", structures, "--series", series(case), "--roi", "SpinalCord", "--json")

    row = json.loads(result.stdout)["structures"][0]
    assert row["volume_cc"] == pytest.approx(case.rois[1].region.voxel_count * 2.5 * 1.1 * 0.9 / 1000, rel=1e-5)
    assert row["axes"]["long_axis"]["length_mm"] == pytest.approx(np.hypot(18 * 1.1, 18 * 0.9))
    assert row["density"]["unit"] == "[hnsf'U]"
    assert row["uptake"] is None
    # The phantom is narrower than a trunk: it might be a limb.
    assert (row["side"], row["midline_from"]) == (None, None)
    assert row["no_side_because"]
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


def spoiled(case: Case, path: Path, *contours: Dataset, **attributes: Any) -> Path:
    """A structure set of another maker with the given contours."""
    ds = structure_set([(1, "SpinalCord", contours)], case.stack.grid, **attributes)
    ds.save_as(path, enforce_file_format=True)
    return path


def one_line(arguments: list[object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the installed command prints for an error, after the mark of radgate."""
    monkeypatch.setattr("sys.argv", ["radgate", "contour", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.err.count("\n")) == (2, 1)
    return told.err.removeprefix("radgate: ")


@pytest.mark.parametrize(
    ("contours", "word"),
    [
        (lambda grid: [contour(b"1\\2\\3"), contour(b"1\\2\\3\\4\\5\\6")], "enclose no voxels"),
        (lambda grid: [contour(b"NaN\\2\\3\\4\\5\\6\\7\\8\\9 ")], "no finite number"),
        (lambda grid: [contour(b"left\\2\\3\\4\\5\\6\\7\\8\\9")], "no finite number"),
        (lambda grid: [contour(square(grid, 2.4))], "between the slices"),
        (lambda grid: [contour(square(grid, 3) + 900.0)], "outside the image"),
    ],
    ids=["points", "nan", "text", "between", "outside"],
)
def test_a_bad_structure_set_is_one_line_and_exit_code_two(
    case: Case,
    tmp_path: Path,
    contours: Callable[[Grid], list[Dataset]],
    word: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = spoiled(case, tmp_path / "bad.dcm", *contours(case.stack.grid))

    told = one_line(["to-mask", bad, "--series", series(case), "--out", tmp_path / "m.nii.gz"], capsys, monkeypatch)

    assert word in told
    assert told.startswith("SpinalCord: ")
    assert not (tmp_path / "m.nii.gz").exists()


def test_an_error_names_the_option_and_every_reading_command_has_it(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = spoiled(case, tmp_path / "bad.dcm", *(contour(square(case.stack.grid, p)) for p in (3.4, 4.4)))
    place = ["--series", series(case)]
    out = ["--roi", "SpinalCord", "--mm", "2", "--out", tmp_path / "m.nii.gz"]

    for command in (["compare", bad, bad, *place], ["measure", bad, *place], ["margin", bad, *place, *out]):
        assert "--offgrid" in one_line(command, capsys, monkeypatch)
        assert run(*command, "--offgrid", "nearest").exit_code == 0


def test_corrupt_data_name_their_contour(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = [b"1\\2\\3\\4\\5\\6\\7\\8\\9 ", b"1\\2\\x\\4\\5\\6\\7\\8\\9 "]
    bad = spoiled(case, tmp_path / "bad.dcm", *(contour(d) for d in data))

    assert "contour 2" in one_line(["measure", bad, "--series", series(case)], capsys, monkeypatch)


def test_an_empty_structure_stays_empty_beside_smoothed_ones(case: Case, tmp_path: Path) -> None:
    path, out = tmp_path / "partly.dcm", tmp_path / "smooth.nii.gz"
    rois = [(1, "SpinalCord", [contour(square(case.stack.grid, p)) for p in (3, 4, 5)]), (2, "Heart", None)]
    structure_set(rois, case.stack.grid).save_as(path, enforce_file_format=True)

    result = run("smooth", path, "--series", series(case), "--mm", 1, "--out", out, "--json")

    assert ["Heart", "is empty and stays so"] in json.loads(result.stdout)["remarks"]
    assert out.exists()


@pytest.mark.parametrize("mm", ["150", "-101", "nan"])
def test_a_margin_out_of_range_is_one_sentence_about_the_option(
    case: Case, structures: Path, tmp_path: Path, mm: str
) -> None:
    result = run("margin", structures, "--series", series(case), "--roi", "SpinalCord", f"--mm={mm}",
                 "--out", tmp_path / "m.nii.gz", fails=True)  # fmt: skip

    assert result.exit_code == 2
    assert "--mm lies within" in result.output


def test_compare_tells_in_json_what_could_not_be_read(case: Case, tmp_path: Path) -> None:
    data = b"1\\2\\x\\4\\5\\6\\7\\8\\9 "
    rois = [(1, "SpinalCord", [contour(square(case.stack.grid, 3))]), (2, "Heart", [contour(data)])]
    path = tmp_path / "partly.dcm"
    structure_set(rois, case.stack.grid).save_as(path, enforce_file_format=True)

    result = run("compare", path, path, "--series", series(case), "--json")

    assert result.exit_code == 1
    printed = json.loads(result.stdout)
    assert printed["agreements"]["SpinalCord"]["dice"] == 1
    for side in ("noticed_in_reference", "noticed_in_other"):
        ((name, reason),) = printed[side]["refused"]
        assert name == "Heart"
        assert "ContourData" in reason


def test_a_nifti_without_names_is_measured_with_labels(case: Case, structures: Path, tmp_path: Path) -> None:
    run("to-mask", structures, "--series", series(case), "--out", tmp_path / "map.nii.gz")
    (tmp_path / "map.labels.json").unlink()
    named = ["--label", "1=Parotid_L", "--label", "2=SpinalCord", "--json"]

    rows = json.loads(run("measure", tmp_path / "map.nii.gz", "--series", series(case), *named).stdout)["structures"]
    both = json.loads(run("compare", structures, tmp_path / "map.nii.gz", "--series", series(case), *named).stdout)

    assert [r["name"] for r in rows] == ["Parotid_L", "SpinalCord"]
    assert all(a["dice"] == 1 for a in both["agreements"].values())


def test_two_files_without_a_common_structure_are_an_error(
    case: Case, structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = spoiled(case, tmp_path / "other.dcm", contour(square(case.stack.grid, 4)))
    run("to-mask", structures, "--series", series(case), "--out", tmp_path / "one.dcm", "--roi", "Parotid_L")

    told = one_line(["compare", tmp_path / "one.dcm", other, "--series", series(case)], capsys, monkeypatch)

    assert told == (
        "No structure is in both files: the first holds Parotid_L, the second SpinalCord; give --aliases where names "
        "differ.\n"
    )


def test_files_that_are_cut_or_foreign_are_one_line(
    case: Case, structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = structures.read_bytes()
    for name, content in (("cut.dcm", whole[: len(whole) // 2]), ("text.dcm", b"no DICOM at all")):
        (tmp_path / name).write_bytes(content)
        for command in (["check"], ["measure", "--series", series(case)]):
            assert one_line([command[0], tmp_path / name, *command[1:]], capsys, monkeypatch).endswith(".\n")


def test_another_frame_of_reference_is_refused(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = spoiled(case, tmp_path / "bad.dcm", contour(square(case.stack.grid, 3)), frame="1.2.3.99")

    told = one_line(["measure", bad, "--series", series(case)], capsys, monkeypatch)

    assert "another frame of reference" in told


def test_what_was_skipped_moved_or_left_empty_is_told(case: Case, tmp_path: Path) -> None:
    grid = case.stack.grid
    rows = [contour(square(grid, 2)), contour(b"1\\2\\3"), contour(square(grid, 5), uid="1.2.3.4.5")]
    foreign = spoiled(case, tmp_path / "a.dcm", *rows)

    plain = run("to-mask", foreign, "--series", series(case), "--out", tmp_path / "a.nii.gz").stdout
    filled = run("to-mask", foreign, "--series", series(case), "--out", tmp_path / "b.nii.gz", "--fill-gaps", "--json")

    assert "1 points, open lines or contours of fewer than three points were skipped" in plain
    assert "2 slices without a contour between others were left empty: 4 to 5" in plain
    assert "1 contours name another image" in plain
    remarks = [text for _, text in json.loads(filled.stdout)["remarks"]]
    assert "2 slices were interpolated between contours, as asked" in remarks
    assert not any("left empty" in text for text in remarks)
    between = spoiled(case, tmp_path / "c.dcm", contour(square(grid, 2.4)))
    moved = run("to-mask", between, "--series", series(case), "--out", tmp_path / "c.nii.gz", "--offgrid", "nearest")
    assert "1 contours were moved to their slice, as asked, by up to 1.00 mm" in moved.stdout
    empty = spoiled(case, tmp_path / "d.dcm")
    assert "has no contours and stays empty" in run("measure", empty, "--series", series(case)).stdout


def test_one_bad_structure_does_not_lose_the_others(case: Case, tmp_path: Path) -> None:
    good, bad = contour(square(case.stack.grid, 3)), contour(b"x\\2\\3")
    both = structure_set([(1, "SpinalCord", [good]), (2, "Parotid_L", [bad])], case.stack.grid)
    both.save_as(tmp_path / "both.dcm", enforce_file_format=True)

    result = run("to-mask", tmp_path / "both.dcm", "--series", series(case), "--out", tmp_path / "m.dcm")

    assert result.exit_code == 1
    assert "not read: Parotid_L: ContourData of contour 1 holds something" in result.stdout
    assert (tmp_path / "m.dcm").exists()


def test_an_unmapped_name_is_told_with_the_nearest_and_refused_on_request(case: Case, tmp_path: Path) -> None:
    foreign = structure_set([(1, "Partid_L", [contour(square(case.stack.grid, 3))])], case.stack.grid)
    foreign.save_as(tmp_path / "f.dcm", enforce_file_format=True)
    arguments = ["to-mask", tmp_path / "f.dcm", "--series", series(case), "--out", tmp_path / "m.nii.gz"]

    assert "not a TG-263 name: Partid_L; the nearest are Parotid_L" in run(*arguments).stdout
    refused = run(*arguments, "--strict-names", fails=True).exception
    assert isinstance(refused, UnknownStructure)
    assert "Parotid_L" in str(refused)
    (tmp_path / "site.toml").write_text('"Partid_L" = "Parotid_L"\n', encoding="utf-8")
    assert "nearest" not in run(*arguments, "--strict-names", "--aliases", tmp_path / "site.toml").stdout
    (tmp_path / "radgate.toml").write_text('[contour]\naliases = "site.toml"\n', encoding="utf-8")
    assert "nearest" not in run("--config", tmp_path / "radgate.toml", *arguments, "--strict-names").stdout


def test_probabilities_become_a_fractional_segmentation(case: Case, structures: Path, tmp_path: Path) -> None:
    run("to-mask", structures, "--series", series(case), "--roi", "SpinalCord", "--out", tmp_path / "a.nii.gz")
    labels = nibabel.load(tmp_path / "a.nii.gz")
    steps = np.random.default_rng(3).integers(0, 256, labels.shape) * (np.asarray(labels.dataobj) > 0)
    nibabel.save(nibabel.Nifti1Image((steps / 255).astype(np.float32), labels.affine), tmp_path / "p.nii.gz")
    arguments = ["--series", series(case), "--kind", "fractional", "--out"]

    run("to-mask", tmp_path / "p.nii.gz", "--label", "1=SpinalCord", *arguments, tmp_path / "p.dcm")
    run("to-mask", tmp_path / "p.dcm", *arguments, tmp_path / "again.dcm")

    for name in ("p.dcm", "again.dcm"):
        region = read_structures(tmp_path / name, case.stack.grid).rois[0].region
        probability = np.zeros(case.stack.grid.shape)
        probability[region.box] = region.probability
        assert np.array_equal(np.rint(probability * 255).transpose(2, 1, 0), steps)
    refused = run("to-mask", structures, *arguments, tmp_path / "x.dcm", fails=True).exception
    assert isinstance(refused, SegmentationRefused)


@pytest.mark.parametrize(
    ("option", "value"), [("--profile", "knee"), ("--out", "no/such/folder/a.dcm"), ("--out", "a.txt")]
)
def test_wrong_options_are_named(case: Case, structures: Path, option: str, value: str) -> None:
    given = {"--series": series(case), "--out": "a.dcm", option: value}

    result = run("to-rtstruct", structures, *[part for pair in given.items() for part in pair])

    assert result.exit_code == 2
    assert option in result.output


def test_small_parts_are_left_out_on_request_and_counted(case: Case, tmp_path: Path) -> None:
    grid = case.stack.grid
    rows = [contour(square(grid, 3)), contour(square(grid, 3, column=30, row=35, side=1))]
    foreign = spoiled(case, tmp_path / "a.dcm", *rows)
    arguments = ["to-rtstruct", foreign, "--series", series(case), "--out", tmp_path / "b.dcm", "--json"]

    whole = json.loads(run(*arguments).stdout)
    cleaned = json.loads(run(*arguments, "--drop-parts-below-cc", 0.1).stdout)

    assert ["SpinalCord", "1 parts below 0.1 cc were left out, as asked"] in cleaned["remarks"]
    assert cleaned["structures"][0]["volume_cc"] < whole["structures"][0]["volume_cc"]


def test_a_recipe_beside_a_structure_of_one_s_own_is_refused(case: Case, structures: Path, tmp_path: Path) -> None:
    result = run("margin", structures, "--series", series(case), "--recipe", "prostate", "--mm", "5",
                 "--out", tmp_path / "a.dcm")  # fmt: skip

    assert result.exit_code == 2
    assert "--recipe" in result.output
    assert not (tmp_path / "a.dcm").exists()


def test_a_margin_that_leaves_the_scan_or_nothing_is_told(case: Case, structures: Path, tmp_path: Path) -> None:
    common = ["--series", series(case), "--roi", "SpinalCord", "--name", "PTV", "--json", "--out"]

    cut = json.loads(run("margin", structures, "--mm", "60", *common, tmp_path / "cut.dcm").stdout)
    gone = json.loads(run("margin", structures, "--mm", "-60", *common, tmp_path / "gone.dcm").stdout)
    held = json.loads(run("margin", structures, "--mm", "1", *common, tmp_path / "held.dcm").stdout)

    assert any(name == "PTV" and "the end of the scan cuts off about" in text for name, text in cut["remarks"])
    assert ["PTV", "nothing is left of SpinalCord at -60 mm; it is empty"] in gone["remarks"]
    assert gone["structures"][0]["volume_cc"] == 0
    assert not any("end of the scan" in text for _, text in held["remarks"])


@pytest.mark.parametrize("command", ["compare", "rename"])
@pytest.mark.parametrize("place", ["no/such/folder/x", "x.txt"])
def test_pictures_and_renamed_files_have_a_place_before_the_work(
    case: Case, structures: Path, tmp_path: Path, command: str, place: str
) -> None:
    ending, option = (".png", "--picture") if command == "compare" else (".dcm", "--out")
    target = tmp_path / (place if place.endswith(".txt") else place + ending)
    other = [structures, "--series", series(case)] if command == "compare" else []

    result = run(command, structures, *other, option, target)

    assert result.exit_code == 2
    assert option in result.output
    assert not target.exists()
