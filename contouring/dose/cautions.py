"""What a reader of doses has to know first, as sentences: what was assumed, what was not used, what is odd."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from contouring.dose.assessment import CourseFacts, StructureAssessment
from contouring.dose.limits import LimitSet
from contouring.dose.patient import Patient, have_other_names
from contouring.dose.resample import GridSum
from contouring.dose.rtdose_read import HIGH_GY, volume_above_mm3
from contouring.dose.rtplan import PlanFacts
from contouring.dose.volume import DoseVolume

__all__ = ["high_doses", "other_names", "partly_known", "unused", "warnings_of"]

COUNTING_SHARE = 0.1
"""Of the largest dose; less than that at the border of a grid is not told."""


def warnings_of(
    facts: Sequence[CourseFacts],
    rows: Sequence[StructureAssessment],
    limits: Sequence[LimitSet],
    *,
    registration: bool = False,
    register: Literal["rigid", "deformable"] | None = None,
) -> tuple[str, ...]:
    """What was assumed or left out.

    Parameters
    ----------
    facts, rows
        Courses and structures of the sum.
    limits
        The sets that were applied.
    registration, register
        Whether an object was given, and what was to be computed.
    """
    said: list[str] = []
    unstated = [f for f in facts if f.fractions is None]
    said.extend(
        f"No EQD2: dose {f.letter} is the sum of several plans, whose fractions may differ; state them by hand."
        for f in unstated
        if f.is_of_several_plans
    )
    if unknown := [f.letter for f in unstated if not f.is_of_several_plans]:
        said.append(f"No EQD2: the number of fractions of dose {', '.join(unknown)} is not known.")
    said.extend(
        f"Dose {f.letter}: {f.fractions} fractions were stated and {f.fractions_planned} are planned; the whole dose "
        "counts as given in those stated."
        for f in facts
        if f.fractions and f.fractions_planned and f.fractions < f.fractions_planned
    )
    if (registration or register) and all(f.transform_source == "same_frame" for f in facts):
        said.append("No registration was used: all doses lie in the frame of reference of the image.")
    if any(f.transform_source.startswith("computed") for f in facts):
        said.append("The registration was computed and not reviewed.")
    if register == "deformable" and any(f.transform_source == "computed_rigid" for f in facts):
        said.append("Deforming did not bring the images nearer to each other than moving; the rigid step was used.")
    if any(f.is_qualitative for f in facts):
        said.append("QUALITATIVE: a dose was deformed; no limit is judged.")
    if limits and not all(v.is_verified for row in rows for v in row.verdicts):
        said.append("Some limits are not verified against their source.")
    return tuple(said)


def unused(
    facts: Sequence[CourseFacts],
    plans: Sequence[PlanFacts],
    structures: Iterable[str],
    alpha_beta: Iterable[str],
) -> tuple[str, ...]:
    """What was given and changes nothing: most likely a slip.

    Parameters
    ----------
    facts
        Courses of the sum.
    plans
        RTPLANs that were given.
    structures
        Names in the structure set, and what they mean.
    alpha_beta
        Names that an alpha/beta was stated for.
    """
    said = []
    known = {uid for f in facts for uid in f.plan_uids}
    if strangers := sum(p.sop_instance_uid not in known for p in plans):
        said.append(f"Plans that no dose names: {strangers}; they were not used.")
    if strange := sorted(set(alpha_beta) - set(structures)):
        said.append(f"Alpha/beta was stated for structures that are not there: {', '.join(strange)}.")
    return tuple(said)


def high_doses(doses: Mapping[str, DoseVolume]) -> tuple[str, ...]:
    """Doses that only brachytherapy gives, by what the dose is called ("" for the only one)."""
    said = []
    for letter, dose in doses.items():
        highest = float(np.max(dose.dose_gy))
        if highest > HIGH_GY:
            volume_cc = volume_above_mm3(dose, HIGH_GY) / 1000
            name = f"Dose {letter}" if letter else "The dose"
            said.append(
                f"{name} reaches {highest:.0f} Gy, and {volume_cc:.2f} cc have more than {HIGH_GY:g} Gy, as beside the "
                "sources of brachytherapy; if it is none, its DoseGridScaling is wrong."
            )
    return tuple(said)


def partly_known(total: GridSum) -> tuple[str, ...]:
    """Whether some of the dose lies where not all doses are known."""
    dose_gy = np.nan_to_num(total.volume.dose_gy)
    threshold_gy = COUNTING_SHARE * float(dose_gy.max(initial=0.0))
    if not np.any((dose_gy > threshold_gy) & ~total.is_known):
        return ()
    return (
        "Part of the dose lies where not all doses are known: pictures and isodose lines leave it out, and the RTDOSE "
        "holds there what is known.",
    )


def other_names(patients: Sequence[Patient]) -> tuple[str, ...]:
    """Whether the objects name the patient differently, which one patient ID does not excuse."""
    if not have_other_names(patients):
        return ()
    return ("The objects have one patient ID and different patient names; make sure that they are of one patient.",)
