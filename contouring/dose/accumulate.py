"""Several doses on one reference frame: physical dose first, then biological dose voxel by voxel, then the sum.

Points are mapped, never grids: each dose is asked at the point of its own frame (pull). What lies outside one of the
grids is unknown there, and told.
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from contouring.dose.dvh import Dvh, histograms_of
from contouring.dose.errors import (
    DuplicateDose,
    FractionCountUnknown,
    FractionDoseAsPlan,
    MixedDoseType,
    NoRegistration,
    OutsideDoseGrid,
    RegistrationRefused,
)
from contouring.dose.patient import check_one_patient, patient_of
from contouring.dose.places import LatticePlaces, sampled_on_lattice, turned
from contouring.dose.radiobiology import Course, eqd2, eqd2_slope
from contouring.dose.solid import Caps
from contouring.dose.structure import PlanarStructure
from contouring.dose.transform import RigidTransform, Transform
from contouring.dose.volume import DoseVolume, SampledDose

__all__ = ["MappedDose", "StructureSum", "check_summable", "letter_of", "map_dose", "sum_on_structure", "summed"]

FloatArray = NDArray[np.float64]

WHOLE_PLAN = frozenset({"PLAN", "MULTI_PLAN", "PLAN_OVERVIEW"})


@dataclass(frozen=True, eq=False)
class MappedDose:
    """A dose that is asked in the reference frame.

    Parameters
    ----------
    dose
        The dose, in its own frame.
    transform
        From the reference frame to the dose's.
    course
        How it was given; None where nobody says, and then there is no EQD2.
    """

    dose: DoseVolume
    transform: Transform
    course: Course | None = None

    def sample(self, places: FloatArray | LatticePlaces) -> SampledDose:
        """Physical dose at places of the reference frame; the gradient is turned back into that frame."""
        if isinstance(places, LatticePlaces):
            rigid = self.transform if isinstance(self.transform, RigidTransform) else None
            found = sampled_on_lattice(self.dose, places, rigid.matrix) if rigid is not None else None
            if rigid is None or found is None:
                return self.sample(places.points_lps)
            return replace(found, gradient_gy_per_mm=turned(found.gradient_gy_per_mm, rigid.matrix[:3, :3]))
        points_lps = places
        sampled = self.dose.sample(self.transform.apply(points_lps))
        known = sampled.is_known & self.transform.covers(points_lps)
        gradient = self.transform.gradient_at_source(sampled.gradient_gy_per_mm, points_lps)
        return replace(
            sampled,
            dose_gy=np.where(known, sampled.dose_gy, 0.0),
            gradient_gy_per_mm=np.where(known[:, None], gradient, 0.0),
            is_known=known,
        )

    def sample_eqd2(self, places: FloatArray | LatticePlaces, alpha_beta_gy: float) -> SampledDose:
        """EQD2 at places, from the fraction dose of each point, less what the tissue has recovered from.

        Raises
        ------
        FractionCountUnknown
            The course is not known.
        """
        course = known_course(self)
        sampled = self.sample(places)
        kept = 1 - course.recovery
        slope = kept * eqd2_slope(sampled.dose_gy, course.fractions, alpha_beta_gy)
        # EQD2 rises with the dose, so the ends of a cell stay its ends.
        ends = (kept * eqd2(d, course.fractions, alpha_beta_gy) for d in (sampled.cell_low_gy, sampled.cell_high_gy))
        return SampledDose(
            kept * eqd2(sampled.dose_gy, course.fractions, alpha_beta_gy),
            sampled.gradient_gy_per_mm * slope[:, None],
            sampled.is_known,
            *ends,
        )


class _Remembered(MappedDose):
    """A dose that is asked at the same places for several histograms, and samples them once."""

    def sample(self, places: FloatArray | LatticePlaces) -> SampledDose:
        """See `MappedDose.sample`."""
        kept: dict[int, tuple[FloatArray | LatticePlaces, SampledDose]] = self.__dict__.setdefault("_kept", {})
        # The places are kept too, so that their identity stays theirs.
        if id(places) not in kept:
            kept[id(places)] = (places, super().sample(places))
        return kept[id(places)][1]


def known_course(mapped: MappedDose) -> Course:
    """The course of a dose.

    Raises
    ------
    FractionCountUnknown
        Nobody says in how many fractions it was given.
    """
    if mapped.course is None:
        raise FractionCountUnknown(
            "Nothing says in how many fractions the dose was given, so it has no EQD2; give the RTPLAN or state the "
            "number of fractions."
        )
    return mapped.course


def map_dose(
    dose: DoseVolume, reference_frame: str, transform: Transform | None = None, course: Course | None = None
) -> MappedDose:
    """A dose in the reference frame.

    Parameters
    ----------
    dose
        The dose.
    reference_frame
        Frame of reference UID of the image (and of the structures).
    transform
        From the reference frame to the dose's (a rigid one in either direction); not needed where they are the same.
    course
        How the dose was given.

    Raises
    ------
    NoRegistration
        The frames differ (or one is not named), and there is no transform.
    RegistrationRefused
        The transform relates other frames.
    """
    own = dose.grid.frame_of_reference_uid
    if transform is None:
        if own != reference_frame or not own:
            raise NoRegistration(
                "A dose lies in another frame of reference than the image; give a Spatial Registration of the two, or "
                "let radgate register the images.",
                expected=reference_frame,
                got=own,
            )
        return MappedDose(dose, RigidTransform.identity(own), course)
    either = (transform, transform.inverse()) if isinstance(transform, RigidTransform) else (transform,)
    for candidate in either:
        if (candidate.source, candidate.target) == (reference_frame, own):
            return MappedDose(dose, candidate, course)
    raise RegistrationRefused(
        "The registration relates other frames of reference than those of the dose and the image; give the one between "
        "them.",
        expected=[reference_frame, own],
        got=[transform.source, transform.target],
    )


def check_summable(doses: Sequence[DoseVolume]) -> None:
    """Refuse doses that make no sum: of several patients, of several kinds, of parts of plans, the same one twice.

    Raises
    ------
    DifferentPatients
        They belong to different patients.
    MixedDoseType
        A dose is not PHYSICAL.
    FractionDoseAsPlan
        A dose is that of a beam or a fraction.
    DuplicateDose
        One dose, or two doses of one plan.
    """
    check_one_patient(*(patient_of(d.facts.header) for d in doses))
    for dose in doses:
        if dose.facts.dose_type != "PHYSICAL":
            raise MixedDoseType(
                "Only physical doses can be added; an effective dose, a difference or a dose that does not say what "
                "it is stays out of a sum.",
                dose_types=sorted({d.facts.dose_type for d in doses} & {"PHYSICAL", "EFFECTIVE", "ERROR", ""}),
            )
        if dose.facts.summation_type not in WHOLE_PLAN:
            raise FractionDoseAsPlan(
                "A dose is not that of a whole plan (DoseSummationType PLAN); export the dose of the plan.",
                index=list(doses).index(dose),
            )
    uids = [d.facts.sop_instance_uid for d in doses]
    plans = [p for d in doses for p in set(d.facts.plan_uids)]
    if len(set(uids)) < len(uids) or len(set(plans)) < len(plans):
        raise DuplicateDose("The same dose, or two doses of the same plan, were given; give each plan once.")


def summed(
    doses: Sequence[MappedDose], alpha_beta_gy: float | None = None
) -> Callable[[FloatArray | LatticePlaces], SampledDose]:
    """The sum as something that can be asked at points: physical, or EQD2 for one alpha/beta.

    A point is known where every dose is.

    Raises
    ------
    FractionCountUnknown
        EQD2 is asked for and a course is not known.
    """
    if alpha_beta_gy is not None:
        for mapped in doses:
            known_course(mapped)

    def sampler(places: FloatArray | LatticePlaces) -> SampledDose:
        parts = [m.sample(places) if alpha_beta_gy is None else m.sample_eqd2(places, alpha_beta_gy) for m in doses]
        total = parts[0]
        for part in parts[1:]:
            total = SampledDose(
                total.dose_gy + part.dose_gy,
                total.gradient_gy_per_mm + part.gradient_gy_per_mm,
                total.is_known & part.is_known,
                total.cell_low_gy + part.cell_low_gy,
                total.cell_high_gy + part.cell_high_gy,
            )
        return total

    return sampler


@dataclass(frozen=True, eq=False)
class StructureSum:
    """What one structure receives from all courses.

    Parameters
    ----------
    courses
        Physical histogram of each course.
    physical
        Histogram of the physical sum.
    alpha_beta_gy
        Alpha/beta of the structure.
    course_eqd2, eqd2
        Histograms of EQD2 of each course and of the sum; empty and None where fractions are not known.
    """

    courses: tuple[Dvh, ...]
    physical: Dvh
    alpha_beta_gy: float
    course_eqd2: tuple[Dvh, ...] = ()
    eqd2: Dvh | None = None


def letter_of(number: int) -> str:
    """What the course at this place, from 0, is called."""
    return string.ascii_uppercase[number] if number < 26 else f"#{number + 1}"


def sum_on_structure(
    structure: PlanarStructure, doses: Sequence[MappedDose], alpha_beta_gy: float, *, caps: Caps = "half"
) -> StructureSum:
    """All histograms of one structure, physical and (where all courses are known) EQD2 with its own alpha/beta.

    Raises
    ------
    OutsideDoseGrid
        The structure has no point where all doses are known.
    OverlappingContours
        Boundaries of two contours cross.
    StructureRefused
        There is one plane, and nothing says how thick it is.
    """
    spacing = tuple(np.min([m.dose.spacing_mm for m in doses], axis=0).tolist())
    kept = [_Remembered(m.dose, m.transform, m.course) for m in doses]
    known = all(m.course is not None for m in doses)
    asked: list[tuple[Sequence[MappedDose], float | None]] = [*(([m], None) for m in kept), (kept, None)]
    if known:
        asked += [*(([m], alpha_beta_gy) for m in kept), (kept, alpha_beta_gy)]
    # On the same sub-voxels: doses and EQD2 of one structure stand side by side, and must go with each other.
    count = len(kept)
    try:
        found = histograms_of(structure, [summed(m, ratio) for m, ratio in asked], spacing, caps=caps)
    except OutsideDoseGrid as fault:
        raise _beyond([n for n in fault.fields.get("samplers", ()) if n < count], count) or fault from None
    return StructureSum(
        courses=found[:count],
        physical=found[count],
        alpha_beta_gy=alpha_beta_gy,
        course_eqd2=found[count + 1 : -1] if known else (),
        eqd2=found[-1] if known else None,
    )


def _beyond(numbers: Sequence[int], count: int) -> OutsideDoseGrid | None:
    """Which of several doses do not reach a structure, or that no point of it has them all; None of one dose."""
    if count < 2:
        return None
    if not numbers:
        return OutsideDoseGrid("No point of the structure has all doses; give doses of the same region.")
    letters = ", ".join(letter_of(n) for n in numbers)
    return OutsideDoseGrid(f"The structure lies outside the grid of dose {letters}; give the dose of the same region.")
