"""Whether objects belong to one patient, without a word about who that is."""

from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from contouring.dose.errors import DifferentPatients
from imaging.attributes import text

__all__ = ["Patient", "check_one_patient", "patient_of"]


@dataclass(frozen=True)
class Patient:
    """Identity for comparison only; it is never printed."""

    patient_id: str = field(repr=False)
    issuer: str = field(repr=False)
    birth_date: str = field(repr=False)
    name: str = field(repr=False)

    def may_be(self, other: "Patient") -> bool:
        """Whether nothing contradicts that both are one patient: equal ids, or equal names where ids are missing."""
        for mine, theirs in ((self.issuer, other.issuer), (self.birth_date, other.birth_date)):
            if mine and theirs and mine != theirs:
                return False
        if self.patient_id or other.patient_id:
            return self.patient_id == other.patient_id
        return bool(self.name) and self.name == other.name


def patient_of(dataset: Dataset) -> Patient:
    """The patient of an object."""
    keywords = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientName")
    return Patient(*(text(dataset, keyword).strip() for keyword in keywords))


def check_one_patient(*patients: Patient) -> None:
    """Refuse objects of different patients.

    Raises
    ------
    DifferentPatients
        Ids, issuers or birth dates differ, or nothing identifies the patient.
    """
    if any(not patients[0].may_be(other) for other in patients[1:]):
        raise DifferentPatients(
            "The objects belong to different patients, or do not say whose they are; give those of one patient."
        )
