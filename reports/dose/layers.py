"""The doses of an assessment as layers to be shown: each course, their sum, and EQD2 for each alpha/beta."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from contouring.dose.assessment import CourseFacts, DoseAssessment
from contouring.dose.resample import GridSum
from contouring.dose.volume import DoseVolume
from reports.dose.colours import ColourScale, nice_levels
from reports.dose.picture import DoseLayer

__all__ = ["course_layers", "eqd2_layers", "scale_end_gy", "sum_layer"]

HOTTEST_SHARE = 0.9999
"""The scale ends at the dose that this share of the voxels with dose stays below: one voxel does not set it."""


def sum_layer(assessment: DoseAssessment) -> DoseLayer:
    """The physical sum; of a single dose, that dose."""
    letters = "+".join(c.letter for c in assessment.courses)
    total = assessment.grids.physical
    return _layer("sum", f"物理剂量 {letters}", f"Physical dose {letters}", total, scale_end_gy(total.volume))


def course_layers(assessment: DoseAssessment) -> tuple[DoseLayer, ...]:
    """Each course on the scale of the sum, so that colours compare."""
    end = scale_end_gy(assessment.grids.physical.volume)
    return tuple(
        _layer(f"course_{c.letter}", f"计划 {c.letter}{_given(c)}", f"Plan {c.letter}{_given(c)}", found, end)
        for c, found in zip(assessment.courses, assessment.grids.courses, strict=True)
    )


def eqd2_layers(assessment: DoseAssessment) -> Iterator[DoseLayer]:
    """EQD2 of the sum, one layer for each alpha/beta, one after the other."""
    return (
        _layer(
            f"eqd2_ab{ratio:g}",
            f"总和 EQD2 α/β={ratio:g} Gy",
            f"EQD2 ab={ratio:g}, sum of courses",
            found,
            scale_end_gy(found.volume),
        )
        for ratio, found in assessment.grids.eqd2.items()
    )


def scale_end_gy(dose: DoseVolume) -> float:
    """End of the colour scale: whole Gy above all but the hottest voxels."""
    known = dose.dose_gy[np.isfinite(dose.dose_gy) & (dose.dose_gy > 0)]
    end = float(np.quantile(known, HOTTEST_SHARE)) if known.size else 1.0
    return float(np.ceil(end)) if end >= 1 else 1.0


def _layer(key: str, zh: str, en: str, found: GridSum, end_gy: float) -> DoseLayer:
    # Where not all doses are known there is no sum to be shown.
    shown = replace(found.volume, dose_gy=np.where(found.is_known, found.volume.dose_gy, np.nan).astype(np.float32))
    return DoseLayer(key, zh, en, shown, ColourScale(0.0, end_gy), nice_levels(end_gy))


def _given(course: CourseFacts) -> str:
    return "" if course.fractions is None else f" ({course.fractions} fx)"
