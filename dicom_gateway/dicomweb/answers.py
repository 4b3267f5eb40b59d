"""Rows of the index as DICOM JSON (PS3.18 annex F): what a search answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicom_gateway.dicomweb.query import LEVELS

__all__ = ["JsonDataset", "element", "json_answer"]

JsonDataset = dict[str, Any]

_COLUMNS: dict[str, dict[str, str]] = {  # level: keyword -> column
    "study": {
        "StudyDate": "study_date",
        "StudyTime": "study_time",
        "AccessionNumber": "accession_number",
        "ReferringPhysicianName": "referring_physician",
        "PatientName": "patient_name",
        "PatientID": "patient_id",
        "PatientBirthDate": "patient_birth_date",
        "PatientSex": "patient_sex",
        "StudyInstanceUID": "study_uid",
        "StudyID": "study_id",
        "StudyDescription": "study_description",
    },
    "series": {
        "Modality": "modality",
        "SeriesDescription": "series_description",
        "SeriesInstanceUID": "series_uid",
        "SeriesNumber": "series_number",
        "BodyPartExamined": "body_part",
        "FrameOfReferenceUID": "frame_of_reference_uid",
    },
    "instance": {
        "SOPClassUID": "sop_class_uid",
        "SOPInstanceUID": "sop_uid",
        "InstanceNumber": "instance_number",
        "NumberOfFrames": "number_of_frames",
        "Rows": "rows",
        "Columns": "columns",
        "AvailableTransferSyntaxUID": "transfer_syntax_uid",
    },
}
_UPPER = {"StudyInstanceUID", "SeriesInstanceUID"}
"""What an answer of a lower level repeats even when nobody asks for it."""


def element(keyword: str, *values: Any) -> JsonDataset:
    """One attribute in the JSON model; without `Value` where there is none."""
    tag = tag_for_keyword(keyword)
    vr = dictionary_VR(keyword)
    kept = [v for v in values if v is not None and v != ""]
    if vr == "PN":
        kept = [_name(str(v)) for v in kept]
    body: JsonDataset = {"vr": vr}
    if kept:
        body["Value"] = kept
    return {f"{tag:08X}": body}


def json_answer(
    row: Mapping[str, Any], level: str, base: str, include: frozenset[str], modalities: Sequence[str]
) -> JsonDataset:
    """The JSON data set of one row of a search; `base` is the address of the DICOMweb root."""
    answer: JsonDataset = element("SpecificCharacterSet", "ISO_IR 192")
    for upper in LEVELS[: LEVELS.index(level) + 1]:
        for keyword, column in _COLUMNS[upper].items():
            wanted = upper == level or keyword in _UPPER or keyword in include or "all" in include
            if wanted and (upper != "instance" or row[column] is not None):
                answer |= element(keyword, row[column])
    if level == "study" or {"ModalitiesInStudy", "all"} & include:
        answer |= element("ModalitiesInStudy", *modalities)
    if level == "study":
        answer |= element("NumberOfStudyRelatedSeries", row["n_series"])
        answer |= element("NumberOfStudyRelatedInstances", row["n_instances"])
    elif level == "series":
        answer |= element("NumberOfSeriesRelatedInstances", row["n_instances"])
    answer |= element("InstanceAvailability", "ONLINE")
    answer |= element("RetrieveURL", _address(row, level, base))
    return dict(sorted(answer.items()))


def _address(row: Mapping[str, Any], level: str, base: str) -> str:
    address = f"{base}/studies/{row['study_uid']}"
    if level != "study":
        address += f"/series/{row['series_uid']}"
    return f"{address}/instances/{row['sop_uid']}" if level == "instance" else address


def _name(text: str) -> dict[str, str]:
    groups = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("="), strict=False))
    return {group: value for group, value in groups.items() if value}
