"""The DICOM objects of an assessment: registrations that were made, RTDOSE of the sums, isodose lines."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset

from contouring.dose.assessment import DoseAssessment
from contouring.dose.deformation import Deformation
from contouring.dose.isodose import IsodoseLevel, percent_levels, step_levels, write_isodoses
from contouring.dose.radiobiology import bed_per_eqd2
from contouring.dose.resample import GridSum
from contouring.dose.rtdose_write import SumFacts, write_rtdose
from imaging.series import Stack

__all__ = ["DoseObject", "dose_objects", "isodose_levels"]


@dataclass(frozen=True, eq=False)
class DoseObject:
    """A finished object, read back.

    Parameters
    ----------
    name
        What it is, fit for a file name: `sum_physical`, `sum_eqd2_ab3`, `sum_bed_ab3`, `registration0`,
        `isodoses`.
    kind
        Modality.
    sop_instance_uid
        The object.
    encoded
        Its file.
    """

    name: str
    kind: str
    sop_instance_uid: str
    encoded: bytes = field(repr=False)


def dose_objects(
    assessment: DoseAssessment, reference: Stack, *, made_at: datetime, bed: bool = False
) -> tuple[DoseObject, ...]:
    """All objects of an assessment in sending order: registrations before the doses that name them.

    Parameters
    ----------
    assessment
        See `contouring.dose.assess`.
    reference
        The image it was made on; its patient and study stand in the objects.
    made_at
        Time of the run; the UIDs do not follow from it.
    bed
        Writes biologically effective dose too, one RTDOSE for each alpha/beta like EQD2.

    Raises
    ------
    RoundTripMismatch
        An object does not read back as what it was made from.
    """
    found = [
        DoseObject(f"registration{n}", "REG", uid, encoded)
        for n, (uid, encoded) in enumerate(assessment.registrations.items())
    ]
    found.append(_sum(assessment, assessment.grids.physical, None, reference.header, made_at))
    for ratio, total in assessment.grids.eqd2.items():
        found.append(_sum(assessment, total, ratio, reference.header, made_at))
        if bed:
            found.append(_sum(assessment, _as_bed(total, ratio), ratio, reference.header, made_at, "BED"))
    lines = write_isodoses(assessment.mapped, reference, isodose_levels(assessment), made_at=made_at)
    if lines is not None:
        found.append(DoseObject("isodoses", "RTSTRUCT", str(lines.dataset.SOPInstanceUID), lines.encoded))
    return tuple(found)


def isodose_levels(assessment: DoseAssessment) -> tuple[IsodoseLevel, ...]:
    """The usual lines of a physical sum: percent of all prescriptions together, every 10 Gy where one is not known."""
    prescribed = [c.prescription_gy for c in assessment.courses]
    known = [p for p in prescribed if p]
    if len(known) == len(prescribed):
        return percent_levels(sum(known))
    return step_levels(float(assessment.grids.physical.volume.dose_gy.max()))


def _as_bed(total: GridSum, ratio: float) -> GridSum:
    # With one alpha/beta, BED is the same multiple of EQD2 in every voxel, whatever its fraction dose.
    return replace(total, volume=replace(total.volume, dose_gy=total.volume.dose_gy * np.float32(bed_per_eqd2(ratio))))


def _sum(
    assessment: DoseAssessment,
    total: GridSum,
    ratio: float | None,
    header: Dataset,
    made_at: datetime,
    model: Literal["EQD2", "BED"] = "EQD2",
) -> DoseObject:
    courses = assessment.courses
    sources = {c.transform_source for c in courses}
    is_registered = sources != {"same_frame"}
    what = "physical" if ratio is None else f"{model} ab={ratio:g}"
    how = ", QUALITATIVE" if assessment.is_qualitative else ", registered" if is_registered else ""
    facts = SumFacts(
        header=header,
        source_doses=tuple(c.dose_uid for c in courses),
        plan_uids=total.volume.facts.plan_uids,
        overview=()
        if all(c.plan_uids for c in courses)
        else tuple((c.label, c.fractions, c.prescription_gy) for c in courses),
        registrations=tuple(
            # several courses may have come by one object
            dict.fromkeys(
                (course.registration_uid, isinstance(mapped.transform, Deformation))
                for course, mapped in zip(courses, assessment.mapped, strict=True)
                if course.registration_uid
            )
        ),
        is_registered=is_registered,
        is_deformed=any(isinstance(m.transform, Deformation) for m in assessment.mapped),
        alpha_beta_gy=ratio,
        model=model,
        comment=f"{what}, {len(courses)} doses{how}",
    )
    written = write_rtdose(total, facts, made_at=made_at)
    name = "sum_physical" if ratio is None else f"sum_{model.lower()}_ab{ratio:g}"
    return DoseObject(name, "RTDOSE", str(written.dataset.SOPInstanceUID), written.encoded)
