"""A rigid transform as a Spatial Registration object, labelled as computed and not reviewed."""

import warnings
from datetime import datetime
from importlib.metadata import version
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.charset import default_encoding
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, ExplicitVRLittleEndian, SpatialRegistrationStorage

from contouring.decimals import decimal_text
from contouring.dose.rtdose_write import WrittenDose
from contouring.dose.transform import RigidTransform, read_registration
from contouring.errors import RoundTripMismatch
from contouring.rtstruct_header import copy_patient_and_study, encodings_of
from imaging.headers import text
from imaging.provenance import deterministic_uid
from imaging.series import Stack

__all__ = ["encoded_file", "referenced_images", "registration_head", "write_registration"]

SHIFT_TOLERANCE_MM = 1e-3


def write_registration(
    transform: RigidTransform, reference: Stack, other: Stack, *, made_at: datetime, note: str = ""
) -> WrittenDose:
    """The registration of another image to the reference image.

    Parameters
    ----------
    transform
        From the frame of the reference image to the other.
    reference, other
        The two image series; the object belongs to the study of the reference.
    made_at
        Time of the run; not part of what the UIDs follow from.
    note
        ContentDescription, at most 64 characters, such as its quality.

    Raises
    ------
    RoundTripMismatch
        The object does not read back as the same transform.
    """
    matrix = transform.inverse().matrix
    parts: list[Any] = [reference.id, other.id, np.round(matrix, 9).tolist()]
    ds = registration_head(SpatialRegistrationStorage, parts, reference, other, made_at)
    ds.SeriesDescription, ds.ContentLabel = "radgate rigid, not reviewed", "RIGID"
    ds.ContentDescription = note[:64]
    ds.RegistrationSequence = DicomSequence([
        _item(transform.source, np.eye(4), reference),
        _item(transform.target, np.asarray(matrix), other),
    ])
    encoded = encoded_file(ds)
    dataset = dcmread(BytesIO(encoded))
    read = read_registration(dataset).between(transform.source, transform.target)
    if np.abs(read.matrix - transform.matrix).max() > SHIFT_TOLERANCE_MM:
        raise RoundTripMismatch("The written registration does not read back as itself; nothing was written.")
    return WrittenDose(dataset, encoded)


def registration_head(sop_class: str, parts: list[Any], reference: Stack, other: Stack, made_at: datetime) -> Dataset:
    """A registration without its content: patient, study, equipment, references; UIDs follow from `parts`."""
    ds = Dataset()
    copy_patient_and_study(reference.header, ds)
    named = encodings_of(reference.header) if text(ds, "SpecificCharacterSet") else None
    ds.set_original_encoding(False, True, named or default_encoding)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, deterministic_uid("registration", parts)
    ds.SeriesInstanceUID = deterministic_uid("registration series", parts)
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "REG", 9011, 1
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "radgate", "radgate", version("radgate")
    ds.DeviceSerialNumber = "1"
    ds.SeriesDate = ds.ContentDate = made_at.strftime("%Y%m%d")
    ds.SeriesTime = ds.ContentTime = made_at.strftime("%H%M%S")
    ds.ContentCreatorName, ds.Laterality = "", ""
    ds.FrameOfReferenceUID = reference.frame_of_reference_uid
    if "PositionReferenceIndicator" not in ds:
        ds.PositionReferenceIndicator = ""
    is_one_study = reference.study_instance_uid == other.study_instance_uid
    ds.ReferencedSeriesSequence = DicomSequence([
        _series(s) for s in ((reference, other) if is_one_study else (reference,))
    ])
    if not is_one_study:
        study = Dataset()
        study.StudyInstanceUID = other.study_instance_uid
        study.ReferencedSeriesSequence = DicomSequence([_series(other)])
        ds.StudiesContainingOtherReferencedInstancesSequence = DicomSequence([study])
    return ds


def _item(frame: str, matrix: np.ndarray[Any, np.dtype[np.float64]], stack: Stack) -> Dataset:
    part = Dataset()
    part.FrameOfReferenceTransformationMatrixType = "RIGID"
    part.FrameOfReferenceTransformationMatrix = [decimal_text(float(v)) for v in matrix.ravel()]
    step = Dataset()
    step.MatrixSequence = DicomSequence([part])
    step.RegistrationTypeCodeSequence = DicomSequence()
    item = Dataset()
    item.FrameOfReferenceUID = frame
    item.MatrixRegistrationSequence = DicomSequence([step])
    item.ReferencedImageSequence = DicomSequence(referenced_images(stack))
    return item


def referenced_images(stack: Stack) -> list[Dataset]:
    """An item for each instance of a series."""
    items: dict[str, Dataset] = {}
    for source in stack.sources:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.sop_class_uid, source.sop_instance_uid
        items.setdefault(source.sop_instance_uid, item)
    return [*items.values()]


def _series(stack: Stack) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = stack.series_instance_uid
    item.ReferencedInstanceSequence = DicomSequence(referenced_images(stack))
    return item


def encoded_file(ds: Dataset) -> bytes:
    """The object as a file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(deterministic_uid("implementation", "radgate"))
    meta.ImplementationVersionName = "RADGATE"
    ds.file_meta = meta
    buffer = BytesIO()
    with warnings.catch_warnings():
        # Values copied from the images may break rules of style; they are kept as they are.
        warnings.simplefilter("ignore")
        dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()
