"""A phantom's values as the verdict on its series, so that board, report, export and trends need to know no phantom."""

from qc.image.phantom.result import PhantomResult, PhantomValue
from qc.image.result import (
    Action,
    Cause,
    CheckResult,
    Grade,
    LimitsUsed,
    Location,
    Measurement,
    SeriesVerdict,
    Subject,
)

__all__ = ["phantom_verdict"]

VERSION = "1.0.0"


def phantom_verdict(result: PhantomResult, patient: SeriesVerdict) -> SeriesVerdict:
    """The verdict on a series that shows a phantom; what the checks of patients said of it is dropped.

    Parameters
    ----------
    result
        What was measured, or why nothing was.
    patient
        The verdict of the checks of patients, for the identity of the series.
    """
    subject = patient.results[0].subject if patient.results else Subject()
    profile = f"phantom_{result.kind}"
    graded = tuple(
        _graded(v, subject, profile, patient.profile_sha256, result) for v in result.values if v.limits is not None
    )
    if result.reason:
        graded = (_unjudged(result, subject, profile, patient.profile_sha256),)
    return SeriesVerdict(
        series_instance_uid=patient.series_instance_uid,
        grade=result.grade,
        profile_id=profile,
        profile_sha256=patient.profile_sha256,
        results=graded,
        measurements=tuple(Measurement(v.id, v.value, v.unit) for v in result.values if v.limits is None),
        skipped=tuple(r.check_id for r in patient.results),
    )


def _graded(
    value: PhantomValue, subject: Subject, profile: str, profile_sha256: str, result: PhantomResult
) -> CheckResult:
    limits = value.limits or ((0.0, 0.0), (0.0, 0.0))
    is_bad = value.grade in {Grade.WARN, Grade.FAIL}
    cause = Cause(
        "phantom", f"模体测值 {value.value:.1f} 超出界限", f"The phantom measures {value.value:.1f}, beyond its limits"
    )
    action = Action(
        "phantom_check",
        "physicist",
        False,
        "请重扫模体确认；仍超限则做空气校准或报修，并暂停用于定量",
        "Scan the phantom again; if it stays, calibrate or call service, and do not use CT numbers meanwhile",
    )
    return CheckResult(
        value.id,
        VERSION,
        subject,
        value.value,
        value.unit,
        0.0,
        LimitsUsed(limits[0], limits[1], {}, "gate", value.limit_source, profile, profile_sha256),
        value.grade,
        where=(Location("box_mm"),) if is_bad else (),
        cause=cause if is_bad else None,
        action=action if is_bad else None,
        source=result.algorithm,
    )


def _unjudged(result: PhantomResult, subject: Subject, profile: str, profile_sha256: str) -> CheckResult:
    limits = LimitsUsed(None, None, {}, "gate", "", profile, profile_sha256)
    return CheckResult(
        f"phantom.{result.kind}",
        VERSION,
        subject,
        None,
        "1",
        None,
        limits,
        Grade.NOT_EVALUABLE,
        reason=result.reason,
        evidence={"error": result.detail} if result.detail else {},
        source=result.algorithm or "radgate",
    )
