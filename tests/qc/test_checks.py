"""Every check that discovery finds: clean images pass, planted defects are measured, the rest is not evaluable."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from qc.image.profile import load_profiles
from qc.image.registry import NotEvaluable, discover, render, template_fields
from qc.image.result import Grade
from qc.image.run import check_inputs
from tests.qc.cases import CASES
from tests.qc.looks import NUMBERS, STATES, alarmed, clean, number_case, planted, state_case, states

RELATIVE = frozenset({
    "ct.noise.gni", "ct.dose.ssde", "ct.starvation", "ct.sharpness.f50", "mr.snrd", "mr.snr", "mr.cnr", "mr.cjv",
    "mr.wm2max",
})  # fmt: skip
"""Checks whose tolerance is a share of the truth (specification of image quality, section 8)."""


def test_every_check_has_a_case_and_every_case_a_check() -> None:
    assert set(CASES) == set(discover())


def test_every_state_of_a_categorical_check_is_planted() -> None:
    for check_id in STATES:
        assert set(state_case(check_id).states) == set(discover()[check_id].states), check_id


@pytest.mark.parametrize("check_id", sorted(CASES))
def test_clean_image_passes(check_id: str) -> None:
    result = clean(check_id).result(check_id)

    assert result is None or result.grade is Grade.PASS, result
    assert result is not None or CASES[check_id].profile not in load_profiles()[CASES[check_id].profile].limits


@pytest.mark.parametrize("check_id", NUMBERS)
def test_value_follows_the_planted_severity(check_id: str) -> None:
    case = number_case(check_id)
    pairs = [(severity, float(found.value)) for severity, found in planted(check_id)]

    rank = stats.spearmanr([p[0] for p in pairs], [p[1] for p in pairs]).statistic

    assert rank >= 0.95, pairs
    if case.truth is not None:
        for severity, value in pairs:
            truth = case.truth(severity)
            allowed = case.tolerance * (abs(truth) if check_id in RELATIVE else 1)
            assert abs(value - truth) <= allowed + 1e-9, (severity, value, truth)


@pytest.mark.parametrize("check_id", [c for c in NUMBERS if number_case(c).alarm is not None])
def test_planted_defect_raises_an_alarm_that_says_where_and_what_to_do(check_id: str) -> None:
    verdict = alarmed(check_id)
    result = None if verdict is None else verdict.result(check_id)

    assert result is not None
    assert result.grade in {Grade.WARN, Grade.FAIL}
    assert result.cause is not None
    assert result.action is not None
    assert result.where or "pixels" not in discover()[check_id].needs


@pytest.mark.parametrize("check_id", STATES)
def test_planted_state_is_found_and_graded(check_id: str) -> None:
    spec = discover()[check_id]
    profile = load_profiles()[state_case(check_id).profile]
    for state, (verdict, _) in states(check_id).items():
        result = verdict.result(check_id)

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

    result = check_inputs(inputs, case.profile, only={check_id}).result(check_id)

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
    spec = discover()[check_id]
    by_state = check_id in STATES
    for found in [m for _, m in states(check_id).values()] if by_state else [planted(check_id)[-1][1]]:
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
