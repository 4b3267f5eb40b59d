"""Writing a CT volume as a valid DICOM series of one fictitious patient."""

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from imaging.provenance import deterministic_uid
from imaging.volume import Volume

__all__ = ["write_ct_series"]

PATIENT_NAME = "Moti^Ren=模体^人"
STUDY_DATE, STUDY_TIME = "20260304", "093000"


def write_ct_series(folder: Path, volume: Volume, seed: int) -> list[Path]:
    """Write one CT instance per plane; the names of the files follow the planes, from the lowest to the highest.

    Parameters
    ----------
    folder
        Where to; made where it does not exist.
    volume
        HU as int16.
    seed
        Equal seeds and shapes give equal UIDs and bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for k in range(len(volume.array)):
        file = folder / f"CT{k:04d}.dcm"
        _instance(volume, seed, k).save_as(file, enforce_file_format=True)
        files.append(file)
    return files


def _instance(volume: Volume, seed: int, k: int) -> FileDataset:
    key = [seed, list(volume.array.shape)]
    ds = FileDataset("", {}, preamble=bytes(128), file_meta=FileMetaDataset())
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, deterministic_uid("phantom instance", [*key, k])
    ds.StudyInstanceUID = deterministic_uid("phantom study", key)
    ds.SeriesInstanceUID = deterministic_uid("phantom series", key)
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = volume.frame_of_reference_uid, ""
    ds.PatientName, ds.PatientID = PATIENT_NAME, f"PHANTOM-{seed:04d}"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19610305", "O", "064Y"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = STUDY_DATE
    ds.StudyTime, ds.SeriesTime, ds.AcquisitionTime, ds.ContentTime = (STUDY_TIME,) * 4
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = f"PH{seed:06d}", "1", ""
    ds.StudyDescription, ds.SeriesDescription, ds.ProtocolName = "头颈胸部 CT 定位", "Digital phantom", "RT H&N"
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "CT", "radgate", "digital phantom"
    ds.BodyPartExamined, ds.PatientPosition = "HEADNECK", "HFS"
    ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = 2, 1, k + 1
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.KVP, ds.ConvolutionKernel = "120", "B31s"
    ds.SliceThickness = f"{volume.spacing_mm[0]:.6g}"
    ds.PixelSpacing = [f"{s:.8g}" for s in volume.grid.pixel_spacing_mm]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.ImagePositionPatient = [f"{p:.4f}" for p in volume.grid.positions_lps[k]]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = volume.grid.rows, volume.grid.columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", "-1024", "HU"
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    ds.PixelData = (volume.array[k].astype(np.int32) + 1024).astype("<u2").tobytes()
    return ds
