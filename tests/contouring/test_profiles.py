"""Export profiles and the validator."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

import contouring.profiles.load
from contouring.decimals import contour_data, decimal_text
from contouring.profiles import check_profile, load_profile, profile_names
from contouring.profiles.load import RULES
from contouring.rtstruct_read import read_rtstruct
from tests.contouring.cases import ORIENTATIONS, knotty_mask, roi, stack_of
from tests.contouring.structure_sets import contour, square, structure_set
from tests.contouring.test_rtstruct_write import written

GRID = stack_of().grid
LABEL = Tag(0x30060002)


@pytest.mark.parametrize("name", profile_names())
def test_every_rule_has_a_value_and_a_source(name: str) -> None:
    profile = load_profile(name)

    assert set(profile.rules) == set(RULES)
    assert all(r.source for r in profile.rules.values())


def test_the_six_systems_are_there() -> None:
    assert set(profile_names()) == {"eclipse", "generic", "mim", "monaco", "pinnacle", "raystation"}


@pytest.mark.parametrize("name", profile_names())
def test_what_is_written_for_a_profile_reads_back_and_keeps_its_hard_rules(name: str) -> None:
    result = written(profile=name)

    rules = {f.rule.split(": ")[-1].split(" =")[0] for f in result.report.findings}
    assert rules <= {"min_area_px"}, "specks of one pixel are told"


def test_an_ordinary_structure_keeps_all_rules_of_all_profiles() -> None:
    stack = stack_of()
    mask = np.zeros(stack.grid.shape, dtype=np.bool_)
    mask[4:9, 10:30, 12:27] = True
    mask[5, 15:20, 15:22] = False

    for name in profile_names():
        assert check_profile(written(stack, [roi(mask)], profile=name).dataset, name) == ()


def _rules(ds: object, profile: str) -> set[str]:
    return {f.rule for f in check_profile(ds, profile, GRID)}  # type: ignore[arg-type]


def test_a_foreign_structure_set_breaks_what_it_breaks() -> None:
    long_ds = "\\".join(f"{v:.17f}" for v in square(GRID, 2).ravel()).encode()
    long_ds += b" " * (len(long_ds) % 2)
    names = ["a name of 20 letters", "x" * 63, "gtv", "GTV"]
    items = [[contour(long_ds)], [contour(square(GRID, 3)[:2])], [contour(square(GRID, 3.5))], [contour(b"1\\2")]]
    ds = structure_set([(n, name, c) for n, (name, c) in enumerate(zip(names, items, strict=True), 1)], GRID)
    label = b"longer than sixteen "
    ds[LABEL] = RawDataElement(LABEL, "SH", len(label), label, 0, True, True)

    eclipse, generic = _rules(ds, "eclipse"), _rules(ds, "generic")

    for rule in ("name_max = 16", "names_unique_ignoring_case = True", "label_max = 16", "need_contour_image = True",
                 "one_plane_per_slice = True", "colour = True"):  # fmt: skip
        assert f"eclipse: {rule}" in eclipse
    assert {"DICOM: DS has at most 16 characters", "DICOM: corrupt_contour_data", "3 points at least"} <= generic
    assert not any("unique_ignoring" in r or "name_max" in r for r in generic)


def test_limits_of_points_spacing_and_area() -> None:
    angle = np.linspace(0, 2 * np.pi, 1500, endpoint=False)
    circle = GRID.points_lps(4, np.stack([20 + 9 * np.cos(angle), 25 + 9 * np.sin(angle)], axis=1))
    speck = square(GRID, 6, side=1)[[0, 1, 0]] + [[0, 0, 0], [0, 0, 0], [0.01, 0.02, 0]]
    ds = structure_set([(1, "a", [contour(circle), contour(speck)])], GRID)

    rules = _rules(ds, "pinnacle")

    assert {"pinnacle: max_points = 1000", "pinnacle: min_area_px = 0.5"} <= rules


def test_findings_say_whether_the_rule_is_verified() -> None:
    ds = structure_set([(1, "x" * 20, None)], GRID)

    (finding,) = [f for f in check_profile(ds, "eclipse") if "name_max" in f.rule]

    assert not finding.verified
    assert finding.tag == "(3006,0026)"
    assert "xx" not in finding.value, "no text of the object"


@pytest.mark.parametrize("change", [{"holes": None}, {"holes": "zigzag"}, {"name_max": "many"}])
def test_a_faulty_profile_is_refused(change: dict[str, object]) -> None:
    good = {
        k: {"value": r.value, "source": r.source, "verified": r.verified} for k, r in load_profile("mim").rules.items()
    }
    for key, value in change.items():
        if value is None:
            del good[key]
        else:
            good[key] = {"value": value, "source": "x", "verified": False}

    with pytest.raises(ValueError, match="profile mim"):
        contouring.profiles.load._profile("mim", {"title": "MIM", "rules": good})


def test_the_validator_agrees_with_the_writer_about_specks() -> None:
    findings = written(rois=[roi(knotty_mask(GRID))], profile="monaco", mode="smooth").report.findings

    assert any("min_area_px" in f.rule for f in findings) or findings == ()


def _ring(side: float, corner: float, plane: int = 5) -> NDArray[np.float64]:
    return square(GRID, plane, column=corner, row=corner, side=side)


def test_holes_in_another_form_than_the_profile_writes_are_told() -> None:
    outer, hole, island = _ring(20, 8), _ring(9, 12), _ring(3, 14)
    keyhole = np.concatenate([outer, outer[:1], hole[[0, 3, 2, 1, 0]]])
    nested = structure_set([(1, "a", [contour(r) for r in (outer, hole, island, _ring(9, 12, plane=6))])], GRID)
    joined = structure_set([(1, "a", [contour(keyhole)])], GRID)
    crossed = structure_set([(1, "a", [contour(r, kind="CLOSEDPLANAR_XOR") for r in (outer, hole)])], GRID)

    def holes(ds: Dataset, profile: str) -> list[str]:
        return [f.value for f in check_profile(ds, profile, GRID) if ": holes = " in f.rule]

    assert holes(nested, "eclipse") == ["ROI 1: 1 contours as nested"], "the island and the other plane are no holes"
    assert holes(joined, "generic") == ["ROI 1: 1 contours as keyhole"]
    assert holes(crossed, "eclipse") == holes(crossed, "generic") == ["ROI 1: 2 contours as xor"]
    assert holes(nested, "generic") == holes(joined, "eclipse") == []


@pytest.mark.parametrize("form", ["nested", "keyhole", "xor"])
@pytest.mark.parametrize("mode", ["crack", "smooth"])
def test_the_form_of_holes_that_the_writer_gave_is_the_one_that_is_found(form: str, mode: str) -> None:
    stack = stack_of()
    mask = np.zeros(stack.grid.shape, dtype=np.bool_)
    mask[4:9, 10:30, 12:27] = True
    mask[5, 15:20, 15:22] = False
    ds = written(stack, [roi(mask)], holes=form, mode=mode).dataset

    for profile, own in (("generic", "nested"), ("eclipse", "keyhole")):
        found = [f.value.split()[-1] for f in check_profile(ds, profile, GRID) if ": holes = " in f.rule]
        assert found == ([] if form == own else [form])


@pytest.mark.parametrize(
    ("number", "digits"),
    [(b"1.1234", 4), (b"-0.12345e1", 4), (b"5e-7", 7), (b"1.1230000", 0), (b"1234.5E1", 0), (b"12", 0)],
)
def test_digits_after_the_point_are_counted_as_the_value_has_them(number: bytes, digits: int) -> None:
    ds = structure_set(
        [(1, "a", [contour(b"\\".join([b"1", number, b"3", b"4", b"5", b"6", b"7", b"8", b"9"]))])], GRID
    )

    found = [f.value for f in check_profile(ds, "generic") if "decimals" in f.rule]

    assert found == ([f"ROI 1: {digits} digits after the point"] if digits else [])


def test_the_slice_s_own_position_may_have_all_digits_of_the_image() -> None:
    grid = replace(GRID, positions_lps=GRID.positions_lps + np.array([0, 0, 0.12345678901]))
    flat = replace(grid, row_direction=np.array([1.0, 0, 0]), column_direction=np.array([0, 1.0, 0]))
    data = contour_data(square(flat, 3), np.array([0, 4]), 3, [None, None, [decimal_text(flat.positions_lps[3, 2])]])
    finer = contour_data(square(flat, 3) + 0.00017, np.array([0, 4]), 5, [None, None, ["7"]])

    def told(*values: bytes) -> list[str]:
        ds = structure_set([(1, "a", [contour(v) for v in values])], flat)
        return [f.value for f in check_profile(ds, "generic") if "decimals" in f.rule]

    assert told(*data) == []
    assert told(*data, *finer) == ["ROI 1: 5 digits after the point"]


def test_another_image_is_told() -> None:
    stack = stack_of()
    far = square(GRID, 3) + 500 * GRID.row_direction
    partly = square(GRID, 4, column=-3)
    above = square(GRID, 2) - 5000 * GRID.normal
    ds = structure_set(
        [(1, "a", [contour(p, uid="1.2.9") for p in (far, partly, above, square(GRID, 5))])], GRID, "1.9"
    )
    frame, study, series = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = "1.2.3.9"
    study.RTReferencedSeriesSequence, frame.RTReferencedStudySequence = Sequence([series]), Sequence([study])
    ds.ReferencedFrameOfReferenceSequence = Sequence([frame])

    findings = {f.rule: f for f in check_profile(ds, "eclipse", stack.grid, stack.sources)}

    assert findings["eclipse: same_frame_of_reference = True"].verified
    assert findings["the structure set names the series of the image"].value == "another series"
    assert findings["contours name images of the series"].value == "ROI 1: 4 contours"
    assert findings["contours lie within the image"].value == "ROI 1: 3 of 4 contours"


def test_what_radgate_writes_belongs_to_its_image_up_to_the_last_pixel() -> None:
    stack = stack_of()

    result = written(stack, [roi(np.ones(stack.grid.shape, dtype=np.bool_))], mode="crack", profile="eclipse")

    assert check_profile(result.dataset, "eclipse", stack.grid, stack.sources) == ()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("mode", ["crack", "smooth"])
def test_a_body_that_the_image_cuts_keeps_all_rules_in_every_orientation(orientation: str, mode: str) -> None:
    """In sagittal and coronal planes too, where x or y of a ring is constant and each seems to run to and fro."""
    stack = stack_of(orientation=ORIENTATIONS[orientation])
    _, j, i = np.indices(stack.grid.shape)
    middle, size = 0.3 * np.array(stack.grid.shape), np.array(stack.grid.shape)
    body = ((j - middle[1]) / (0.5 * size[1])) ** 2 + ((i - middle[2]) / (0.6 * size[2])) ** 2 < 1
    body &= ((j - 0.4 * size[1]) / (0.15 * size[1])) ** 2 + ((i - 0.3 * size[2]) / (0.1 * size[2])) ** 2 >= 1

    for name in profile_names():
        made = written(stack, [roi(body)], mode=mode, profile=name).dataset
        assert check_profile(made, name, stack.grid, stack.sources) == ()


def test_missing_doubled_and_undefined_parts_are_told_with_their_cause() -> None:
    ds = structure_set([(1, "a", [contour(square(GRID, 3))]), (2, "b", [contour(square(GRID, 4))])], GRID)
    kinds = ["", "OPEN_PLANAR", "CLOSED"]
    ds.ROIContourSequence.append(
        structure_set([(1, "a", [contour(square(GRID, n), kind=k) for n, k in enumerate(kinds, 5)])], GRID)
        .ROIContourSequence[0]
    )  # fmt: skip
    ds.ROIContourSequence[1].ReferencedROINumber = 99

    findings = [(f.tag, f.value) for f in check_profile(ds, "eclipse", GRID)]

    assert {
        ("(3006,0039)", "ROI 1: 2 items"),
        ("(3006,0042)", "ROI 1: 1 contours without it"),
        ("(3006,0042)", "ROI 1: 1 contours of an undefined type"),
        ("(3006,0042)", "ROI 1: 1 open contours"),
        ("(3006,0080)", "absent or empty"),
        ("(3006,0084)", "contours of ROI 99, which is not defined"),
    } <= set(findings)
    assert ("(3006,002A)", "ROI 2: none") not in findings, "the number is the cause, not a colour"


def test_a_structure_set_without_any_roi_breaks_the_standard() -> None:
    findings = check_profile(structure_set([], GRID), "eclipse", GRID)

    assert {"DICOM: StructureSetROISequence is Type 1", "DICOM: ROIContourSequence is Type 1"} <= {
        f.rule for f in findings
    }


BENT = np.array([0.0, 0.9, 0.0, 0.9])


@pytest.mark.parametrize(
    "contours",
    [
        [contour(square(GRID, 3) + BENT[:, None] * GRID.normal)],
        [contour(b"1\\2\\3"), contour(square(GRID, 4)[:2])],
        [contour(square(GRID, 4)[[0, 1, 0, 1]])],
        [contour(b"NaN\\2\\3\\4\\5\\6\\7\\8\\9 ")],
        [contour(b"left\\2\\3\\4\\5\\6\\7\\8\\9")],
        [contour(b"1\\2 ")],
        [contour(square(GRID, 2.4))],
        [contour(square(GRID, 3) + 900.0)],
        [contour(square(GRID, 3)), contour(square(GRID, 3, column=13, row=15))],
        [contour(square(GRID, 3), kind="OPEN_PLANAR")],
    ],
    ids=["bent", "few points", "no area", "nan", "text", "uneven", "between", "outside", "crossing", "open"],
)
def test_what_reading_refuses_the_validator_tells(contours: list[Dataset]) -> None:
    ds = structure_set([(1, "a", contours), (2, "b", [contour(square(GRID, 5))])], GRID)
    ((number, _, fault),) = read_rtstruct(ds, GRID).refused

    findings = check_profile(ds, "generic", GRID)

    assert number == 1
    (told,) = [f for f in findings if fault.code in f.value + f.rule]
    assert (told.fix, told.value.split(":")[0]) == (fault.message, "ROI 1")


@pytest.mark.parametrize("case", ["twice", "frame"])
def test_refusals_of_numbers_and_frames_are_told_once(case: str) -> None:
    numbers = (1, 1) if case == "twice" else (1, 2)
    rois = [(n, name, [contour(square(GRID, 4))]) for n, name in zip(numbers, "ab", strict=True)]
    ds = structure_set(rois, GRID, "1.9" if case == "frame" else None)

    findings = check_profile(ds, "generic", GRID)

    assert len(read_rtstruct(ds, GRID).refused) == 2
    rule = "DICOM: duplicate_roi_number" if case == "twice" else "generic: same_frame_of_reference = True"
    assert [f.value.split(":")[0] for f in findings if f.rule == rule] == [f"ROI {n}" for n in numbers]


def test_contours_of_three_points_of_which_two_are_one_are_told_as_no_area() -> None:
    ds = structure_set([(1, "a", [contour(square(GRID, 4)[[0, 1, 0, 1]]), contour(square(GRID, 5))])], GRID)

    assert "3 points at least" in _rules(ds, "generic")
    assert read_rtstruct(ds, GRID).structures[0].report.not_area == 1
