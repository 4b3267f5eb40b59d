"""Phantoms: told from patients by their shape, water measured here, and a worker that may be away, slow or broken."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dicom_gateway.cli.app import app
from imaging.series import Stack, scan
from imaging.testing.phantom import make_phantom
from qc.image import check_series
from qc.image.phantom import analyse_phantom, phantom_verdict, recognise, recognise_stack
from qc.image.phantom.result import PhantomResult, PhantomValue
from qc.image.result import Grade, SeriesVerdict
from tests.conftest import data_folder
from tests.qc.bodies import TRUNK, Body
from tests.synthetic.phantoms import Phantom, phantom_description, write_phantom_series

SPACING = (0.8, 0.8)


def stack_of(folder: Path, phantom: Phantom, **options: float) -> Stack:
    write_phantom_series(folder, phantom, **options)
    return scan([folder]).stacks[0]


def planes_of(phantom: Phantom) -> list[Any]:
    description = phantom_description(phantom, step_mm=8.0)
    return list(phantom.values(description.grid()))


@pytest.mark.parametrize(
    "phantom",
    [
        Phantom("water"),
        Phantom("water", hu_shift=15.0, sigma_hu=12.0),
        Phantom("acr_ct"),
        Phantom("acr_ct", roll_deg=37.0, off_mm=(9.0, 7.0)),
        Phantom("acr_ct", hu_shift=-25.0),
        Phantom("catphan504", ends_mm=(-60.0, 50.0)),
        Phantom("catphan504", ends_mm=(-30.0, 30.0), roll_deg=-20.0),
    ],
)
def test_a_phantom_is_recognised_turned_shifted_and_wrong(phantom: Phantom) -> None:
    assert recognise(planes_of(phantom), SPACING) == phantom.kind


def test_a_missing_module_leaves_the_kind_unknown_or_water_never_another_kind() -> None:
    without_inserts = Phantom("acr_ct", ends_mm=(24.0, 112.0))

    assert recognise(planes_of(without_inserts), SPACING) in {"", "water"}


def test_patients_are_no_phantoms() -> None:
    grid = TRUNK.grid()
    assert recognise(list(Body().values(grid)), grid.pixel_spacing_mm) == ""
    patient = make_phantom(shape=(96, 90, 84)).volume
    assert recognise(list(patient.array[::6]), patient.grid.pixel_spacing_mm) == ""
    assert recognise([np.full((50, 60), -1000)] * 5, SPACING) == ""


@pytest.mark.data
def test_a_real_head_and_neck_is_no_phantom() -> None:
    assert recognise_stack(scan([data_folder("ct_head_neck") / "series"]).stacks[0]) == ""


@pytest.mark.parametrize("shift_hu", [-8.0, -3.0, 0.0, 3.0, 5.0, 12.0])
def test_water_is_measured_to_a_tenth_and_graded(tmp_path: Path, shift_hu: float) -> None:
    result = analyse_phantom(stack_of(tmp_path, Phantom(hu_shift=shift_hu), step_mm=12.0))

    assert result.kind == "water"
    assert result.value("phantom.water.mean") == pytest.approx(shift_hu, abs=0.1)
    assert result.value("phantom.water.noise") == pytest.approx(4.0, rel=0.02)
    assert result.value("phantom.water.diameter") == pytest.approx(200.0, abs=0.5)
    expected = Grade.PASS if abs(shift_hu) <= 4 else Grade.WARN if abs(shift_hu) <= 6 else Grade.FAIL
    assert result.grade is expected


def test_cupping_is_the_difference_between_edge_and_centre(tmp_path: Path) -> None:
    even = analyse_phantom(stack_of(tmp_path / "even", Phantom(), step_mm=12.0))
    cupped = analyse_phantom(stack_of(tmp_path / "cupped", Phantom(cupping_hu=20.0), step_mm=12.0))

    assert even.value("phantom.water.uniformity") < 0.3
    # Regions of 0.2 R' about 0.75 R' and the centre, R' = 92 mm: the mean square distance differs by (0.75 R' / R)^2.
    assert cupped.value("phantom.water.uniformity") == pytest.approx(20.0 * (0.75 * 0.92) ** 2, rel=0.03)


def test_without_a_worker_a_phantom_is_recognised_and_not_evaluable(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, Phantom("acr_ct"))

    result = analyse_phantom(stack)

    assert (result.kind, result.reason, result.values) == ("acr_ct", "worker_missing", ())
    assert analyse_phantom(stack, python=tmp_path / "nowhere").reason == "worker_missing"


def worker_that(folder: Path, does: str) -> Path:
    """An interpreter that does something else than it is asked."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\nimport sys, time, os, json\n{does}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("does", "detail"),
    [
        ("time.sleep(60)", "timeout"),
        ("os.abort()", "JSONDecodeError"),
        ("print('no json')", "JSONDecodeError"),
        (
            "print(json.dumps({'status': 'failed', 'error': 'ValueError'}))",
            "ValueError: the scan may not hold all modules of the phantom; scan its whole length",
        ),
    ],
)
def test_a_worker_that_hangs_crashes_or_fails_is_a_result(tmp_path: Path, does: str, detail: str) -> None:
    stack = stack_of(tmp_path / "scan", Phantom(), step_mm=40.0)

    result = analyse_phantom(stack, "acr_ct", python=worker_that(tmp_path, does), timeout_s=1.5)

    assert (result.reason, result.detail) == ("error", detail)


def test_the_worker_itself_answers_a_missing_library_with_its_kind(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, Phantom(), step_mm=40.0)

    result = analyse_phantom(stack, "acr_ct", python=Path(sys.executable), timeout_s=30)

    assert (result.reason, result.detail) == ("error", "ModuleNotFoundError")


def test_an_unknown_kind_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="allowed: auto, water, acr_ct"):
        analyse_phantom(stack_of(tmp_path, Phantom(), step_mm=40.0), "catfan")


def test_a_phantom_is_a_verdict_like_any_other_without_the_checks_of_patients(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, Phantom(hu_shift=9.0), step_mm=12.0)
    patient = check_series(stack)

    verdict = phantom_verdict(analyse_phantom(stack), patient)

    assert (verdict.grade, verdict.profile_id) == (Grade.FAIL, "phantom_water")
    [finding] = verdict.findings()
    assert finding.check_id == "phantom.water.mean" and finding.action is not None
    assert finding.action.operator == "physicist"
    assert {m.check_id for m in verdict.measurements} >= {"phantom.water.noise"}
    assert SeriesVerdict.from_json(verdict.to_json()).to_json() == verdict.to_json()


def test_a_phantom_that_could_not_be_measured_says_why(tmp_path: Path) -> None:
    patient = check_series(stack_of(tmp_path, Phantom(), step_mm=40.0))

    verdict = phantom_verdict(PhantomResult("acr_ct", reason="worker_missing"), patient)

    assert verdict.grade is Grade.NOT_EVALUABLE
    assert [r.reason for r in verdict.results] == ["worker_missing"]


def test_numbers_without_limits_are_followed_and_not_graded() -> None:
    result = PhantomResult("acr_ct", (PhantomValue("phantom.acr_ct.x", 3.0, "1"),))

    assert result.grade is Grade.NOT_EVALUABLE
    with pytest.raises(KeyError):
        result.value("phantom.acr_ct.y")


def test_the_command_measures_and_tells_the_grade_by_its_exit_code(tmp_path: Path) -> None:
    run = CliRunner()
    write_phantom_series(tmp_path / "good", Phantom(), step_mm=12.0)
    write_phantom_series(tmp_path / "bad", Phantom(hu_shift=20.0), step_mm=12.0)

    good = run.invoke(app, ["qc", "phantom", str(tmp_path / "good")])
    bad = run.invoke(app, ["qc", "phantom", str(tmp_path / "bad"), "--json"])
    lacking = run.invoke(app, ["qc", "phantom", str(tmp_path / "bad"), "--kind", "acr_ct"])
    wrong = run.invoke(app, ["qc", "phantom", str(tmp_path / "bad"), "--kind", "catfan"])

    assert (good.exit_code, bad.exit_code, lacking.exit_code, wrong.exit_code) == (0, 11, 12, 2)
    assert "phantom.water.mean" in good.stdout and "worker_missing" in lacking.stdout
    assert '"grade": "FAIL"' in bad.stdout
