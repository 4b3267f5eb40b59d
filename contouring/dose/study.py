"""From files to histograms: structures, doses and plans read, checked against each other and evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from contouring.dose.cautions import high_doses, other_names
from contouring.dose.dvh import Dvh, dose_volume_histogram
from contouring.dose.errors import RbeUnknown, UndeliveredFractions
from contouring.dose.limits import Judged, LimitSet, Verdict, judge
from contouring.dose.patient import check_one_patient, patient_of
from contouring.dose.radiobiology import Course
from contouring.dose.rtdose_read import read_rtdose
from contouring.dose.rtplan import PlanFacts
from contouring.dose.solid import Caps
from contouring.dose.structure import structure_of_contours
from contouring.dose.volume import DoseFacts, DoseVolume
from contouring.errors import ContouringError, FrameOfReferenceMismatch
from contouring.names import NameTable, match_name
from contouring.rtstruct_parse import ParsedRoi, open_structure_set, parse_structure_set

__all__ = [
    "StructureTable",
    "check_roi",
    "course_of",
    "histograms",
    "named_rois",
    "plan_of",
    "tg263_of",
    "verdicts_of",
]


@dataclass(frozen=True, eq=False)
class StructureTable:
    """Histograms by name of the structure, why some structures have none, and what is odd about the objects.

    Parameters
    ----------
    histograms, refused
        By name.
    warnings
        Sentences about both.
    """

    histograms: Mapping[str, Dvh]
    refused: Mapping[str, ContouringError]
    warnings: tuple[str, ...] = ()


def histograms(
    rtstruct: Dataset | Path,
    rtdose: Dataset | Path | DoseVolume,
    *,
    caps: Caps = "half",
    thickness_mm: float | None = None,
) -> StructureTable:
    """Histograms of all structures of a structure set in a dose; a structure that is refused stops no other.

    Parameters
    ----------
    rtstruct, rtdose
        The two objects, of one patient and one frame of reference.
    caps
        How structures end beyond their first and last plane.
    thickness_mm
        Slice thickness, for structures of one plane.

    Raises
    ------
    DifferentPatients
        The two belong to different patients.
    DoseError
        The dose cannot be read.
    NotAStructureSet
        The structure set is none, or damaged.
    """
    dose = rtdose if isinstance(rtdose, DoseVolume) else read_rtdose(rtdose)
    dataset = open_structure_set(rtstruct)
    patients = (patient_of(dataset), patient_of(dose.facts.header))
    check_one_patient(*patients)
    found: dict[str, Dvh] = {}
    refused: dict[str, ContouringError] = {}
    for name, roi in named_rois(parse_structure_set(dataset).rois):
        try:
            check_roi(roi, dose.grid.frame_of_reference_uid)
            solid = structure_of_contours(roi.contours, along=dose.grid.row_direction, thickness_mm=thickness_mm)
            found[name] = dose_volume_histogram(solid, dose, caps=caps)
        except ContouringError as reason:
            refused[name] = reason
    return StructureTable(found, refused, (*high_doses({"": dose}), *other_names(patients)))


def verdicts_of(
    table: StructureTable,
    sets: Sequence[LimitSet],
    fractions: int | None,
    prescription_gy: float | None,
    names: NameTable | None = None,
) -> dict[str, tuple[Verdict, ...]]:
    """How each structure of one plan stands to the limits that are about it, by name.

    Parameters
    ----------
    table
        Histograms of physical dose.
    sets
        The limits.
    fractions, prescription_gy
        Of the plan: limits are for a size of fractions. Limits of EQD2 need `assess`.
    names
        Names of structures with a site's aliases; the shipped ones where left out.
    """
    per_fraction = None if fractions is None or prescription_gy is None else prescription_gy / fractions
    return {
        name: judge(sets, tg263_of(name, names), Judged(found, None, (per_fraction,)))
        for name, found in table.histograms.items()
    }


def tg263_of(name: str, names: NameTable | None = None) -> str:
    """What the name of a structure means, by TG-263 or a site's aliases; "" where that is not known."""
    meant = match_name(name, names or NameTable.default()).name
    return meant.tg263 if meant is not None else ""


def course_of(dose: DoseVolume, plans: Sequence[PlanFacts], fractions: int | None, label: str = "") -> Course | None:
    """How a dose was given: by hand, else by the plan that it names; None where neither says.

    The fractions of a dose of several plans are those of none of them, so only a person can state them.

    Raises
    ------
    FractionCountUnknown
        The plan is there but does not say it.
    UndeliveredFractions
        The number given by hand is larger than the plan's.
    RbeUnknown
        The plan is of ions, protons or brachytherapy.
    DifferentPatients
        The plan belongs to another patient.
    """
    named = [p for p in plans if p.sop_instance_uid in dose.facts.plan_uids]
    check_one_patient(patient_of(dose.facts.header), *(p.patient for p in named))
    if any(p.needs_rbe for p in named):
        raise RbeUnknown(
            "The plan is of protons, ions or brachytherapy, whose dose does not compare with photons' by itself; "
            "export it as photon-equivalent dose with its RBE stated."
        )
    plan = plan_of(dose.facts, named)
    if plan is None:
        return Course(fractions, label) if fractions is not None else None
    if fractions is None:
        return Course(plan.fraction_count(dose.facts.fraction_groups), label, prescription_gy=plan.prescription_gy)
    planned = sum(n for n in plan.fractions.values() if n)
    if planned and fractions > planned:
        raise UndeliveredFractions(
            f"{fractions} fractions were stated for a plan of {planned}; state those that the dose is made of.",
            stated=fractions,
            planned=planned,
        )
    return Course(fractions, label, prescription_gy=plan.prescription_gy)


def plan_of(dose: DoseFacts, plans: Sequence[PlanFacts]) -> PlanFacts | None:
    """The one plan that a dose is of; None where it is not there, or the dose is that of several plans."""
    if dose.is_of_several_plans:
        return None
    return next((p for p in plans if p.sop_instance_uid in dose.plan_uids), None)


def named_rois(rois: Sequence[ParsedRoi]) -> list[tuple[str, ParsedRoi]]:
    """Structures with contours by name, their number behind it where two have the same."""
    drawn = [r for r in rois if len(r.contours) or r.fault is not None]
    names = [r.name for r in drawn]
    return [(r.name if names.count(r.name) == 1 and r.name else f"{r.name} #{r.number}".strip(), r) for r in drawn]


def check_roi(roi: ParsedRoi, frame: str) -> None:
    """Refuse a structure that cannot be used with this frame.

    Raises
    ------
    ContouringError
        Its contours are damaged.
    FrameOfReferenceMismatch
        It lies in another frame.
    """
    if roi.fault is not None:
        raise roi.fault
    if roi.frame_of_reference_uid and frame and roi.frame_of_reference_uid != frame:
        raise FrameOfReferenceMismatch(
            f"Structure {roi.number} was drawn in another frame of reference than the dose; give the structure set of "
            "the images that the dose belongs to, or a registration.",
            number=roi.number,
        )
