"""An assessment as JSON values: every number with the rule it was made by, what is refused with its reason."""

from typing import Any

from contouring.dose.assessment import Bounds, CourseFacts, DoseAssessment, RegistrationNumbers, StructureAssessment
from contouring.dose.dvh import USUAL_METRICS, Dvh
from contouring.dose.limits import LimitSet, Verdict

__all__ = ["assessment_report", "verdict_report"]


def assessment_report(assessment: DoseAssessment, metrics: tuple[str, ...] = USUAL_METRICS) -> dict[str, Any]:
    """Everything but the voxels; labels of plans are in it, so it is for people who may see the patient.

    Parameters
    ----------
    assessment
        See `contouring.dose.assess`.
    metrics
        Numbers of each histogram.
    """
    reference = assessment.reference
    return {
        "reference": {
            "study_instance_uid": reference.study_instance_uid,
            "series_instance_uid": reference.series_instance_uid,
            "frame_of_reference_uid": reference.frame_of_reference_uid,
            "modality": reference.modality,
        },
        "structure_set_uid": assessment.structure_set_uid,
        "courses": [_course(c) for c in assessment.courses],
        "structures": [_structure(s, metrics) for s in assessment.structures],
        "refused": [
            {"structure": name, "error": reason.code, "message": reason.message}
            for name, reason in assessment.refused.items()
        ],
        "caps": assessment.caps,
        "site": assessment.site,
        "limit_sets": [_limit_set(s) for s in assessment.limit_sets],
        "warnings": list(assessment.warnings),
        "is_qualitative": assessment.is_qualitative,
        "unknown_share": float(1 - assessment.grids.physical.is_known.mean()),
    }


def verdict_report(verdict: Verdict) -> dict[str, Any]:
    """One limit and how it stands."""
    limit = verdict.limit
    return {
        "limit_set": verdict.limit_set,
        "metric": limit.metric,
        "at_most": limit.at_most,
        "at_least": limit.at_least,
        "unit": verdict.unit,
        "risk": limit.risk,
        "status": verdict.status,
        "value": None if verdict.value is None else round(verdict.value, 6),
        "judged_on": verdict.judged_on,
        "reason": verdict.reason,
        "citation": limit.citation,
        "is_verified": verdict.is_verified,
        "verified_by": limit.verified_by or "unverified",
    }


def _course(course: CourseFacts) -> dict[str, Any]:
    return {
        "letter": course.letter,
        "label": course.label,
        "dose_uid": course.dose_uid,
        "plan_uids": list(course.plan_uids),
        "frame_of_reference_uid": course.frame_of_reference_uid,
        "fractions": course.fractions,
        "fractions_source": course.fractions_source,
        "fractions_planned": course.fractions_planned,
        "prescription_gy": course.prescription_gy,
        "dose_per_fraction_gy": course.dose_per_fraction_gy,
        "transform_source": course.transform_source,
        "registration_uid": course.registration_uid,
        "is_qualitative": course.is_qualitative,
        "quality": None if course.quality is None else _quality(course.quality),
    }


def _quality(quality: RegistrationNumbers) -> dict[str, Any]:
    return {
        "label": "computed, not reviewed",
        "inverse_consistency_mm": quality.inverse_consistency_mm,
        "body_dice": quality.body_dice,
        "structure_dice": dict(quality.structure_dice),
        "least_jacobian": dict(quality.least_jacobian),
    }


def _structure(row: StructureAssessment, metrics: tuple[str, ...]) -> dict[str, Any]:
    return {
        "structure": row.name,
        "number": row.number,
        "tg263": row.tg263,
        "interpreted_type": row.interpreted_type,
        "alpha_beta_gy": row.alpha_beta.gy,
        "alpha_beta_source": row.alpha_beta.citation,
        "alpha_beta_is_default": row.alpha_beta.is_default,
        "courses": [d.report(metrics) for d in row.courses],
        "physical": row.physical.report(metrics),
        "eqd2_courses": [d.report(metrics) for d in row.course_eqd2],
        "eqd2": _histogram(row.eqd2, metrics),
        "bed_courses": [d.report(metrics) for d in row.course_bed],
        "bed": _histogram(row.bed, metrics),
        "bounds": None if row.bounds is None else _bounds(row.bounds, metrics),
        "outside_share": row.outside_share,
        "flags": list(row.flags),
        "limits": [verdict_report(v) for v in row.verdicts],
    }


def _histogram(found: Dvh | None, metrics: tuple[str, ...]) -> dict[str, Any] | None:
    return None if found is None else found.report(metrics)


def _bounds(bounds: Bounds, metrics: tuple[str, ...]) -> dict[str, Any]:
    return {
        "kind": bounds.kind,
        "radius_mm": list(bounds.radius_mm),
        "low": _histogram(bounds.low, metrics),
        "high": _histogram(bounds.high, metrics),
        "band_low": _histogram(bounds.band_low, metrics),
        "band_high": _histogram(bounds.band_high, metrics),
        "not_aligned_share": bounds.not_aligned_share,
        "sum_of_maxima_gy": bounds.sum_of_maxima_gy if bounds.maxima_are_known else None,
        "unrestricted_high_gy": bounds.unrestricted_high_gy,
        "reason": bounds.reason,
    }


def _limit_set(chosen: LimitSet) -> dict[str, Any]:
    return {
        "name": chosen.name,
        "title": chosen.title,
        "site": chosen.site,
        "citation": chosen.citation,
        "kind": chosen.kind,
        "dose_per_fraction_gy": chosen.dose_per_fraction_gy,
        "verified_by": chosen.verified_by or "unverified",
        "limits": len(chosen.limits),
    }
