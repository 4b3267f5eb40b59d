"""One rule turns a number and limits into a grade."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qc.image.grade import grade_state, grade_value
from qc.image.profile import Limits
from qc.image.result import Grade, worst

GATE = Limits(warn=(1.0, 3.0), fail=(0.5, 5.0), role="gate", limit_source="test")
NOTE = Limits(warn=(1.0, 3.0), fail=(0.5, 5.0), role="note", limit_source="test")


@pytest.mark.parametrize(
    ("value", "grade"),
    [
        (2.0, "PASS"),
        (1.0, "PASS"),
        (3.0, "PASS"),
        (3.01, "WARN"),
        (5.0, "WARN"),
        (5.01, "FAIL"),
        (0.9, "WARN"),
        (0.4, "FAIL"),
    ],
)
def test_a_value_on_a_bound_gets_the_better_grade(value: float, grade: str) -> None:
    assert grade_value(value, 0.0, GATE) == grade


def test_fail_needs_the_whole_interval_outside() -> None:
    assert grade_value(5.2, 0.3, GATE) is Grade.WARN
    assert grade_value(5.31, 0.3, GATE) is Grade.FAIL
    assert grade_value(0.3, 0.3, GATE) is Grade.WARN


def test_a_note_is_warn_at_most() -> None:
    assert grade_value(99.0, 0.0, NOTE) is Grade.WARN
    assert grade_state("bad", {"bad": "FAIL"}, Limits(role="note", limit_source="test")) is Grade.WARN


def test_the_profile_overrides_the_grade_of_a_state() -> None:
    assert grade_state("bad", {"bad": "FAIL"}, Limits(grades={"bad": "PASS"}, limit_source="test")) is Grade.PASS


def test_a_number_cannot_be_graded_with_limits_of_states() -> None:
    with pytest.raises(ValueError, match="limits"):
        grade_value(1.0, 0.0, Limits(limit_source="test"))


@given(st.floats(-20, 20), st.floats(0, 5), st.floats(0, 5))
def test_more_uncertainty_never_makes_a_grade_worse(value: float, small: float, more: float) -> None:
    order = [Grade.PASS, Grade.WARN, Grade.FAIL]

    first, second = grade_value(value, small, GATE), grade_value(value, small + more, GATE)

    assert order.index(second) <= order.index(first)


def test_open_ends_never_fail() -> None:
    limits = Limits(warn=(-math.inf, 1.0), fail=(-math.inf, math.inf), limit_source="test")

    assert grade_value(1e9, 0.0, limits) is Grade.WARN
    assert grade_value(-1e9, 0.0, limits) is Grade.PASS


def test_worst_grade_ignores_what_could_not_be_evaluated() -> None:
    assert worst([Grade.PASS, Grade.NOT_EVALUABLE]) is Grade.PASS
    assert worst([Grade.NOT_EVALUABLE]) is Grade.NOT_EVALUABLE
    assert worst([]) is Grade.NOT_EVALUABLE
    assert worst([Grade.WARN, Grade.FAIL, Grade.PASS]) is Grade.FAIL
