"""What every object of a result says about itself: patient and study, its own UIDs, dates, equipment, algorithm."""

from datetime import datetime
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from imaging.attributes import text
from imaging.provenance import Algorithm, deterministic_uid
from reports.codes import PRIVATE_SCHEME, code
from reports.encode.encoded import Outlet
from reports.model import Result
from reports.representations import TEXT_LIMITS, is_legal_in_header
from reports.study import IDENTITY, decoded, is_decodable, raw_value
from reports.wording import radgate_version, unique_algorithms

__all__ = [
    "MANUFACTURER",
    "algorithm_parameters",
    "carry_as_bytes",
    "coded",
    "declare_private_scheme",
    "equip",
    "is_carried_as_bytes",
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
    return deterministic_uid(kind, [result.uid_parts, outlet, ENCODER_VERSION, radgate_version(), profile])


def is_carried_as_bytes(header: Dataset) -> bool:
    """Whether the patient's identity does not decode, so that reports take over its bytes and its character set."""
    return not all(is_decodable(header, keyword) for keyword in IDENTITY)


def source_identity(header: Dataset) -> Dataset:
    """Patient and study of a source's header in UTF-8, without anything else of it.

    Text is kept as it is, however long. Another value that is not legal (a date of four digits, a sex that the standard
    does not know) is left empty, or out where the attribute may be absent, and so is a text that does not decode;
    `source_warnings` says which. Where the patient's identity does not decode, all text is taken over byte for byte
    with the source's own character set instead, and the caller calls `carry_as_bytes`.

    Raises
    ------
    UndecodableText
        Identity that does not decode, in a header whose bytes are not known.
    """
    ds = Dataset()
    as_bytes = is_carried_as_bytes(header)
    if as_bytes:
        stated = text(header, "SpecificCharacterSet")
        if stated:
            ds.SpecificCharacterSet = stated.split("\\") if "\\" in stated else stated
    else:
        ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword in PATIENT_AND_STUDY:
        if _is_left_out(header, keyword, as_bytes=as_bytes):
            if keyword in EMPTY_WHEN_UNKNOWN:
                setattr(ds, keyword, "")
            continue
        if as_bytes and _copy_bytes(header, ds, keyword):
            continue
        written = decoded(header, keyword)
        if written or keyword in EMPTY_WHEN_UNKNOWN:
            setattr(ds, keyword, written)
    return ds


def _copy_bytes(header: Dataset, ds: Dataset, keyword: str) -> bool:
    """Writes a value as it was received; False where its bytes are not known."""
    raw = raw_value(header, keyword)
    if raw is None:
        return False
    tag = Tag(tag_for_keyword(keyword) or 0)
    ds[tag] = RawDataElement(tag, dictionary_VR(tag), len(raw), raw, 0, False, True)
    return True


def source_warnings(header: Dataset, *, copied: bool = False) -> tuple[str, ...]:
    """A sentence, without the value, for each attribute of patient and study that the source did not write legally.

    Parameters
    ----------
    copied
        The object takes over the source's bytes; else it holds what `source_identity` gives.
    """
    warnings = []
    as_bytes = is_carried_as_bytes(header)
    for keyword in PATIENT_AND_STUDY:
        if is_legal_in_header(header, keyword):
            continue
        if copied or not _is_left_out(header, keyword, as_bytes=as_bytes):
            done = "copied as it is"
        else:
            done = "left empty" if keyword in EMPTY_WHEN_UNKNOWN else "left out"
        warnings.append(f"{keyword} of the images is not as the standard wants it; it was {done}.")
    return tuple(warnings)


def _is_left_out(header: Dataset, keyword: str, *, as_bytes: bool = False) -> bool:
    """Whether a value cannot be written: text that does not decode, or what is illegal and not the study's own UID."""
    vr = dictionary_VR(keyword)
    if vr in TEXT_LIMITS:
        return not as_bytes and not is_decodable(header, keyword)
    return vr != "UI" and not is_legal_in_header(header, keyword)


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


def carry_as_bytes(ds: Dataset) -> None:
    """Makes a data set with its source's bytes and character set ready to be written: own text is marked as UTF-8."""
    # Says that the raw values are encoded as the object will be, so that pydicom writes them as they are.
    ds.set_original_encoding(is_implicit_vr=False, is_little_endian=True, character_encoding=ds._character_set)
    _mark_own_text(ds)


def _mark_own_text(ds: Dataset) -> None:
    """Writes the character set UTF-8 into each item with text beyond ASCII."""
    for tag in list(ds.keys()):
        element: Any = ds.get_item(tag)
        # What is still raw was taken over from the source; looking at its value would decode it.
        if not isinstance(element, RawDataElement) and element.VR == "SQ":
            for item in element.value:
                if "SpecificCharacterSet" not in item and _goes_beyond_ascii(item):
                    item.SpecificCharacterSet = "ISO_IR 192"
                _mark_own_text(item)


def _goes_beyond_ascii(item: Dataset) -> bool:
    """Whether a value of the item itself needs more than ASCII."""
    return any(e.VR in TEXT_LIMITS and not str(e.value if e.value is not None else "").isascii() for e in item)


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
