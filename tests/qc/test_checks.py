"""Every check that discovery finds: clean images pass, planted defects are measured, the rest is not evaluable."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from qc.image.inputs import Inputs
from qc.image.profile import load_profiles
from qc.image.registry import Measured, NotEvaluable, discover, render, template_fields
from qc.image.result import CheckResult, Grade
from qc.image.run import check_inputs
from tests.qc.cases import CASES, NumberCase, StateCase

NUMBERS = sorted(k for k, c in CASES.items() if isinstance(c, NumberCase))
STATES = sorted(k for k, c in CASES.items() if isinstance(c, StateCase))
SEEDS = (1, 2)
RELATIVE = frozenset({
    "ct.noise.gni", "ct.dose.ssde", "ct.starvation", "ct.sharpness.f50", "mr.snrd", "mr.snr", "mr.cnr", "mr.cjv",
    "mr.wm2max",
})  # fmt: skip
"""Checks whose tolerance is a share of the truth (specification of image quality, section 8)."""


def number_case(check_id: str) -> NumberCase:
    case = CASES[check_id]
    assert isinstance(case, NumberCase)
    return case


def measured(check_id: str, inputs: Inputs) -> Measured:
    found = discover()[check_id].run(inputs)
    assert isinstance(found, Measured), found
    return found


def graded(check_id: str, inputs: Inputs) -> CheckResult | None:
    return check_inputs(inputs, CASES[check_id].profile, only={check_id}).result(check_id)


def test_every_check_has_a_case_and_every_case_a_check() -> None:
    assert set(CASES) == set(discover())


def test_every_state_of_a_categorical_check_is_planted() -> None:
    for check_id in STATES:
        case = CASES[check_id]
        assert isinstance(case, StateCase)

        assert set(case.states) == set(discover()[check_id].states), check_id


@pytest.mark.parametrize("check_id", sorted(CASES))
def test_clean_image_passes(check_id: str) -> None:
    result = graded(check_id, CASES[check_id].clean())

    assert result is None or result.grade is Grade.PASS, result
    assert result is not None or CASES[check_id].profile not in load_profiles()[CASES[check_id].profile].limits


@pytest.mark.parametrize("check_id", NUMBERS)
def test_value_follows_the_planted_severity(check_id: str) -> None:
    case = number_case(check_id)
    pairs = [
        (severity, float(measured(check_id, case.planted(severity, seed)).value))
        for severity in case.severities
        for seed in SEEDS
    ]

    rank = stats.spearmanr([p[0] for p in pairs], [p[1] for p in pairs]).statistic

    assert rank >= 0.95, pairs
    if case.truth is not None:
        for severity, value in pairs:
            truth = case.truth(severity)
            allowed = case.tolerance * (abs(truth) if check_id in RELATIVE else 1)
            assert abs(value - truth) <= allowed + 1e-9, (severity, value, truth)


@pytest.mark.parametrize("check_id", [c for c in NUMBERS if number_case(c).alarm is not None])
def test_planted_defect_raises_an_alarm_that_says_where_and_what_to_do(check_id: str) -> None:
    case = number_case(check_id)
    assert case.alarm is not None

    result = graded(check_id, case.planted(case.alarm, 3))

    assert result is not None
    assert result.grade in {Grade.WARN, Grade.FAIL}
    assert result.cause is not None
    assert result.action is not None
    assert result.where or "pixels" not in discover()[check_id].needs


@pytest.mark.parametrize("check_id", STATES)
def test_planted_state_is_found_and_graded(check_id: str) -> None:
    case, spec = CASES[check_id], discover()[check_id]
    assert isinstance(case, StateCase)
    profile = load_profiles()[case.profile]
    for state, make in case.states.items():
        result = graded(check_id, make())

        assert result is not None
        assert result.value == state
        expected = profile.limits[check_id].grades.get(state, spec.states[state])
        expected = "WARN" if expected == "FAIL" and profile.limits[check_id].role == "note" else expected
        assert result.grade == expected
        assert (result.action is None) == (result.grade is Grade.PASS)


@pytest.mark.parametrize("check_id", sorted(CASES))
def test_what_cannot_be_judged_is_not_evaluable(check_id: str) -> None:
    case = CASES[check_id]
    inputs = case.not_evaluable()

    result = graded(check_id, inputs)

    if result is None:
        found = discover()[check_id].run(inputs)
        assert isinstance(found, NotEvaluable)
        assert found.reason == case.reason
    else:
        assert (result.grade, result.reason) == (Grade.NOT_EVALUABLE, case.reason)
        assert result.value is None


@pytest.mark.parametrize("check_id", sorted(CASES))
def test_texts_render_with_extreme_numbers_in_both_languages(check_id: str) -> None:
    for key, advice in discover()[check_id].causes.items():
        for template in advice.templates():
            extremes: dict[str, float | str] = {
                name: -98765.4321 if form.endswith(("f", "d", "g")) else "ImageOrientationPatient"
                for name, form in template_fields(template).items()
            }
            text = render(template, extremes)

            assert sum("一" <= c <= "鿿" for c in text) <= 60, (key, text)
            assert "{" not in text


@pytest.mark.parametrize("check_id", sorted(CASES))
def test_check_gives_the_numbers_that_its_texts_name(check_id: str) -> None:
    """Texts are rendered only for bad grades, so a missing number would hide until it is needed."""
    spec, case = discover()[check_id], CASES[check_id]
    makers = (
        list(case.states.values()) if isinstance(case, StateCase) else [lambda: case.planted(case.severities[-1], 1)]
    )
    for make in makers:
        found = measured(check_id, make())
        for template in spec.causes[found.advice].templates() if found.advice else ():
            render(template, {"value": found.value, **found.params})


@pytest.mark.parametrize("check_id", sorted(CASES))
def test_order_of_arrival_does_not_matter(check_id: str) -> None:
    inputs = CASES[check_id].clean()
    order = np.random.default_rng(5).permutation(len(inputs.headers))
    headers = tuple(inputs.headers[k] for k in order)
    pictures = tuple(replace(p, header=int(np.flatnonzero(order == p.header)[0])) for p in inputs.pictures)
    shuffled = replace(inputs, headers=headers, pictures=pictures)

    first, second = discover()[check_id].run(inputs), discover()[check_id].run(shuffled)

    assert first == second
