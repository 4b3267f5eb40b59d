"""What the completeness engine wants to know of an instance, from its row and a look into its header."""

import math
from pathlib import Path

from dicom_gateway.complete.engine import Came
from dicom_gateway.complete.gaps import Slice, Vector
from dicom_gateway.errors import StoreError
from dicom_gateway.store.elements import walk_data_set
from dicom_gateway.store.files import mapped
from dicom_gateway.store.header import integer, texts
from dicom_gateway.store.part10 import open_frame
from dicom_gateway.store.rows import InstanceRow
from dicom_gateway.store.store import Store

__all__ = ["came"]

_POSITION = 0x00200032
_ORIENTATION = 0x00200037
_IN_ACQUISITION = 0x00201002
_IN_STUDY = 0x00201208
_IN_SERIES = 0x00201209
_WANTED = frozenset({_POSITION, _ORIENTATION, _IN_ACQUISITION, _IN_STUDY, _IN_SERIES})


def came(store: Store, row: InstanceRow, seen: float) -> Came:
    """The facts of one instance; a file that cannot be read any more counts by its row alone."""
    try:
        values = _values(store.path(row.sha256))
    except (StoreError, OSError):
        values = {}
    return Came(
        row.sop_uid,
        row.series_uid,
        row.sop_class_uid,
        seen,
        row.instance_number,
        row.number_of_frames,
        _slice(values.get(_POSITION, b""), values.get(_ORIENTATION, b"")),
        _count(values.get(_IN_SERIES, b"")),
        _count(values.get(_IN_STUDY, b"")),
        _count(values.get(_IN_ACQUISITION, b"")),
    )


def _values(path: Path) -> dict[int, bytes]:
    view = mapped(path)
    frame = open_frame(view)
    return walk_data_set(view[frame.data_set_at :], frame.transfer_syntax_uid, _WANTED).values


def _count(value: bytes) -> int | None:
    number = integer(value)
    return number if number is not None and number > 0 else None


def _slice(position: bytes, orientation: bytes) -> Slice | None:
    try:
        x, y, z, *_ = (float(t) for t in texts(position))
        a, b, c, d, e, f, *_ = (float(t) for t in texts(orientation))
    except ValueError:
        return None
    if not all(map(math.isfinite, (x, y, z, a, b, c, d, e, f))):
        return None
    place: Vector = (x, y, z)
    return place, (a, b, c), (d, e, f)
