"""What the checks say of the image of each case, kept so that several tests can ask without making the image again.

Only verdicts and numbers are kept, never an image.
"""

from functools import cache

from qc.image.inputs import Inputs
from qc.image.registry import Measured, discover
from qc.image.result import SeriesVerdict
from qc.image.run import check_inputs
from tests.qc.cases import CASES, NumberCase, StateCase

__all__ = ["NUMBERS", "STATES", "alarmed", "clean", "measured", "number_case", "planted", "state_case", "states"]

NUMBERS = sorted(k for k, c in CASES.items() if isinstance(c, NumberCase))
STATES = sorted(k for k, c in CASES.items() if isinstance(c, StateCase))

SEEDS = (1, 2)
"""`python -m bench.qc_image proof` takes 20."""

ALARM_SEED = 3


def number_case(check_id: str) -> NumberCase:
    """The case of a check that gives a number."""
    case = CASES[check_id]
    assert isinstance(case, NumberCase)
    return case


def state_case(check_id: str) -> StateCase:
    """The case of a categorical check."""
    case = CASES[check_id]
    assert isinstance(case, StateCase)
    return case


@cache
def clean(check_id: str) -> SeriesVerdict:
    """All checks of the profile on the clean image."""
    return check_inputs(CASES[check_id].clean(), CASES[check_id].profile)


@cache
def alarmed(check_id: str) -> SeriesVerdict | None:
    """All checks of the profile on an image that has to alarm; None where the check only measures."""
    case = number_case(check_id)
    return None if case.alarm is None else check_inputs(case.planted(case.alarm, ALARM_SEED), case.profile)


@cache
def states(check_id: str) -> dict[str, tuple[SeriesVerdict, Measured]]:
    """All checks of the profile, and what the check itself found, on an image of each state."""
    case = state_case(check_id)
    found = {}
    for state, make in case.states.items():
        inputs = make()
        found[state] = (check_inputs(inputs, case.profile), measured(check_id, inputs))
    return found


@cache
def planted(check_id: str) -> tuple[tuple[float, Measured], ...]:
    """(severity, what the check measures) in the order of the case; neighbouring severities have different seeds."""
    case = number_case(check_id)
    return tuple(
        (severity, measured(check_id, case.planted(severity, SEEDS[n % len(SEEDS)])))
        for n, severity in enumerate(case.severities)
    )


def measured(check_id: str, inputs: Inputs) -> Measured:
    """What a check measures, outside the runner."""
    found = discover()[check_id].run(inputs)
    assert isinstance(found, Measured), found
    return found
