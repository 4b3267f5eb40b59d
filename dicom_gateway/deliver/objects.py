"""What a sender needs to know of an object in the store."""

from dataclasses import dataclass
from pathlib import Path

from dicom_gateway.store import Store
from dicom_gateway.store.files import mapped
from dicom_gateway.store.header import read_header

__all__ = ["OutgoingObject", "outgoing"]


@dataclass(frozen=True)
class OutgoingObject:
    """One file to send, and its identity."""

    path: Path
    size_bytes: int
    sop_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    transfer_syntax_uid: str


def outgoing(store: Store, sha256: str) -> OutgoingObject:
    """An object of the store, by its digest.

    Raises
    ------
    UnknownObject
        There is none.
    Unreadable
        Its file is damaged.
    """
    path = store.path(sha256)
    header, _ = read_header(mapped(path))
    return OutgoingObject(
        path,
        path.stat().st_size,
        header.sop_uid,
        header.sop_class_uid,
        header.series_uid,
        header.study_uid,
        header.transfer_syntax_uid,
    )
