"""A finished DICOM object, and what a destination accepts."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from imaging.errors import RadgateError
from imaging.provenance import deterministic_uid
from imaging.quiet import quiet_pydicom
from reports.errors import EncodingError, TextTooLong

__all__ = ["Capability", "EncodedObject", "Outlet", "encoding", "finished"]

Outlet = Literal["seg", "rtstruct", "sr", "pdf", "reg", "rtdose", "sc", "quality_sr", "quality_kos"]

SENDING_ORDER: tuple[Outlet, ...] = ("seg", "rtstruct", "sr", "pdf")
"""What is referred to goes before what refers to it."""


@dataclass(frozen=True)
class EncodedObject:
    """A complete DICOM file (preamble, meta information, data set) with what a ledger needs to know of it.

    Parameters
    ----------
    data
        The file.
    sha256
        Hash of `data`: a replay that gives other bytes under the same UID is an internal error, not a send.
    warnings
        What a person should know and what did not stop the encoding.
    """

    outlet: Outlet
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    data: bytes
    sha256: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Capability:
    """What a destination accepts.

    Parameters
    ----------
    outlets
        Forms to send.
    seg
        "binary", or "labelmap" where the destination reads it and no structures overlap.
    rt_profile
        Export profile of `contouring`.
    rt_mode
        "smooth" contours, or "crack" ones along the voxels' edges.
    item_charset
        Also writes the character set into each item of the segment and content sequences: viewers built on dcmjs decode
        text in sequences as Latin-1 otherwise (dcmjs #503). To be removed with the fixed dcmjs.
    language
        Language of the structured report's content.
    max_object_mb
        Larger objects are written with a warning.
    """

    outlets: tuple[Outlet, ...] = SENDING_ORDER
    seg: Literal["binary", "labelmap"] = "binary"
    rt_profile: str = "generic"
    rt_mode: Literal["smooth", "crack"] = "smooth"
    item_charset: bool = True
    language: Literal["zh", "en"] = "zh"
    max_object_mb: float = 200.0


@contextmanager
def encoding(what: str) -> Iterator[None]:
    """Lets nothing out of an encoder but radgate's own errors, so that a failure can be delivered instead.

    pydicom's remarks are dropped meanwhile, because they quote a patient's data; so does the text of its errors.

    Parameters
    ----------
    what
        The object that is being written, for the sentence.

    Raises
    ------
    RadgateError
        As the encoder raised it.
    EncodingError
        Another error came up; its type is named.
    """
    try:
        with quiet_pydicom():
            yield
    except RadgateError:
        raise
    except Exception as fault:  # noqa: BLE001 -- the boundary to highdicom, pydicom and the typesetter
        kind = type(fault).__name__
        raise EncodingError(
            f"The {what} cannot be written ({kind}); send the study to support.", what=what, error=kind
        ) from None


def finished(
    outlet: Outlet,
    ds: Dataset,
    *,
    data: bytes | None = None,
    warnings: tuple[str, ...] = (),
    max_object_mb: float = 200.0,
) -> EncodedObject:
    """The object of a data set.

    Parameters
    ----------
    data
        The file, where the writer has made it; else it is written in the transfer syntax that the meta information
        names, or in Explicit VR Little Endian.

    Raises
    ------
    TextTooLong
        A value does not fit its attribute, or the attribute its transfer syntax.
    """
    if data is None:
        data = _file(ds)
    if len(data) > max_object_mb * 1e6:
        warnings += (f"The object has {len(data) / 1e6:.0f} MB; the destination wants at most {max_object_mb:.0f} MB.",)
    return EncodedObject(
        outlet=outlet,
        sop_class_uid=str(ds.SOPClassUID),
        sop_instance_uid=str(ds.SOPInstanceUID),
        series_instance_uid=str(ds.SeriesInstanceUID),
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        warnings=warnings,
    )


def _file(ds: Dataset) -> bytes:
    """Preamble, meta information and data set.

    Raises
    ------
    TextTooLong
        A value does not fit.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = getattr(getattr(ds, "file_meta", None), "TransferSyntaxUID", ExplicitVRLittleEndian)
    meta.ImplementationClassUID = UID(deterministic_uid("implementation class", "radgate"))
    meta.ImplementationVersionName = "radgate"
    ds.file_meta = meta
    ds.preamble = b"\x00" * 128
    buffer = BytesIO()
    try:
        ds.save_as(buffer, enforce_file_format=True)
    except (OverflowError, ValueError) as fault:
        raise TextTooLong("A value does not fit its attribute; shorten the name it was made from.") from fault
    return buffer.getvalue()
