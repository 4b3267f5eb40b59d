"""Whether objects belong to one patient, without a word about who that is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from contouring.dose.errors import DifferentPatients
from imaging.attributes import PARSER_FAULTS
from imaging.charset import decode_strictly, stated_terms

__all__ = ["Patient", "check_one_patient", "have_other_names", "patient_of"]

UNREAD = "\0"
"""Before the bytes of a value that is no text in its character set: equal to the same bytes, and to nothing else."""


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

    @property
    def spellings(self) -> tuple[str, ...]:
        """The name in Latin, ideographic and phonetic letters, without case, blanks and empty parts, if it reads."""
        if self.name.startswith(UNREAD):
            return ()
        return tuple(re.sub(r"[\s^]+", "^", group).strip("^").casefold() for group in self.name.split("="))


def have_other_names(patients: Sequence[Patient]) -> bool:
    """Whether two names agree in no way of writing that both have; a name that is missing says nothing."""
    for n, one in enumerate(patients):
        for other in patients[n + 1 :]:
            both = [(a, b) for a, b in zip(one.spellings, other.spellings, strict=False) if a and b]
            if both and all(a != b for a, b in both):
                return True
    return False


def patient_of(dataset: Dataset) -> Patient:
    """The patient of an object."""
    keywords = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientName")
    return Patient(*(_identity(dataset, keyword) for keyword in keywords))


def _identity(dataset: Dataset, keyword: str) -> str:
    """A value in its own character set, so that two names are equal in two of them and no two names look alike."""
    try:
        element = dataset.get_item(keyword)
        value = None if element is None else element.value
        written = getattr(value, "original_string", value)
    except PARSER_FAULTS:
        return ""
    if not isinstance(written, bytes):
        return "" if value is None else str(value).strip(" \0")
    written = written.strip(b" \0")
    decoded = decode_strictly(written, stated_terms(dataset))
    return UNREAD + written.decode("latin-1") if decoded is None else decoded


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
