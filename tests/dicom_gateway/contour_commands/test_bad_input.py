"""What `radgate contour` says of structure sets that are broken, cut or foreign."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from contouring.errors import UnknownStructure
from imaging.errors import NotAnImageStack
from imaging.geometry import Grid
from tests.contouring.segments import Case
from tests.contouring.structure_sets import contour, square, structure_set
from tests.dicom_gateway.contour_commands.typed import one_line, run, series, spoiled


def test_errors_are_typed(case: Case, structures: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.nii.gz"

    empty = run("to-mask", structures, "--series", tmp_path, "--out", out, fails=True)
    unknown = run("to-mask", structures, "--series", series(case), "--out", out, "--roi", "Heart", fails=True)
    nothing = run("margin", structures, "--series", series(case), "--out", out, fails=True)
    label = run("to-rtstruct", structures, "--series", series(case), "--out", out, "--label", "one", fails=True)

    assert isinstance(empty.exception, NotAnImageStack)
    assert isinstance(unknown.exception, UnknownStructure)
    assert (nothing.exit_code, label.exit_code) == (2, 2)


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


def test_where_an_image_is_missing_each_command_says_what_to_do(
    case: Case, structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gap"
    folder.mkdir()
    for n, file in enumerate(case.stack.files):
        if n != 6:
            (folder / file.name).write_bytes(file.read_bytes())
    reading = ["--series", folder, "--offgrid", "nearest"]

    refused = one_line(["measure", structures, *reading[:2]], capsys, monkeypatch)
    volume = one_line(["to-mask", structures, *reading, "--out", tmp_path / "m.nii.gz"], capsys, monkeypatch)
    surfaces = one_line(["compare", structures, structures, *reading], capsys, monkeypatch)

    assert "give the whole series" in refused and "--offgrid" in refused
    assert "give the whole series" in volume and "(.dcm)" in volume
    assert "give the whole series" in surfaces and "radgate contour measure" in surfaces
    assert run("to-mask", structures, *reading, "--out", tmp_path / "m.dcm").exit_code == 0
    resampled = run("to-mask", structures, "--series", folder, "--offgrid", "resample", "--out", tmp_path / "r.dcm")
    assert "interpolated from them onto the slices" in resampled.stdout
    assert "moved" not in resampled.stdout
