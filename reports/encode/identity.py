"""What every object of a result says about itself: patient and study, its own UIDs, dates, equipment, algorithm."""

from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from imaging.provenance import Algorithm, deterministic_uid
from reports.codes import PRIVATE_SCHEME, code
from reports.encode.encoded import Outlet
from reports.model import Result
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

    Raises
    ------
    UndecodableText
        A text does not decode in the character set that the header states.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword in PATIENT_AND_STUDY:
        value = header.get(keyword)
        if value is None and keyword not in EMPTY_WHEN_UNKNOWN:
            continue
        text = decoded(header, keyword)
        setattr(ds, keyword, text if isinstance(value, PersonName | str) else value)
    return ds


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
