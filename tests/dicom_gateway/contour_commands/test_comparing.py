"""`radgate contour compare` and `measure` as a person types them."""

import json
from pathlib import Path

import numpy as np
import pytest

from contouring import write_rtstruct
from tests.contouring.segments import ALGORITHM, MADE_AT, Case, make_case
from tests.contouring.structure_sets import contour, square, structure_set
from tests.dicom_gateway.contour_commands.typed import one_line, run, series, spoiled


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


def test_an_uneven_series_is_measured_without_density(tmp_path: Path) -> None:
    case = make_case(tmp_path / "ct", planes=6, steps_mm=(2.0, 3.0, 3.0, 5.0, 2.5))
    path = tmp_path / "rs.dcm"
    path.write_bytes(write_rtstruct(case.rois, case.stack, made_at=MADE_AT, algorithm=ALGORITHM).encoded)

    rows = json.loads(run("measure", path, "--series", tmp_path / "ct", "--json").stdout)["structures"]

    assert [r["density"] for r in rows] == [None, None]
    assert all(r["volume_cc"] > 0 for r in rows)


def test_a_nifti_without_names_is_measured_with_labels(case: Case, structures: Path, tmp_path: Path) -> None:
    run("to-mask", structures, "--series", series(case), "--out", tmp_path / "map.nii.gz")
    (tmp_path / "map.labels.json").unlink()
    named = ["--label", "1=Parotid_L", "--label", "2=SpinalCord", "--json"]

    rows = json.loads(run("measure", tmp_path / "map.nii.gz", "--series", series(case), *named).stdout)["structures"]
    both = json.loads(run("compare", structures, tmp_path / "map.nii.gz", "--series", series(case), *named).stdout)

    assert [r["name"] for r in rows] == ["Parotid_L", "SpinalCord"]
    assert all(a["dice"] == 1 for a in both["agreements"].values())


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
