"""A deformation as a Deformable Spatial Registration object, labelled as computed and qualitative."""

import hashlib
from datetime import datetime
from io import BytesIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import DeformableSpatialRegistrationStorage

from contouring.decimals import decimal_text
from contouring.dose.deformation import Deformation, read_deformable_registration
from contouring.dose.registration_write import encoded_file, referenced_images, registration_head
from contouring.dose.rtdose_write import WrittenDose
from contouring.dose.transform import RigidTransform
from contouring.errors import RoundTripMismatch
from imaging.series import Stack

__all__ = ["write_deformation"]

TOLERANCE_MM = 1e-3


def write_deformation(
    deformation: Deformation, reference: Stack, other: Stack, *, made_at: datetime, note: str = ""
) -> WrittenDose:
    """The deformable registration of another image to the reference image.

    Parameters
    ----------
    deformation
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
        The object does not read back as the same deformation.
    """
    data = np.ascontiguousarray(deformation.vectors_mm, dtype="<f4").tobytes()
    rigid = [np.round(t.matrix, 9).tolist() for t in (deformation.before, deformation.after)]
    parts = [reference.id, other.id, rigid, hashlib.sha256(data).hexdigest()]
    ds = registration_head(DeformableSpatialRegistrationStorage, parts, reference, other, made_at)
    ds.SeriesDescription, ds.ContentLabel = "radgate deformable QUALITATIVE", "DEFORMABLE"
    ds.ContentDescription = note[:64]
    item = Dataset()
    item.SourceFrameOfReferenceUID = deformation.target
    item.ReferencedImageSequence = DicomSequence(referenced_images(other))
    item.RegistrationTypeCodeSequence = DicomSequence()
    item.PreDeformationMatrixRegistrationSequence = DicomSequence([_matrix(deformation.before)])
    item.PostDeformationMatrixRegistrationSequence = DicomSequence([_matrix(deformation.after)])
    item.DeformableRegistrationGridSequence = DicomSequence([_nodes(deformation, data)])
    ds.DeformableRegistrationSequence = DicomSequence([item])
    encoded = encoded_file(ds)
    dataset = dcmread(BytesIO(encoded))
    read = read_deformable_registration(dataset).between(deformation.source, deformation.target)
    points = np.concatenate([_corners(deformation), _corners(deformation).mean(axis=0, keepdims=True)])
    if np.abs(read.apply(points) - deformation.apply(points)).max() > TOLERANCE_MM or not np.array_equal(
        read.vectors_mm, deformation.vectors_mm
    ):
        raise RoundTripMismatch("The written registration does not read back as itself; nothing was written.")
    return WrittenDose(dataset, encoded)


def _corners(deformation: Deformation) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    grid = deformation.grid
    ends = np.array([[0.0, 0.0], [grid.columns - 1, grid.rows - 1]])
    return np.concatenate([grid.points_lps(k, ends) for k in (0, grid.shape[0] - 1)])


def _matrix(transform: RigidTransform) -> Dataset:
    item = Dataset()
    item.FrameOfReferenceTransformationMatrixType = "RIGID"
    item.FrameOfReferenceTransformationMatrix = [decimal_text(float(v)) for v in transform.matrix.ravel()]
    return item


def _nodes(deformation: Deformation, data: bytes) -> Dataset:
    grid = deformation.grid
    planes, rows, columns = grid.shape
    item = Dataset()
    item.ImageOrientationPatient = [decimal_text(float(v)) for v in (*grid.row_direction, *grid.column_direction)]
    item.ImagePositionPatient = [decimal_text(float(v)) for v in grid.positions_lps[0]]
    item.GridDimensions = [columns, rows, planes]
    item.GridResolution = [grid.pixel_spacing_mm[1], grid.pixel_spacing_mm[0], grid.slice_spacing_mm]
    item.VectorGridData = data
    return item
