"""The study and patient of a source's header, decoded strictly, and how people read them."""

from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from imaging.attributes import text
from imaging.charset import decode_strictly, stated_terms
from imaging.quiet import quiet_pydicom
from reports.errors import UndecodableText
from reports.parts import StudyRef

__all__ = [
    "IDENTITY",
    "decoded",
    "decoded_or_empty",
    "display_date",
    "display_name",
    "display_sex",
    "is_decodable",
    "raw_value",
    "study_ref",
    "undecodable_sentences",
]

GB2312_ESCAPE = "\x1b$)A"
"""pydicom 3.0 leaves the escape sequence of ISO 2022 IR 58 in the text; to be removed when it no longer does."""

UNDECODABLE = "{} does not decode in the character set of its header; correct the header at its source."

IDENTITY = ("PatientName", "PatientID", "IssuerOfPatientID", "AccessionNumber")
"""What says whose images these are: never left out, never written otherwise than the images have it."""

TEXTS = {
    "AccessionNumber": "accession",
    "StudyDate": "study_date",
    "StudyTime": "study_time",
    "StudyDescription": "description",
    "PatientName": "patient_name",
    "PatientID": "patient_id",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
    "ReferringPhysicianName": "referring",
    "InstitutionName": "institution",
}
"""Attributes and where they stand in a `StudyRef`."""


def study_ref(header: Dataset) -> StudyRef:
    """The study that a source's header names.

    A text that does not decode in the character set that the header states is left empty here and named in
    `undecodable`; a name's bytes are kept.
    """
    # Remarks of pydicom on values may quote them.
    with quiet_pydicom():
        fields = {name: decoded(header, key) for key, name in TEXTS.items() if is_decodable(header, key)}
        return StudyRef(
            **fields,
            study_uid=decoded(header, "StudyInstanceUID"),
            character_set=text(header, "SpecificCharacterSet"),
            raw_patient_name=(raw_value(header, "PatientName") or b"").rstrip(b" \0"),
            undecodable=tuple(key for key, name in TEXTS.items() if name not in fields),
        )


def undecodable_sentences(undecodable: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each attribute that does not decode: what became of it, and what to do. No value of it."""
    return tuple(
        f"{keyword} does not decode in the character set that the images state; it is "
        + ("carried unchanged, byte for byte, and not shown" if keyword in IDENTITY else "left empty in the report")
        + ": correct SpecificCharacterSet at the source."
        for keyword in undecodable
    )


def is_decodable(header: Dataset, keyword: str) -> bool:
    """Whether `decoded` gives the text of an attribute."""
    try:
        decoded(header, keyword)
    except UndecodableText:
        return False
    return True


def decoded_or_empty(header: Dataset, keyword: str) -> str:
    """A descriptive text; "" also where it does not decode."""
    return decoded(header, keyword) if is_decodable(header, keyword) else ""


def raw_value(header: Dataset, keyword: str) -> bytes | None:
    """The bytes of a value as they were received; None where the header lacks it, or pydicom has converted them."""
    element: Any = header.get_item(keyword)
    value = getattr(element, "value", None)
    if isinstance(value, PersonName):
        value = value.original_string
    return value if isinstance(value, bytes) else None


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
    """A text value of a header in the character set that it states; "" where there is none.

    Several values stay joined by backslashes.

    Raises
    ------
    UndecodableText
        A character would be lost in decoding, or the character set is not known.
    """
    raw = raw_value(header, keyword)
    # Asking pydicom would convert the value in place, and its bytes would be gone for those who copy them.
    if raw is not None:
        strict = decode_strictly(raw, stated_terms(header))
        if strict is None:
            raise UndecodableText(UNDECODABLE.format(keyword), attribute=keyword)
        return "\\".join(part.rstrip(" \0") for part in strict.split("\\"))
    value = header.get(keyword)
    joined = "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value)
    found = "" if value is None else joined.replace(GB2312_ESCAPE, "")
    if "\ufffd" in found or "\x1b" in found:
        raise UndecodableText(UNDECODABLE.format(keyword), attribute=keyword)
    return found
