"""A series in, a verdict out: what it says, what it never says, and that it is the same every time."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from imaging.errors import GantryTilt, Localiser, MissingSlices, RadgateError, TruncatedFile
from imaging.series import load_volume, scan
from qc.errors import CheckInvalid
from qc.image import SeriesVerdict, check_inputs, check_refused, check_series
from qc.image.page import render_page
from qc.image.registry import REGISTERED, Advice, Measured, check, discover
from qc.image.result import Grade
from tests.qc.bodies import TRUNK, Body, body_inputs, edited, header_inputs
from tests.synthetic.series import CHINESE_NAME, write_series


def test_a_clean_series_passes_from_file_to_verdict(tmp_path: Path) -> None:
    write_series(tmp_path, replace(TRUNK, pixels=Body().values(TRUNK.grid()), intercept=0.0))
    stack = scan([tmp_path]).stacks[0]

    verdict = check_series(stack, load_volume(stack))

    assert verdict.grade is Grade.PASS, verdict.findings()
    assert verdict.profile_id == "ct_base"
    assert verdict.series_instance_uid == stack.series_instance_uid


def test_the_verdict_goes_through_json_unchanged() -> None:
    verdict = check_inputs(body_inputs(shift_mm=40.0))

    data = json.loads(json.dumps(verdict.to_json(), allow_nan=False))

    assert SeriesVerdict.from_json(data).to_json() == data
    assert data["grade"] == "FAIL"
    assert {r["check_id"] for r in data["results"]} >= {"ct.truncation", "gen.geometry.missing"}


def test_the_same_series_gives_the_same_verdict() -> None:
    first, second = (check_inputs(body_inputs()).untimed() for _ in range(2))

    assert first.to_json() == second.to_json()


def test_a_tilted_series_fails_with_the_angle_and_an_action(tmp_path: Path) -> None:
    write_series(tmp_path, tilt_deg=11.0)
    stack = scan([tmp_path]).stacks[0]
    with pytest.raises(GantryTilt) as caught:
        load_volume(stack)

    verdict = check_series(stack, None, refusal=caught.value)

    assert verdict.grade is Grade.FAIL
    assert check_series(stack).untimed() == verdict.untimed()
    tilt = verdict.result("gen.geometry.tilt")
    assert tilt is not None
    assert tilt.value == pytest.approx(11.0, abs=0.05)
    assert tilt.action is not None
    assert tilt.action.code == "reconstruct_untilted"
    assert [r.reason for r in verdict.results if r.check_id == "ct.noise.gni"] == ["no_volume"]


def test_a_series_with_a_gap_fails_and_says_where(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    for path in paths[7:9]:
        path.unlink()
    stack = scan([tmp_path]).stacks[0]
    with pytest.raises(MissingSlices) as caught:
        load_volume(stack)

    verdict = check_series(stack, None, refusal=caught.value)

    missing = verdict.result("gen.geometry.missing")
    assert missing is not None
    assert missing.value == 2
    assert len(missing.where[0].data["p_mm"]) == 2
    assert missing.cause is not None
    assert missing.cause.en.endswith("after slice 7")


def test_a_refusal_without_headers_is_a_fail_with_an_action() -> None:
    verdict = check_refused((), TruncatedFile("The file is cut."), series_instance_uid="2.25.7", modality="CT")

    assert (verdict.grade, verdict.series_instance_uid) == (Grade.FAIL, "2.25.7")
    usable = verdict.result("gen.geometry.usable")
    assert usable is not None
    assert usable.action is not None
    assert usable.action.code == "resend"


def test_a_localiser_is_no_failure() -> None:
    verdict = check_refused(header_inputs(planes=2).headers, Localiser("A scout."), modality="CT")

    usable = verdict.result("gen.geometry.usable")
    assert usable is not None
    assert usable.grade is Grade.WARN


def test_a_required_check_that_cannot_be_evaluated_is_a_warning_and_under_a_strict_profile_a_failure() -> None:
    inputs = edited(body_inputs(), ImagePositionPatient=None)

    warned, failed = check_inputs(inputs, "ct_base"), check_inputs(inputs, "ct_rt_sim")

    assert (warned.grade, failed.grade) == (Grade.WARN, Grade.FAIL)
    assert {r.reason for r in warned.unjudged()} == {"missing_tag"}
    assert {r.check_id for r in warned.unjudged()} <= set(warned.required)
    named = ", ".join(f"{r.check_id} (missing_tag)" for r in warned.unjudged())
    assert f"required and not evaluable: {named}" in render_page([warned])
    assert not check_inputs(body_inputs(), "ct_base").unjudged()


def test_notes_do_not_change_the_grade_of_the_series() -> None:
    verdict = check_inputs(edited(body_inputs(), PatientPosition=None))

    position = verdict.result("gen.tag.position")
    assert position is not None
    assert position.grade is Grade.WARN
    assert verdict.grade is Grade.PASS


def test_checks_of_other_modalities_are_skipped_and_numbers_without_limits_are_measurements() -> None:
    verdict = check_inputs(edited(header_inputs(), Modality="MR"))

    assert "ct.noise.gni" in verdict.skipped
    assert verdict.result("ct.noise.gni") is None
    assert "gen.tag.order" in verdict.skipped
    measured = {m.check_id for m in verdict.measurements}
    assert "gen.slice.thickness" in measured


def test_a_fault_inside_a_check_is_not_evaluable_and_stays_out_of_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(inputs: object) -> Measured:
        raise RuntimeError(CHINESE_NAME)

    spec = discover()["gen.geometry.tilt"]
    monkeypatch.setitem(REGISTERED, "gen.geometry.tilt", replace(spec, run=broken))
    discover.cache_clear()
    try:
        with caplog.at_level(logging.DEBUG):
            verdict = check_inputs(body_inputs())
    finally:
        discover.cache_clear()

    tilt = verdict.result("gen.geometry.tilt")
    assert tilt is not None
    assert (tilt.grade, tilt.reason, tilt.evidence["error"]) == (Grade.NOT_EVALUABLE, "error", "RuntimeError")
    assert "张" not in json.dumps(verdict.to_json(), ensure_ascii=False) + caplog.text
    assert len(verdict.results) > 10


def test_no_verdict_carries_the_patient() -> None:
    for inputs in (body_inputs(shift_mm=40.0), edited(header_inputs(), PatientAge="199Y", PatientSex="Q")):
        text = json.dumps(check_inputs(inputs).to_json(), ensure_ascii=False)

        for canary in ("张", "Zhang", "TEST0001", "19610305", "ACC1"):
            assert canary not in text


@pytest.mark.parametrize("junk", ["", "\\", "x", "1e999", "nan", "-", "1\\2"])
def test_odd_header_values_end_in_grades_not_in_errors(junk: str) -> None:
    keywords = (
        "SliceThickness",
        "RescaleSlope",
        "InstanceNumber",
        "PatientAge",
        "PatientPosition",
        "Laterality",
        "KVP",
    )
    headers = header_inputs(planes=3)
    for header in headers.headers:
        for keyword in keywords:
            header.add_new(keyword, "LO", junk)

    verdict = check_inputs(headers)

    assert not [r.check_id for r in verdict.results if r.reason == "error"]


def test_an_incomplete_declaration_is_refused() -> None:
    advice = Advice("metal", "金属 {value:.0f}", "Metal {other:.0f}", "none", "technician", "无", "None")

    with pytest.raises(CheckInvalid, match="both languages"):
        check(
            "ct.test", version="1.0.0", title=("测试", "Test"), unit="1", direction="higher_worse", settles="early",
            source="test", causes={"a": advice},
        )(lambda inputs: Measured(1.0))  # fmt: skip


def test_an_id_is_given_once() -> None:
    with pytest.raises(CheckInvalid, match="taken"):
        check(
            "ct.metal", version="1.0.0", title=("测试", "Test"), unit="1", direction="higher_worse", settles="early",
            source="test", causes={},
        )(lambda inputs: Measured(1.0))  # fmt: skip


def test_importing_image_quality_loads_nothing_heavy() -> None:
    heavy = "torch monai pynetdicom fastapi sqlalchemy matplotlib highdicom SimpleITK"
    code = f"import sys, qc.image; print([m for m in '{heavy}'.split() if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_errors_stand_in_one_tree() -> None:
    from qc import errors

    for name in errors.__all__:
        assert issubclass(getattr(errors, name), RadgateError)
        assert f"{name}" in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("modality", "part", "tags", "state"),
    [
        ("CT", "BREAST", {"SeriesDescription": "RT Breast"}, "consistent"),  # radiotherapy
        ("MR", "KNEE", {"ProtocolName": "RT KNEE"}, "consistent"),
        ("DX", "THORAX", {"SeriesDescription": "CHEST", "ProtocolName": "RT"}, "consistent"),
        ("DX", "HAND", {"ProtocolName": "RT"}, "consistent"),
        ("DX", "THORAX", {"SeriesDescription": "RT HAND"}, "contradictory"),
        ("DX", "HAND", {"SeriesDescription": "RT AP"}, "contradictory"),
        ("CR", "", {"SeriesDescription": "RT膝 正位"}, "contradictory"),
        ("MG", "BREAST", {"SeriesDescription": "RT MLO"}, "contradictory"),
        ("CT", "BREAST", {"SeriesDescription": "右乳 放疗"}, "contradictory"),
    ],
)
def test_rt_is_a_side_in_projections_beside_a_paired_part_only(
    modality: str, part: str, tags: dict[str, str], state: str
) -> None:
    tags = {"SeriesDescription": "", "ProtocolName": "", **tags}
    inputs = edited(header_inputs(planes=2), Modality=modality, BodyPartExamined=part, Laterality="L", **tags)

    result = check_inputs(inputs).result("gen.tag.laterality")

    assert result is not None
    assert result.value == state


@pytest.mark.parametrize("words", ["KNEE L", "L5 S1", "R/O fracture", "left and right", "lateral"])
def test_a_single_letter_or_both_sides_contradict_no_side(words: str) -> None:
    inputs = edited(header_inputs(planes=2), Laterality="R", SeriesDescription=words)

    result = check_inputs(inputs).result("gen.tag.laterality")

    assert result is not None
    assert result.value == "consistent"
