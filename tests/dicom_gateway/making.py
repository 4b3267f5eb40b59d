"""DICOM objects and settings for tests of the gateway: oblique, not square, with a Chinese patient name."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_gateway.settings import Settings, read_settings

__all__ = ["CT_CLASS", "STUDY", "ct_slice", "encoded", "file_of", "gateway_settings", "uid"]

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
ROOT = "1.2.826.0.1.3680043.10.1234"
ROW = np.array([0.96, 0.28, 0.0])
COLUMN = np.array([-0.28 * 0.8, 0.96 * 0.8, 0.6])
NORMAL = np.cross(ROW, COLUMN)
ORIGIN = np.array([-101.5, -87.25, 33.125])
STEP_MM = 2.5


def uid(*parts: int) -> str:
    """A UID that is told apart by its parts."""
    return ".".join([ROOT, *map(str, parts)])


STUDY = uid(1)


def ct_slice(
    number: int = 1, *, study: int = 1, series: int = 1, position: float | None = None, **tags: Any
) -> Dataset:
    """One CT slice of 12 rows and 20 columns; `position` counts slices from the origin and is `number` by default."""
    place = ORIGIN + NORMAL * STEP_MM * (number if position is None else position)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CT_CLASS
    ds.SOPInstanceUID = uid(study, series, number)
    ds.StudyInstanceUID = uid(study)
    ds.SeriesInstanceUID = uid(study, series)
    ds.FrameOfReferenceUID = uid(study, 99)
    ds.PatientName = "Wang^XiaoDong=王^小东"
    ds.PatientID = "P-4711"
    ds.PatientBirthDate = "19570312"
    ds.PatientSex = "F"
    ds.AccessionNumber = "A-0815"
    ds.StudyDate, ds.StudyTime, ds.StudyID = "20260504", "101500", "S1"
    ds.StudyDescription, ds.SeriesDescription = "定位 CT", "平扫"
    ds.ReferringPhysicianName = "李^医生"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", series, number
    ds.BodyPartExamined = "HEADNECK"
    ds.ImagePositionPatient = [f"{v:.6f}" for v in place]
    ds.ImageOrientationPatient = [f"{v:.6f}" for v in (*ROW, *COLUMN)]
    ds.PixelSpacing, ds.SliceThickness = ["0.9", "1.3"], "2.5"
    ds.Rows, ds.Columns = 12, 20
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleSlope, ds.RescaleIntercept = "1", "-1024"
    ds.PixelData = (np.arange(12 * 20, dtype="<u2") * 7 + number).tobytes()
    for keyword, value in tags.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    return ds


def encoded(ds: Dataset, *, implicit: bool = False) -> bytes:
    """A data set as C-STORE carries it, without a frame."""
    target = DicomBytesIO()
    target.is_implicit_VR, target.is_little_endian = implicit, True
    write_dataset(target, ds)
    return target.getvalue()


def file_of(ds: Dataset, *, implicit: bool = False) -> bytes:
    """A data set as a DICOM file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", CT_CLASS)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", uid(9))
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def gateway_settings(folder: Path, text: str = "") -> Settings:
    """Settings with a store in a folder, a free port, and what `text` adds."""
    plain = '[store]\nroot = "store"\nlow_free = 0.0\nfloor_free = 0.0\n'
    listen = "" if "[listen]" in text else "[listen]\nport = 0\n"
    return read_settings(plain + listen + text, folder / "radgate.toml")
