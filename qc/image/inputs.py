"""What a check may look at: the headers of the planes, their geometry, the volume, and what the caller knows besides.

Values that several checks need are computed here once and kept; a check itself never imports another.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from imaging.errors import RadgateError
from imaging.headers import PARSER_FAULTS
from imaging.volume import Region, Volume
from qc.image.body import BodySection, body_sections
from qc.image.lungs import Lungs, find_lungs
from qc.image.picture import Picture
from qc.image.pixels import PlaneStatistics, plane_statistics
from qc.image.result import Subject
from qc.image.waveform import Waveform

__all__ = ["Expected", "Inputs", "Planes", "item_of", "number_of", "numbers_of", "seconds_of_day", "text_of"]

FloatArray = NDArray[np.float64]

BINARY_VR = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "UV", "SV", "OB", "OW", "AT", "UN"})

PLANAR = frozenset({
    "CR", "DX", "MG", "US", "OP", "XC", "SM", "ECG", "ES", "GM", "IO", "PX", "IVUS", "OPT", "HD", "EPS",
})  # fmt: skip
"""Modalities whose images have no place in the patient's space."""

CHARACTER_LIMIT = 1024
"""Longest text taken from one attribute (UT without end is no description)."""


@dataclass(frozen=True)
class Expected:
    """What one attribute should say, handed in from the profile: one of `values`, in `range`, or matching `regex`."""

    values: tuple[str | float, ...] = ()
    range: tuple[float, float] | None = None
    regex: str = ""


@dataclass(frozen=True, eq=False)
class Planes:
    """Geometry of the planes as their headers say it, sorted along the normal; duplicates stay.

    Parameters
    ----------
    order
        Index of each plane in the headers.
    origins_lps
        ImagePositionPatient, shape (N, 3), mm.
    orientation
        ImageOrientationPatient, shape (N, 6).
    normal
        Unit normal of the first plane.
    p_mm
        Position along the normal, ascending.
    """

    order: NDArray[np.intp]
    origins_lps: FloatArray
    orientation: FloatArray
    normal: FloatArray
    p_mm: FloatArray

    @cached_property
    def steps_mm(self) -> FloatArray:
        """Distance of each plane to the next along the normal."""
        return np.diff(self.p_mm)

    @cached_property
    def distinct(self) -> NDArray[np.intp]:
        """Indices of the planes left when planes nearer than 0.01 mm to the one before are dropped."""
        keep = np.concatenate([[True], self.steps_mm >= SAME_PLACE_MM])
        return np.flatnonzero(keep)

    @cached_property
    def distinct_steps_mm(self) -> FloatArray:
        """Distances between planes at different places."""
        return np.diff(self.p_mm[self.distinct])


SAME_PLACE_MM = 0.01
"""Planes nearer than this lie at the same place (specification of image quality, 3.1)."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Everything that a check may look at.

    Parameters
    ----------
    headers
        Data sets without pixels, one per plane in any order (a frame of a multi-frame object has a header of its own).
    volume
        The image; None where its geometry was refused or it has no pixels.
    refusal
        Why there is no volume.
    pixel_digests
        Hash of each header's pixels, where the caller has them; tells a repeated slice from a second image.
    known
        What the caller knows of the series where there are no headers.
    expect
        Expectations by keyword; those of the profile are added by the runner.
    order
        What was ordered, by keyword (PatientID, Laterality, BodyPartExamined, ...), where the caller knows it.
    today
        The day of the check; None leaves dates in the future unnoticed (a check reads no clock).
    pictures
        Single pictures where the series is no stack (radiograph, ultrasound, photograph, slide).
    waveform
        A recorded signal.
    masks
        Organs by TG-263 name, where the caller has them: on the grid of the volume, or of the first picture as a plane.
    companion
        The CT of a PET, in the same frame of reference.
    frames
        The volumes of a series in time, or of breathing phases, in order.
    siblings
        One header of each other series of the study.
    """

    headers: tuple[Dataset, ...]
    volume: Volume | None = None
    refusal: RadgateError | None = None
    pixel_digests: tuple[str, ...] | None = None
    known: Subject = field(default_factory=Subject)
    expect: Mapping[str, Expected] = field(default_factory=dict)
    order: Mapping[str, str] = field(default_factory=dict)
    today: date | None = None
    pictures: tuple[Picture, ...] = ()
    waveform: Waveform | None = None
    masks: Mapping[str, Region] = field(default_factory=dict)
    companion: Volume | None = None
    frames: tuple[Volume, ...] = ()
    siblings: tuple[Dataset, ...] = ()

    @cached_property
    def modality(self) -> str:
        """Modality of the first header, else what the caller knows."""
        return self.text("Modality") or self.known.modality

    @cached_property
    def subject(self) -> Subject:
        """What is judged."""
        return Subject(
            self.text("StudyInstanceUID") or self.known.study_instance_uid,
            self.text("SeriesInstanceUID") or self.known.series_instance_uid,
            self.modality,
            len(self.headers),
        )

    def text(self, keyword: str, header: int = 0) -> str:
        """An attribute of one header as text; "" where it is absent, empty or unreadable."""
        return "" if not self.headers else text_of(self.headers[header], keyword)

    def texts(self, keyword: str) -> list[str]:
        """An attribute of every header as text."""
        return [text_of(h, keyword) for h in self.headers]

    def number(self, keyword: str, header: int = 0) -> float | None:
        """First number of an attribute of one header; None where it is absent, empty or no number."""
        found = numbers_of(self.headers[header], keyword) if self.headers else ()
        return found[0] if found else None

    def numbers(self, keyword: str) -> list[tuple[float, ...]]:
        """All numbers of an attribute of every header; an empty tuple where it is absent, empty or no number."""
        return [numbers_of(h, keyword) for h in self.headers]

    @cached_property
    def planes(self) -> Planes | None:
        """Geometry as the headers say it; None where a position or orientation is missing."""
        positions, directions = self.numbers("ImagePositionPatient"), self.numbers("ImageOrientationPatient")
        complete = all(len(p) == 3 for p in positions) and all(len(d) == 6 for d in directions)
        if not positions or not complete:
            return None
        origins, orientation = np.array(positions), np.array(directions)
        normal = np.cross(orientation[0, :3], orientation[0, 3:])
        length = float(np.linalg.norm(normal))
        if not 0.5 < length < 1.5:
            return None
        normal /= length
        p_mm = origins @ normal
        # The in-plane origin breaks ties, so that the order in which instances arrived does not matter.
        order = np.lexsort((origins[:, 1].round(6), origins[:, 0].round(6), p_mm))
        return Planes(order, origins[order], orientation[order], normal, p_mm[order])

    @cached_property
    def body(self) -> tuple[BodySection, ...]:
        """Cross-sections of the body on evenly chosen planes of a CT; empty without a volume."""
        return () if self.volume is None else body_sections(self.volume)

    @property
    def is_planar(self) -> bool:
        """Whether the series is one of pictures or signals, to which no geometry of a stack applies."""
        return bool(self.pictures) or self.waveform is not None or (self.volume is None and self.modality in PLANAR)

    @cached_property
    def lungs(self) -> Lungs | None:
        """The lungs of a CT, found without a model; None where there are none, or no volume."""
        return None if self.volume is None or not self.body else find_lungs(self.volume, self.body)

    @cached_property
    def plane_statistics(self) -> PlaneStatistics | None:
        """Smallest and largest value, and the share of signal, of every plane; None without a volume."""
        return None if self.volume is None else plane_statistics(self.volume, self.modality)


def _is_plain(value: bytes) -> bool:
    """Whether the bytes are ASCII in every character set: after an escape, 7 bits may be Chinese."""
    return value.isascii() and b"\x1b" not in value


def text_of(header: Dataset, keyword: str) -> str:
    """One attribute as text without spaces around it; several values are joined by a backslash."""
    try:
        element = header.get_item(keyword)
        if element is None or element.value is None:
            return ""
        # Plain ASCII is taken from the bytes: pydicom would warn about its length or style, which is no matter here.
        if isinstance(element.value, bytes) and _is_plain(element.value) and element.VR not in BINARY_VR:
            return element.value.decode("ascii").strip(" \0")[:CHARACTER_LIMIT]
        value = header.get(keyword)
    except PARSER_FAULTS:
        return ""
    if isinstance(value, (MultiValue, list, tuple)):
        return "\\".join(str(v).strip() for v in value)[:CHARACTER_LIMIT]
    return str(value).strip()[:CHARACTER_LIMIT]


def numbers_of(header: Dataset, keyword: str) -> tuple[float, ...]:
    """One attribute as finite numbers; an empty tuple where it is absent, empty or holds something else."""
    try:
        element = header.get_item(keyword)
        value: Any = None if element is None else element.value
        if isinstance(value, bytes):
            binary = element is not None and (element.VR is None or element.VR in BINARY_VR)
            value = header.get(keyword) if binary else value.strip(b" \0").split(b"\\")
        if value is None or value in ("", [b""]):
            return ()
        several: Sequence[Any] = value if isinstance(value, (MultiValue, list, tuple)) else [value]
        found = tuple(float(v) for v in several)
    except PARSER_FAULTS:
        return ()
    return found if all(math.isfinite(v) for v in found) else ()


def number_of(header: Dataset, keyword: str) -> float | None:
    """First number of one attribute; None where it is absent, empty or holds something else."""
    found = numbers_of(header, keyword)
    return found[0] if found else None


def item_of(header: Dataset, keyword: str) -> Dataset:
    """First item of a sequence; an empty data set where there is none."""
    try:
        sequence = header.get(keyword)
        return sequence[0] if sequence else Dataset()
    except PARSER_FAULTS:
        return Dataset()


def seconds_of_day(text: str) -> float | None:
    """Seconds since midnight of a DICOM time (HHMMSS.FFFFFF, cut short from the right), or None where it is none."""
    found = re.match(r"(\d{2})(\d{2})?(\d{2}(?:\.\d+)?)?", text)
    if not found:
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds if hours < 24 and minutes < 60 and seconds < 61 else None
