"""The study and patient of a source's header, decoded strictly."""

from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from reports.errors import UndecodableText
from reports.parts import StudyRef

__all__ = ["study_ref"]


def study_ref(header: Dataset) -> StudyRef:
    """The study that a source's header names.

    Raises
    ------
    UndecodableText
        A text does not decode in the character set that the header states.
    """
    name = header.get("PatientName")
    stated = header.get("SpecificCharacterSet", "")
    character_set = stated if isinstance(stated, str) else "\\".join(stated)
    return StudyRef(
        study_uid=_text(header, "StudyInstanceUID"),
        accession=_text(header, "AccessionNumber"),
        study_date=_text(header, "StudyDate"),
        study_time=_text(header, "StudyTime"),
        description=_text(header, "StudyDescription"),
        patient_name=_text(header, "PatientName"),
        patient_id=_text(header, "PatientID"),
        birth_date=_text(header, "PatientBirthDate"),
        sex=_text(header, "PatientSex"),
        referring=_text(header, "ReferringPhysicianName"),
        institution=_text(header, "InstitutionName"),
        character_set=character_set,
        raw_patient_name=_raw_name(name),
    )


def _text(header: Dataset, keyword: str) -> str:
    """A value as text, "" where there is none."""
    value = header.get(keyword)
    text = "" if value is None else str(value)
    if "\ufffd" in text:
        raise UndecodableText(
            f"{keyword} does not decode in the character set of its header; correct the header at its source.",
            attribute=keyword,
        )
    return text


def _raw_name(name: object) -> bytes:
    """The bytes of a name as they were received; empty for a name that was never encoded."""
    original = name.original_string if isinstance(name, PersonName) else b""
    return original if isinstance(original, bytes) else b""
