"""Running the checks of a profile over one series."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from imaging.errors import RadgateError
from imaging.volume import Region, Volume
from qc.image.grade import grade_state, grade_value
from qc.image.inputs import Expected, Inputs
from qc.image.judgeable import bar_of
from qc.image.match import Choice, choose_profile
from qc.image.profile import Limits, Profile, load_profiles
from qc.image.registry import CheckSpec, Measured, NotEvaluable, discover, render
from qc.image.result import (
    Action,
    Cause,
    CheckResult,
    Grade,
    LimitsUsed,
    Measurement,
    SeriesVerdict,
    Subject,
    worst,
)
from qc.image.singly import SinglePlanes

if TYPE_CHECKING:
    from imaging.series import Stack
    from qc.image.planar import PlanarSeries

__all__ = [
    "check_inputs",
    "check_pictures",
    "check_refused",
    "check_series",
    "graded",
    "is_given",
    "run_check",
    "with_expectations",
]

logger = logging.getLogger(__name__)


def check_series(
    stack: "Stack",
    volume: Volume | None = None,
    profile: str = "auto",
    *,
    intent: str = "",
    refusal: RadgateError | None = None,
    order: Mapping[str, str] | None = None,
    today: date | None = None,
    profile_folders: Sequence[Path] = (),
    masks: Mapping[str, Region] | None = None,
    companion: Volume | None = None,
    frames: Sequence[Volume] = (),
    siblings: Sequence[Dataset] = (),
) -> SeriesVerdict:
    """The quality of one series.

    Parameters
    ----------
    stack
        The planes of the series with their headers.
    volume
        The image; None where its geometry was refused. The checks of headers and geometry still run.
    profile
        Id of a profile, or "auto": the most specific one that the headers support, else the base of the modality.
    intent
        What the series is meant for ("rt_sim"), where a route knows it.
    refusal
        Why there is no volume; where it is left out, the geometry says so itself.
    order
        What was ordered, by keyword.
    today
        Day of the check; without it dates in the future go unnoticed.
    profile_folders
        Profiles of the site, besides the shipped ones.
    masks, companion, frames, siblings
        Organs, the CT of a PET, the volumes of a series in time, headers of the other series; see `Inputs`.

    Returns
    -------
    SeriesVerdict
        Same input, same verdict, except for `elapsed_ms`.

    Raises
    ------
    ProfileInvalid
        A profile file breaks a rule.
    UnknownProfile
        There is no profile of that id.
    """
    if volume is None and refusal is None:
        refusal = _why_no_volume(stack)
    inputs = Inputs(
        tuple(stack.headers),
        volume,
        refusal,
        order=order or {},
        today=today,
        masks=masks or {},
        companion=companion,
        frames=tuple(frames),
        siblings=tuple(siblings),
    )
    return check_inputs(inputs, profile, intent=intent, profile_folders=profile_folders, stack=stack)


def check_refused(
    headers: Sequence[Dataset],
    reason: RadgateError,
    profile: str = "auto",
    *,
    series_instance_uid: str = "",
    modality: str = "",
    profile_folders: Sequence[Path] = (),
    frames: Sequence[Volume] = (),
) -> SeriesVerdict:
    """The verdict on instances that make up no stack: what is wrong and what to do, beside what their headers show.

    Parameters
    ----------
    headers
        Data sets of the instances, without pixels; may be empty where none could be read or none is at hand.
    reason
        Why they were refused.
    series_instance_uid, modality
        What is known of them where there are no headers.
    frames
        The volumes that a series in time holds, which is no single one.
    profile, profile_folders
        As in `check_series`.

    Raises
    ------
    ProfileInvalid
        A profile file breaks a rule.
    UnknownProfile
        There is no profile of that id.
    """
    known = Subject(series_instance_uid=series_instance_uid, modality=modality)
    inputs = Inputs(tuple(headers), refusal=reason, known=known, frames=tuple(frames))
    return check_inputs(inputs, profile, profile_folders=profile_folders)


def check_pictures(
    series: "PlanarSeries",
    profile: str = "auto",
    *,
    intent: str = "",
    order: Mapping[str, str] | None = None,
    masks: Mapping[str, Region] | None = None,
    today: date | None = None,
    profile_folders: Sequence[Path] = (),
) -> SeriesVerdict:
    """The quality of a series that is no stack: radiographs, ultrasound, photographs, slides, signals.

    Parameters
    ----------
    series
        What `qc.image.planar.read_planar` made of its files.
    masks
        Organs of the first picture, where the caller has them.
    profile, intent, order, today, profile_folders
        As in `check_series`.

    Raises
    ------
    ProfileInvalid
        A profile file breaks a rule.
    UnknownProfile
        There is no profile of that id.
    """
    inputs = Inputs(
        series.headers,
        refusal=series.refusal,
        order=order or {},
        today=today,
        pictures=series.pictures,
        waveform=series.waveform,
        masks=masks or {},
    )
    return check_inputs(inputs, profile, intent=intent, profile_folders=profile_folders)


def check_inputs(
    inputs: Inputs,
    profile: str = "auto",
    *,
    intent: str = "",
    profile_folders: Sequence[Path] = (),
    only: Collection[str] | None = None,
    stack: "Stack | None" = None,
) -> SeriesVerdict:
    """The quality of a series that is given as the inputs of the checks.

    Parameters
    ----------
    inputs
        What the checks may look at.
    profile, intent, profile_folders
        As in `check_series`.
    only
        Ids of the checks to run; all where it is left out. What is not run counts as skipped.
    stack
        Where there is no volume: its planes, which checks of pixels then judge one by one as far as they can.

    Raises
    ------
    ProfileInvalid
        A profile file breaks a rule.
    UnknownProfile
        There is no profile of that id.
    """
    choice = choose_profile(load_profiles(*profile_folders), inputs, profile, intent)
    chosen = choice.profile
    inputs = with_expectations(inputs, chosen)
    results: list[CheckResult] = []
    measurements: list[Measurement] = [_how_chosen(choice)]
    skipped: list[str] = []
    singly = None if stack is None or inputs.volume is not None else SinglePlanes(stack, chosen)
    for spec in discover().values():
        if not spec.applies_to(inputs.modality) or not is_given(spec, inputs):
            skipped.append(spec.id)
            continue
        started = perf_counter()
        found, error = run_check(spec, inputs)
        if singly is not None and isinstance(found, NotEvaluable) and found.reason == "no_volume":
            found = singly.found(spec) or found
        elapsed_ms = (perf_counter() - started) * 1000
        limits = chosen.limits.get(spec.id)
        if limits is not None:
            results.append(graded(spec, found, limits, chosen, inputs, elapsed_ms, error))
        elif isinstance(found, Measured):
            uncertainty = spec.uncertainty if found.uncertainty is None else found.uncertainty
            measurements.append(Measurement(spec.id, found.value, spec.unit, uncertainty, found.evidence))
    return SeriesVerdict(
        series_instance_uid=inputs.subject.series_instance_uid,
        grade=Grade.NOT_EVALUABLE if bar_of(inputs).is_whole else _verdict(results, chosen, skipped),
        profile_id=chosen.id,
        profile_sha256=chosen.sha256,
        results=tuple(results),
        measurements=tuple(measurements),
        skipped=tuple(skipped),
        required=chosen.required,
    )


def _why_no_volume(stack: "Stack") -> RadgateError:
    try:
        _ = stack.grid.affine_lps
    except RadgateError as reason:
        return reason
    return RadgateError("The pixels of the series could not be read; send it again.")


def with_expectations(inputs: Inputs, profile: Profile) -> Inputs:
    """The inputs with what the profile expects of the headers."""
    expect = {key: Expected(e.values, e.range, e.regex) for key, e in profile.expect.items()}
    return replace(inputs, expect={**inputs.expect, **expect})


GIVEN = {
    "order": lambda inputs: bool(inputs.order),
    "expect": lambda inputs: bool(inputs.expect),
    "frames": lambda inputs: len(inputs.frames) > 1,
    "siblings": lambda inputs: bool(inputs.siblings),
    "stack": lambda inputs: not inputs.is_planar,
    "pictures": lambda inputs: inputs.is_planar,
    "image": lambda inputs: inputs.waveform is None,
}
"""What a check compares with, or what kind of series it is made for; where it is not given the check does not apply."""


def is_given(spec: CheckSpec, inputs: Inputs) -> bool:
    """Whether the caller and the profile gave what a check compares with (an order, expectations, a time series)."""
    return all(is_there(inputs) for need, is_there in GIVEN.items() if need in spec.needs)


def _how_chosen(choice: Choice) -> Measurement:
    evidence: dict[str, float | str] = {f"candidate_{i}": c for i, c in enumerate(choice.candidates, start=1)}
    return Measurement("profile.choice", choice.how, "1", evidence=evidence)


def run_check(spec: CheckSpec, inputs: Inputs) -> tuple[Measured | NotEvaluable, str]:
    """What a check found; a fault inside it never stops the others, and its text stays out of the result."""
    bar = bar_of(inputs)
    if bar.holds_for(spec.needs):
        return NotEvaluable(bar.reason), ""
    if inputs.volume is None and "pixels" in spec.needs:
        return NotEvaluable("no_volume"), ""
    try:
        return spec.run(inputs), ""
    except Exception as fault:  # noqa: BLE001 - the one place where a fault of a check is caught
        logger.error("qc check failed: %s %s", spec.id, type(fault).__name__)
        return NotEvaluable("error"), type(fault).__name__


def graded(
    spec: CheckSpec,
    found: Measured | NotEvaluable,
    limits: Limits,
    profile: Profile,
    inputs: Inputs,
    elapsed_ms: float,
    error: str = "",
) -> CheckResult:
    """The result of a check under the limits of a profile."""
    used = _limits_used(limits, profile)
    source = f"radgate {spec.id} {spec.version}"
    if isinstance(found, NotEvaluable):
        evidence = {**found.evidence, **({"error": error} if error else {})}
        return CheckResult(
            spec.id, spec.version, inputs.subject, None, spec.unit, None, used, Grade.NOT_EVALUABLE,
            reason=found.reason, evidence=evidence, source=source, elapsed_ms=elapsed_ms,
        )  # fmt: skip
    uncertainty = spec.uncertainty if found.uncertainty is None else found.uncertainty
    if isinstance(found.value, str):
        grade = grade_state(found.value, dict(spec.states), limits)
        spread = None
    else:
        grade = grade_value(found.value, uncertainty, limits)
        spread = uncertainty
    cause, action = (None, None) if grade is Grade.PASS else _advice(spec, found)
    return CheckResult(
        check_id=spec.id,
        check_version=spec.version,
        subject=inputs.subject,
        value=found.value,
        unit=spec.unit,
        uncertainty=spread,
        limits=used,
        grade=grade,
        where=found.where if grade is not Grade.PASS else (),
        cause=cause,
        action=action,
        evidence=found.evidence,
        source=source,
        elapsed_ms=elapsed_ms,
    )


def _limits_used(limits: Limits, profile: Profile) -> LimitsUsed:
    return LimitsUsed(
        warn=_open_ends(limits.warn),
        fail=_open_ends(limits.fail),
        grades=limits.grades,
        role=limits.role,
        limit_source=limits.limit_source,
        profile=profile.id,
        profile_sha256=profile.sha256,
    )


def _open_ends(interval: tuple[float, float] | None) -> tuple[float | None, float | None] | None:
    if interval is None:
        return None
    low, high = interval
    return (None if low == float("-inf") else low, None if high == float("inf") else high)


def _advice(spec: CheckSpec, found: Measured) -> tuple[Cause | None, Action | None]:
    key = found.advice or next(iter(spec.causes), "")
    if key not in spec.causes:
        return None, None
    advice = spec.causes[key]
    params = {"value": found.value, **found.params}
    cause = Cause(advice.cause, render(advice.zh, params), render(advice.en, params))
    action = Action(
        advice.action,
        advice.operator,
        advice.now,
        render(advice.do_zh, params),
        render(advice.do_en, params),
        params=dict(found.params),
    )
    return cause, action


def _verdict(results: Sequence[CheckResult], profile: Profile, skipped: Sequence[str]) -> Grade:
    grades = [r.grade for r in results if r.is_gate]
    by_id = {r.check_id: r for r in results}
    for check_id in profile.required:
        if check_id in skipped:
            continue
        result = by_id.get(check_id)
        if result is None or result.grade is Grade.NOT_EVALUABLE:
            grades.append(Grade.FAIL if profile.strict else Grade.WARN)
    return worst(grades)
