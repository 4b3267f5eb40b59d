"""Structure sets as other systems write them, good and bad, made by plain pydicom."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag
from pydicom.uid import UID, ImplicitVRLittleEndian, RTStructureSetStorage

from imaging.geometry import Grid

CONTOUR_DATA = Tag(0x30060050)


def square(grid: Grid, plane: float, column: float = 10.0, row: float = 12.0, side: float = 8.0) -> NDArray[np.float64]:
    """Around `side` columns and `side + 3` rows from the given ones on, at a plane that may lie between two planes."""
    low = min(int(np.floor(plane)), grid.shape[0] - 1)
    along = plane - low
    step = grid.slice_steps_mm[min(low, len(grid.slice_steps_mm) - 1)] if grid.shape[0] > 1 else 1.0
    corners = np.array([[0.0, 0], [side, 0], [side, side + 3], [0, side + 3]]) + np.array([column, row]) - 0.5
    return grid.points_lps(low, corners) + along * step * grid.normal


def contour(points: NDArray[np.float64] | bytes, kind: str = "CLOSED_PLANAR", uid: str = "") -> Dataset:
    """One item of ContourSequence; the data may be any bytes."""
    item = Dataset()
    if uid:
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
        item.ContourImageSequence = DicomSequence([image])
    item.ContourGeometricType = kind
    data = points if isinstance(points, bytes) else "\\".join(f"{v:.4f}" for v in np.ravel(points)).encode()
    item.NumberOfContourPoints = (data.count(b"\\") + 1) // 3
    item[CONTOUR_DATA] = RawDataElement(CONTOUR_DATA, "DS", len(data), data, 0, True, True)
    return item


def structure_set(
    rois: Sequence[tuple[int, str, Sequence[Dataset] | None]], grid: Grid, frame: str | None = None, **attributes: Any
) -> Dataset:
    """A structure set of (number, name, contours); None for a ROI without ContourSequence."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = RTStructureSetStorage, UID("1.2.3.4")
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = (
        RTStructureSetStorage,
        UID("1.2.3.4"),
    )
    ds.Modality, ds.StructureSetLabel = "RTSTRUCT", "foreign"
    ds.StructureSetROISequence, ds.ROIContourSequence = DicomSequence(), DicomSequence()
    for number, name, contours in rois:
        definition = Dataset()
        definition.ROINumber, definition.ROIName = number, name
        definition.ReferencedFrameOfReferenceUID = grid.frame_of_reference_uid if frame is None else frame
        ds.StructureSetROISequence.append(definition)
        item = Dataset()
        item.ReferencedROINumber = number
        if contours is not None:
            item.ContourSequence = DicomSequence(contours)
        ds.ROIContourSequence.append(item)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds
