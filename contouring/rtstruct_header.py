"""What a structure set takes over from its image series: patient, study, character set, references. Byte for byte."""

import warnings

from pydicom.charset import convert_encodings, encode_string
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from contouring.encoded_items import encoded_element, encoded_item
from imaging.headers import text
from imaging.series import Stack

__all__ = ["copy_patient_and_study", "encodable", "encodings_of", "referenced_frame_of_reference"]

TYPE_2 = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName",
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID",
)  # fmt: skip
"""Written empty where the images lack them."""

COPIED = (
    "SpecificCharacterSet", "StudyDescription", "TimezoneOffsetFromUTC", "IssuerOfPatientID", "PatientAge",
    "PatientSize", "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "StudyInstanceUID",
    "FrameOfReferenceUID", "PositionReferenceIndicator",
)  # fmt: skip
"""Written as the images have them, else left out."""

DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
"""The retired SOP class that RTReferencedStudySequence still names by custom; PS3.3 C.8.8.5 asks for some class."""


def copy_patient_and_study(header: Dataset, target: Dataset) -> None:
    """Copy the attributes of patient, study and frame of reference without decoding them."""
    for keyword in (*TYPE_2, *COPIED):
        tag = Tag(tag_for_keyword(keyword) or 0)
        # The bytes of a sequence depend on the transfer syntax; pydicom writes them anew.
        is_sequence = dictionary_VR(tag) == "SQ"
        element = (header[tag] if is_sequence else header.get_item(tag)) if tag in header else None
        if element is None:
            if keyword in TYPE_2:
                target[tag] = DataElement(tag, dictionary_VR(tag), "")
            continue
        target[tag] = _copy(element)


def _copy(element: DataElement | RawDataElement) -> DataElement | RawDataElement:
    if not isinstance(element, RawDataElement):
        return DataElement(element.tag, element.VR, element.value, already_converted=True)
    value = element.value or b""
    return RawDataElement(element.tag, dictionary_VR(element.tag), len(value), value, 0, False, True)


def encodings_of(header: Dataset) -> list[str] | None:
    """Python's names of the character sets of the images; None where the header names one that nobody knows."""
    value = text(header, "SpecificCharacterSet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return [*convert_encodings(value.split("\\") if "\\" in value else value or None)]
        except (LookupError, UserWarning):
            return None


def encodable(value: str, encodings: list[str] | None) -> bool:
    """Whether a text can be written in these character sets without loss."""
    if value.isascii():
        return True
    if not encodings:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            encode_string(value, encodings)
        except (LookupError, UnicodeError, UserWarning, ValueError):
            return False
    return True


def referenced_frame_of_reference(stack: Stack, *, implicit: bool) -> bytes:
    """Value of ReferencedFrameOfReferenceSequence: frame, study, series and every image in the order of the planes.

    As bytes, because making a data set for each of hundreds of images takes longer than tracing their contours.
    """
    images = dict.fromkeys((s.sop_class_uid, s.sop_instance_uid) for s in stack.sources)
    references = b"".join(
        encoded_item(
            encoded_element(0x00081150, "UI", kind.encode(), implicit),
            encoded_element(0x00081155, "UI", instance.encode(), implicit),
        )
        for kind, instance in images
    )
    series = encoded_item(
        encoded_element(0x0020000E, "UI", stack.series_instance_uid.encode(), implicit),
        encoded_element(0x30060016, "SQ", references, implicit),
    )
    study = encoded_item(
        encoded_element(0x00081150, "UI", DETACHED_STUDY.encode(), implicit),
        encoded_element(0x00081155, "UI", stack.study_instance_uid.encode(), implicit),
        encoded_element(0x30060014, "SQ", series, implicit),
    )
    return encoded_item(
        encoded_element(0x00200052, "UI", stack.frame_of_reference_uid.encode(), implicit),
        encoded_element(0x30060012, "SQ", study, implicit),
    )
