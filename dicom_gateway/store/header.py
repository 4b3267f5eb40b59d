"""What the index keeps of an object's header, read without decoding anything but the texts that people see."""

import re
import struct
from dataclasses import dataclass
from typing import Any

from dicom_gateway.errors import Unreadable
from dicom_gateway.store.elements import Elements, walk_data_set
from dicom_gateway.store.part10 import Frame, open_frame
from imaging.charset import shown_text, terms_of

__all__ = ["Header", "integer", "read_header", "texts"]

_UID = re.compile(r"[0-9A-Za-z._-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_CHARACTER_SET = 0x00080005
_SOP_CLASS = 0x00080016
_SOP_INSTANCE = 0x00080018
_STUDY = 0x0020000D
_SERIES = 0x0020000E
_TEXTS: dict[str, tuple[int, int]] = {  # attribute of Header: (tag, longest text the index takes)
    "patient_name": (0x00100010, 512),
    "patient_id": (0x00100020, 128),
    "patient_birth_date": (0x00100030, 16),
    "patient_sex": (0x00100040, 16),
    "accession_number": (0x00080050, 64),
    "study_id": (0x00200010, 64),
    "study_date": (0x00080020, 16),
    "study_time": (0x00080030, 32),
    "study_description": (0x00081030, 256),
    "referring_physician": (0x00080090, 512),
    "modality": (0x00080060, 16),
    "series_description": (0x0008103E, 256),
    "body_part": (0x00180015, 64),
    "frame_of_reference_uid": (0x00200052, 64),
}
_NUMBERS = {"series_number": 0x00200011, "instance_number": 0x00200013, "number_of_frames": 0x00280008}
_SHORTS = {"rows": 0x00280010, "columns": 0x00280011}
WANTED = frozenset(
    {_CHARACTER_SET, _SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES}
    | {tag for tag, _ in _TEXTS.values()}
    | set(_NUMBERS.values())
    | set(_SHORTS.values())
)


@dataclass(frozen=True)
class Header:
    """The attributes of one object that the index keeps; texts are None where the object has none."""

    sop_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    transfer_syntax_uid: str
    patient_name: str | None = None
    patient_id: str | None = None
    patient_birth_date: str | None = None
    patient_sex: str | None = None
    accession_number: str | None = None
    study_id: str | None = None
    study_date: str | None = None
    study_time: str | None = None
    study_description: str | None = None
    referring_physician: str | None = None
    modality: str | None = None
    series_number: int | None = None
    series_description: str | None = None
    body_part: str | None = None
    frame_of_reference_uid: str | None = None
    instance_number: int | None = None
    number_of_frames: int | None = None
    rows: int | None = None
    columns: int | None = None


def read_header(data: memoryview) -> tuple[Header, Frame]:
    """Header and frame of a file.

    Raises
    ------
    Unreadable
        No DICOM, cut off, or without usable UIDs; `fields` has `reason`, and the UIDs as far as they are known.
    """
    frame = open_frame(data)
    found = walk_data_set(data[frame.data_set_at :], frame.transfer_syntax_uid, WANTED)
    uids = {
        "sop_uid": _uid(found, _SOP_INSTANCE),
        "sop_class_uid": _uid(found, _SOP_CLASS) or frame.sop_class_uid,
        "series_uid": _uid(found, _SERIES),
        "study_uid": _uid(found, _STUDY),
    }
    known = {name: uid for name, uid in uids.items() if _UID.fullmatch(uid)}
    if found.truncated:
        raise Unreadable(
            "The object ends before its data set does; send it again from its source.", reason="truncated", **known
        )
    for name, uid in uids.items():
        if not uid:
            raise Unreadable(
                f"The object has no {_NAMES[name]}; repair it at its source and send it again.",
                reason="missing_uid",
                **known,
            )
        if name not in known:
            raise Unreadable(
                f"The {_NAMES[name]} is no UID; repair the object at its source and send it again.",
                reason="bad_uid",
                **known,
            )
    terms = terms_of(found.values.get(_CHARACTER_SET, b""))
    rest: dict[str, Any] = {name: _text(found, tag, longest, terms) for name, (tag, longest) in _TEXTS.items()}
    rest |= {name: integer(found.values.get(tag, b"")) for name, tag in _NUMBERS.items()}
    rest |= {name: _short(found, tag) for name, tag in _SHORTS.items()}
    return Header(**(rest | uids), transfer_syntax_uid=frame.transfer_syntax_uid[:64]), frame


_NAMES = {
    "sop_uid": "SOP Instance UID",
    "sop_class_uid": "SOP Class UID",
    "series_uid": "Series Instance UID",
    "study_uid": "Study Instance UID",
}


def texts(value: bytes) -> list[str]:
    """The parts of a multi-valued text of the default repertoire."""
    return [part.strip("\x00 ") for part in value.decode("ascii", "replace").split("\\")]


def integer(value: bytes) -> int | None:
    """The first number of an IS value, or None where it is no number of 32 bits."""
    text = texts(value)[0]
    if not re.fullmatch(r"[+-]?\d{1,12}", text):
        return None
    number = int(text)
    return number if abs(number) < 1 << 31 else None


def _uid(found: Elements, tag: int) -> str:
    return found.values.get(tag, b"").decode("latin-1").strip("\x00 ")


def _short(found: Elements, tag: int) -> int | None:
    value = found.values.get(tag, b"")
    if len(value) < 2:
        return None
    return int(struct.unpack_from("<H" if found.little_endian else ">H", value)[0])


def _text(found: Elements, tag: int, longest: int, terms: tuple[str, ...]) -> str | None:
    value = found.values.get(tag)
    if value is None:
        return None
    return _CONTROL.sub("", shown_text(value, terms)).strip(" ")[:longest]
