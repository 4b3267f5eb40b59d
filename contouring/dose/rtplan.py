"""What a sum needs from an RTPLAN: fractions, prescription, and whether its dose can be added to photons'."""

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import RTIonPlanStorage, RTPlanStorage

from contouring.dose.errors import FractionCountUnknown, NotAPlan
from contouring.dose.patient import Patient, patient_of
from imaging.attributes import PARSER_FAULTS, text
from imaging.headers import read_header
from imaging.labels import label_of

__all__ = ["PlanFacts", "read_rtplan"]

PHOTON_LIKE = frozenset({"PHOTON", "ELECTRON", ""})


@dataclass(frozen=True)
class PlanFacts:
    """What a plan says.

    Parameters
    ----------
    sop_instance_uid, label
        The object and RTPlanLabel.
    patient
        Whose it is.
    fractions
        NumberOfFractionsPlanned by FractionGroupNumber; None where the group states none.
    prescription_gy
        Largest TargetPrescriptionDose; None where there is none.
    needs_rbe
        Whether the plan is of ions, protons or brachytherapy: its dose does not compare with photons' by itself.
    """

    sop_instance_uid: str
    label: str
    patient: Patient
    fractions: dict[int, int | None]
    prescription_gy: float | None
    needs_rbe: bool

    def fraction_count(self, groups: tuple[int, ...] = ()) -> int:
        """Fractions of the groups that a dose names, or of the only group.

        Raises
        ------
        FractionCountUnknown
            The plan has several groups and the dose names none, or the group states no number.
        """
        chosen = groups or tuple(self.fractions)
        counts = [self.fractions.get(g) for g in chosen]
        known = [c for c in counts if c is not None]
        if len(chosen) != 1 or not known:
            raise FractionCountUnknown(
                f"The plan has {len(self.fractions)} fraction groups of which {len(known)} tell how many fractions the "
                "dose is made of; state the number of fractions.",
                groups=len(self.fractions),
            )
        return known[0]


def read_rtplan(source: Dataset | Path) -> PlanFacts:
    """The facts of a plan.

    Raises
    ------
    NotDicom
        The file is no DICOM file.
    TruncatedFile
        The file ends before its data set does.
    NotAPlan
        The object is of another kind, or its sequences cannot be read.
    """
    dataset = source if isinstance(source, Dataset) else read_header(source).dataset
    if text(dataset, "SOPClassUID") not in {RTPlanStorage, RTIonPlanStorage}:
        raise NotAPlan("The object is no RT plan; give the RTPLAN file.")
    try:
        groups = list(dataset.get("FractionGroupSequence") or ())
        fractions = {int(g.get("FractionGroupNumber") or n): _count(g) for n, g in enumerate(groups, start=1)}
        targets = [float(d.TargetPrescriptionDose) for d in dataset.get("DoseReferenceSequence") or ()
                   if d.get("TargetPrescriptionDose") is not None]  # fmt: skip
        beams = [*(dataset.get("BeamSequence") or ()), *(dataset.get("IonBeamSequence") or ())]
        radiation = {text(b, "RadiationType").strip().upper() for b in beams}
        is_brachy = bool(dataset.get("ApplicationSetupSequence"))
    except PARSER_FAULTS as fault:
        raise NotAPlan(
            "The sequences of the RT plan cannot be read; export it again.", reason=type(fault).__name__
        ) from fault
    return PlanFacts(
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        label=label_of(dataset, "RTPlanLabel"),
        patient=patient_of(dataset),
        fractions=fractions,
        prescription_gy=max(targets, default=None),
        needs_rbe=is_brachy or text(dataset, "SOPClassUID") == RTIonPlanStorage or bool(radiation - PHOTON_LIKE),
    )


def _count(group: Dataset) -> int | None:
    value = group.get("NumberOfFractionsPlanned")
    return int(value) if value not in {None, ""} and int(value) > 0 else None
