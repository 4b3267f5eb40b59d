"""Export profiles and the validator."""

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

import contouring.profiles.load
from contouring.profiles import check_profile, load_profile, profile_names
from contouring.profiles.load import RULES
from tests.contouring.cases import knotty_mask, roi, stack_of
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
