"""The study and patient of a source's header, decoded strictly, and how people read them."""

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from imaging.quiet import quiet_pydicom
from reports.errors import UndecodableText
from reports.parts import StudyRef

__all__ = ["decoded", "display_date", "display_name", "display_sex", "study_ref"]


GB2312_ESCAPE = "\x1b$)A"
"""pydicom 3.0 leaves the escape sequence of ISO 2022 IR 58 in the text; to be removed when it no longer does."""


def study_ref(header: Dataset) -> StudyRef:
    """The study that a source's header names.

    Raises
    ------
    UndecodableText
        A text does not decode in the character set that the header states.
    """
    # Remarks of pydicom on values may quote them.
    with quiet_pydicom():
        name = header.get("PatientName")
        stated = header.get("SpecificCharacterSet", "")
        character_set = stated if isinstance(stated, str) else "\\".join(stated)
        return StudyRef(
            study_uid=decoded(header, "StudyInstanceUID"),
            accession=decoded(header, "AccessionNumber"),
            study_date=decoded(header, "StudyDate"),
            study_time=decoded(header, "StudyTime"),
            description=decoded(header, "StudyDescription"),
            patient_name=decoded(header, "PatientName"),
            patient_id=decoded(header, "PatientID"),
            birth_date=decoded(header, "PatientBirthDate"),
            sex=decoded(header, "PatientSex"),
            referring=decoded(header, "ReferringPhysicianName"),
            institution=decoded(header, "InstitutionName"),
            character_set=character_set,
            raw_patient_name=_raw_name(name),
        )


def display_name(patient_name: str) -> str:
    """A name as people write it: ideographs without a space, then the alphabetic form, then the phonetic one.

    Examples
    --------
    >>> display_name("Zhang^San=张^三"), display_name("Müller^Anna^^Dr.")
    ('张三  Zhang San', 'Müller Anna Dr.')
    """
    alphabetic, ideographic, phonetic = ([*patient_name.split("="), "", ""])[:3]
    spaced = [" ".join(part for part in group.split("^") if part) for group in (alphabetic, phonetic)]
    return "  ".join(text for text in (ideographic.replace("^", ""), *spaced) if text)


def display_sex(code: str) -> str:
    """PatientSex in both languages; other values as they are."""
    return {"M": "男 M", "F": "女 F", "O": "其他 O"}.get(code, code)


def display_date(date: str) -> str:
    """A DICOM date as year-month-day, which reads the same everywhere; other text as it is."""
    return f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else date


def decoded(header: Dataset, keyword: str) -> str:
    """A text value of a header as pydicom decodes it, corrected where pydicom is wrong; "" where there is none.

    Several values stay joined by backslashes.

    Raises
    ------
    UndecodableText
        A character was lost in decoding, or an escape sequence was not understood.
    """
    value = header.get(keyword)
    joined = "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value)
    text = "" if value is None else joined.replace(GB2312_ESCAPE, "")
    if "\ufffd" in text or "\x1b" in text:
        raise UndecodableText(
            f"{keyword} does not decode in the character set of its header; correct the header at its source.",
            attribute=keyword,
        )
    return text


def _raw_name(name: object) -> bytes:
    """The bytes of a name as they were received; empty for a name that was never encoded."""
    original = name.original_string if isinstance(name, PersonName) else b""
    return original if isinstance(original, bytes) else b""
