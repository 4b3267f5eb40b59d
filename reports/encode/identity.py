"""What every object of a result says about itself: patient and study, its own UIDs, dates, equipment, algorithm."""

from datetime import datetime
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from imaging.provenance import Algorithm, deterministic_uid
from reports.codes import PRIVATE_SCHEME, code
from reports.encode.encoded import Outlet
from reports.model import Result
from reports.representations import TEXT_LIMITS, is_legal_in_header
from reports.study import decoded
from reports.wording import radgate_version, unique_algorithms

__all__ = [
    "MANUFACTURER",
    "algorithm_parameters",
    "coded",
    "declare_private_scheme",
    "equip",
    "mark_items",
    "object_uid",
    "source_identity",
    "source_warnings",
]

MANUFACTURER = "radgate"
MODEL_NAME = "radgate"

SERIES_NUMBERS: dict[Outlet, int] = {"sr": 9103, "pdf": 9104}
"""From the range of series numbers reserved for results, after those that `contouring` gives."""

ENCODER_VERSION = 1
"""Part of every UID: to be raised when the same result gives other bytes."""

PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize",
    "PatientWeight", "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription",
    "ReferringPhysicianName",
)  # fmt: skip
EMPTY_WHEN_UNKNOWN = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
    "StudyID", "ReferringPhysicianName",
)  # fmt: skip
"""Attributes of type 2."""


def object_uid(kind: str, result: Result, outlet: Outlet, profile: str = "") -> str:
    """UID of an object or of its series: depends on the result's UID parts, the outlet and the encoder alone."""
    return deterministic_uid(kind, [result.uid_parts, outlet, ENCODER_VERSION, profile])


def source_identity(header: Dataset) -> Dataset:
    """Patient and study of a source's header in UTF-8, without anything else of it.

    Text is kept as it is, however long. Another value that is not legal (a date of four digits, a sex that the standard
    does not know) is left empty, or out where the attribute may be absent; `source_warnings` says which.

    Raises
    ------
    UndecodableText
        A text does not decode in the character set that the header states.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword in PATIENT_AND_STUDY:
        if _is_left_out(header, keyword):
            if keyword in EMPTY_WHEN_UNKNOWN:
                setattr(ds, keyword, "")
            continue
        value = header.get(keyword)
        if value is None and keyword not in EMPTY_WHEN_UNKNOWN:
            continue
        written = decoded(header, keyword)
        setattr(ds, keyword, written if isinstance(value, PersonName | str) else value)
    return ds


def source_warnings(header: Dataset, *, copied: bool = False) -> tuple[str, ...]:
    """A sentence, without the value, for each attribute of patient and study that the source did not write legally.

    Parameters
    ----------
    copied
        The object takes over the source's bytes; else it holds what `source_identity` gives.
    """
    warnings = []
    for keyword in PATIENT_AND_STUDY:
        if is_legal_in_header(header, keyword):
            continue
        if copied or not _is_left_out(header, keyword):
            done = "copied as it is"
        else:
            done = "left empty" if keyword in EMPTY_WHEN_UNKNOWN else "left out"
        warnings.append(f"{keyword} of the images is not as the standard wants it; it was {done}.")
    return tuple(warnings)


def _is_left_out(header: Dataset, keyword: str) -> bool:
    """Whether a value cannot be written: what is illegal and neither text nor the study's own identifier."""
    vr = dictionary_VR(keyword)
    return vr not in TEXT_LIMITS and vr != "UI" and not is_legal_in_header(header, keyword)


def equip(ds: Dataset, result: Result, outlet: Outlet) -> None:
    """Writes dates of the result, own series and equipment into `ds`, whose SOP class and instance are there."""
    _date(ds, result.created_at)
    ds.SeriesNumber = SERIES_NUMBERS[outlet]
    ds.InstanceNumber = 1
    algorithms = unique_algorithms(result)
    named = f"AI {outlet.upper()} {algorithms[0].name} {algorithms[0].version}"
    ds.SeriesDescription = named if len(algorithms) == 1 and len(named) <= 64 else f"AI {outlet.upper()} radgate"
    ds.Manufacturer = MANUFACTURER
    ds.ManufacturerModelName = MODEL_NAME
    ds.SoftwareVersions = [radgate_version()]
    ds.DeviceSerialNumber = deterministic_uid("device", [MODEL_NAME])
    ds.ContributingEquipmentSequence = [_contribution(a, result.created_at) for a in algorithms]


def algorithm_parameters(algorithm: Algorithm) -> tuple[str, ...]:
    """Weights and bundle of an algorithm as "name=value" lines."""
    lines = [f"weights_sha256={value}" for value in algorithm.weights_sha256]
    return (*lines, *([f"bundle_sha256={algorithm.bundle_digest}"] if algorithm.bundle_digest else []))


def coded(key: str) -> Dataset:
    """A code of `codes.toml` as an item of a code sequence."""
    entry = code(key)
    item = Dataset()
    item.CodeValue = entry.value
    item.CodingSchemeDesignator = entry.scheme_designator
    item.CodeMeaning = entry.meaning
    return item


def declare_private_scheme(ds: Dataset) -> None:
    """Says in `ds` who answers for radgate's own codes."""
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeName = "radgate private codes"
    item.CodingSchemeResponsibleOrganization = "radgate"
    ds.CodingSchemeIdentificationSequence = [item]


def mark_items(items: Any, keyword: str) -> None:
    """Writes the character set UTF-8 into each item of a sequence, and of those of the same name below it."""
    for item in items:
        item.SpecificCharacterSet = "ISO_IR 192"
        mark_items(item.get(keyword, ()), keyword)


def _contribution(algorithm: Algorithm, made_at: datetime) -> Dataset:
    """An item of Contributing Equipment: the algorithm, its version and its hashes."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [coded("processing_equipment")]
    item.Manufacturer = algorithm.manufacturer[:64]
    item.ManufacturerModelName = algorithm.name[:64]
    item.SoftwareVersions = [algorithm.version[:64]]
    item.ContributionDateTime = made_at.strftime("%Y%m%d%H%M%S%z")
    item.ContributionDescription = "; ".join(algorithm_parameters(algorithm))[:1024] or "no weights"
    return item


def _date(ds: Dataset, made_at: datetime) -> None:
    """Dates and times of instance, series and content."""
    date, time = made_at.strftime("%Y%m%d"), made_at.strftime("%H%M%S")
    for name in ("InstanceCreation", "Series", "Content"):
        setattr(ds, f"{name}Date", date)
        setattr(ds, f"{name}Time", time)
