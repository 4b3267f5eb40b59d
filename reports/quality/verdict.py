"""One judged series as the encoders need it: verdict, headers, and which instances a finding is about."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from pydicom.dataset import Dataset

from imaging.attributes import PARSER_FAULTS, numbers, text
from imaging.errors import MissingAttribute
from imaging.provenance import deterministic_uid, digest
from imaging.volume import SourceInstance
from qc.image.result import CheckResult, SeriesVerdict
from reports.codes import code
from reports.encode.identity import (
    MANUFACTURER,
    carry_as_bytes,
    coded,
    is_carried_as_bytes,
    source_identity,
)
from reports.wording import radgate_version

__all__ = ["JudgedSeries", "concept", "described", "evidence_of", "identified", "object_uid"]

SAME_PLACE_MM = 0.01


@dataclass(frozen=True, eq=False)
class JudgedSeries:
    """A series with its final verdict.

    Parameters
    ----------
    verdict
        What the checks said.
    headers
        Every instance's header, without pixels, in any order.
    created_at
        Time that stands in the objects, with its zone.
    rejected
        Whether a person has rejected the series for its quality.
    language
        Language of the report's content.
    """

    verdict: SeriesVerdict
    headers: tuple[Dataset, ...]
    created_at: datetime
    rejected: bool = False
    language: Literal["zh", "en"] = "zh"

    def sources(self) -> tuple[SourceInstance, ...]:
        """The instances, by position along the normal where they have one, else by UID."""
        ordered = sorted(self.headers, key=lambda h: (_place(h) or 0.0, text(h, "SOPInstanceUID")))
        return tuple(
            SourceInstance(text(h, "SOPClassUID"), text(h, "SOPInstanceUID"), text(h, "SeriesInstanceUID"))
            for h in ordered
        )

    def instances_of(self, result: CheckResult) -> tuple[str, ...]:
        """UIDs of the instances that a finding is about; all of the series where it names no place.

        A place between two slices (a gap) is on neither: its neighbours on both sides stand for it.
        """
        named: dict[str, None] = {}
        placed = sorted((p, text(h, "SOPInstanceUID")) for h in self.headers if (p := _place(h)) is not None)
        positions = np.array([p for p, _ in placed])
        for location in result.where:
            for uid in _listed(location.data, "sop_instance_uids") + _listed(location.data, "uids"):
                named[str(uid)] = None
            for p_mm in _listed(location.data, "p_mm") if len(positions) else []:
                distance = np.abs(positions - float(p_mm))
                nearest = int(distance.argmin())
                if distance[nearest] > SAME_PLACE_MM:
                    above = int(np.searchsorted(positions, float(p_mm)))
                    for index in {max(0, above - 1), min(len(placed) - 1, above)}:
                        named[placed[index][1]] = None
                else:
                    named[placed[nearest][1]] = None
        everything = [text(h, "SOPInstanceUID") for h in self.headers]
        return tuple(uid for uid in everything if uid in named) or tuple(everything)


def _listed(data: Any, key: str) -> list[Any]:
    value = data.get(key)
    return list(value) if isinstance(value, (list, tuple)) else []


def _place(header: Dataset) -> float | None:
    """Position along the normal, mm."""
    try:
        orientation = np.array(numbers(header, "ImageOrientationPatient", 6))
        position = np.array(numbers(header, "ImagePositionPatient", 3))
    except (MissingAttribute, *PARSER_FAULTS):
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    return float(position @ normal / max(float(np.linalg.norm(normal)), 1e-6))


def object_uid(series: JudgedSeries, kind: str, outlet: str) -> str:
    """UID that follows from the verdict alone: the same verdict makes the same object."""
    said = digest(series.verdict.untimed().to_json())
    parts = [series.verdict.series_instance_uid, said, series.rejected, series.language, outlet, radgate_version()]
    return deterministic_uid(kind, parts)


def evidence_of(series: JudgedSeries, uids: tuple[str, ...]) -> list[Dataset]:
    """A small data set for each instance that an object refers to."""
    wanted = set(uids)
    found = []
    # highdicom refuses and remarks on values that are the source's to choose; patient and study are written afterwards.
    shared = source_identity(Dataset())
    shared.StudyInstanceUID = text(series.headers[0], "StudyInstanceUID")
    for header in series.headers:
        if text(header, "SOPInstanceUID") in wanted:
            item = Dataset()
            item.update(shared)
            for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"):
                setattr(item, keyword, text(header, keyword))
            item.Rows, item.Columns, item.NumberOfFrames = 1, 1, 1
            found.append(item)
    return found


def identified(ds: Dataset, series: JudgedSeries) -> Dataset:
    """The object with patient and study of its images, and with radgate as its equipment."""
    ds.pop("SpecificCharacterSet", None)  # the source's may be that of a header which states none
    ds.update(source_identity(series.headers[0]))
    ds.Manufacturer, ds.ManufacturerModelName = MANUFACTURER, "radgate"
    ds.SoftwareVersions = radgate_version()
    ds.DeviceSerialNumber = "radgate"
    ds.ContributingEquipmentSequence = [_equipment(series.created_at)]
    date, time = series.created_at.strftime("%Y%m%d"), series.created_at.strftime("%H%M%S")
    for name in ("InstanceCreation", "Series", "Content"):
        setattr(ds, f"{name}Date", date)
        setattr(ds, f"{name}Time", time)
    ds.TimezoneOffsetFromUTC = series.created_at.strftime("%z") or "+0000"
    return ds


def _equipment(made_at: datetime) -> Dataset:
    """Contributing Equipment: the checks; without it highdicom names itself, with the time of its own clock."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [coded("processing_equipment")]
    item.Manufacturer, item.ManufacturerModelName = MANUFACTURER, "radgate image quality"
    item.SoftwareVersions = radgate_version()
    item.ContributionDateTime = made_at.strftime("%Y%m%d%H%M%S%z")
    return item


def described(ds: Dataset, zh: str, en: str, series: JudgedSeries) -> None:
    """The series description; an object that carries its images' bytes and character set gets the plain English one."""
    as_bytes = is_carried_as_bytes(series.headers[0])
    ds.SeriesDescription = zh if series.language == "zh" and not as_bytes else en
    if as_bytes:
        carry_as_bytes(ds)


def concept(key: str) -> Any:
    """A code of `codes.toml` for highdicom."""
    from highdicom.sr import CodedConcept

    return CodedConcept.from_code(code(key))
