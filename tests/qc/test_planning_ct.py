"""What a planning CT is held back for, and a diagnostic one is not."""

import pytest

from qc.image.result import Grade
from qc.image.run import check_inputs
from tests.qc.case import NumberCase
from tests.qc.cases import CASES


@pytest.mark.parametrize(("profile", "counts"), [("ct_rt_sim", True), ("ct_head", True), ("ct_base", False)])
def test_a_step_of_12_mm_between_two_slices_counts_for_the_grade_of_a_planning_ct(profile: str, counts: bool) -> None:
    case = CASES["ct.motion"]
    assert isinstance(case, NumberCase)

    moved = check_inputs(case.planted(12, 1), profile)

    found = moved.result("ct.motion")
    assert found is not None
    assert found.grade is Grade.WARN
    assert found.limits is not None
    assert (found.limits.role == "gate") is counts
    assert not counts or moved.grade in {Grade.WARN, Grade.FAIL}


def test_a_blurred_ct_is_noted() -> None:
    case = CASES["ct.sharpness.f50"]
    assert isinstance(case, NumberCase)

    blurred, clean = (check_inputs(case.planted(sharpness, 1)).result("ct.sharpness.f50") for sharpness in (0.4, 1.0))

    assert blurred is not None
    assert clean is not None
    assert (blurred.grade, clean.grade) == (Grade.WARN, Grade.PASS)
    assert blurred.action is not None
