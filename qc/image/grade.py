"""From a measured value and the limits of a profile to a grade: one rule for all checks."""

from qc.image.profile import Interval, Limits
from qc.image.result import Grade

__all__ = ["grade_state", "grade_value"]


def grade_value(value: float, uncertainty: float, limits: Limits) -> Grade:
    """Grade of a number.

    Inside `warn` is PASS, outside WARN. FAIL needs the whole interval value +- uncertainty outside `fail`, so that a
    gate never turns on the noise of our own measurement. A value equal to a bound gets the better grade. A note is
    WARN at most.

    Raises
    ------
    ValueError
        The limits are those of a categorical check.
    """
    if limits.warn is None or limits.fail is None:
        raise ValueError("a number needs limits warn and fail")
    if _inside(value, limits.warn):
        return Grade.PASS
    low, high = limits.fail
    if value - uncertainty > high or value + uncertainty < low:
        return _capped(Grade.FAIL, limits)
    return Grade.WARN


def grade_state(state: str, states: dict[str, str], limits: Limits) -> Grade:
    """Grade of a categorical state: the profile's word, else the check's own."""
    return _capped(Grade(limits.grades.get(state, states[state])), limits)


def _capped(grade: Grade, limits: Limits) -> Grade:
    return Grade.WARN if grade is Grade.FAIL and limits.role == "note" else grade


def _inside(value: float, interval: Interval) -> bool:
    return interval[0] <= value <= interval[1]
