"""A case of the openkbp collection as a DICOM study: CT, RTSTRUCT, RTPLAN and RTDOSE that belong together.

The arrays are (z, y, x) with z upwards, y to posterior and x to the patient's left, so the planes are axial and nothing
is turned. Frame and position are invented; a second course may be moved by a known shift into a frame of its own.
"""

import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTPlanStorage, RTStructureSetStorage

from contouring.decimals import decimal_text
from contouring.dose.errors import CaseRefused
from contouring.dose.resample import GridSum
from contouring.dose.rtdose_write import SumFacts, write_rtdose
from contouring.dose.volume import DoseFacts, DoseVolume
from contouring.names import lookup
from contouring.roi import Roi
from contouring.rtstruct_write import write_rtstruct
from imaging.geometry import Grid
from imaging.provenance import Algorithm, deterministic_uid
from imaging.series import scan
from imaging.volume import Region

__all__ = ["ExportedCase", "export_case"]

ORGANS = ("Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Esophagus", "Larynx", "Bone_Mandible")
"""TG-263 names by bit of `oar`."""

TARGETS = ("PTV_5600", "PTV_6300", "PTV_7000")
PRESCRIPTION_GY, FRACTIONS = 70.0, 35
"""The collection's plans are of 35 fractions (Babier et al., Med Phys 2021;48:5549)."""

ORIGIN_LPS = np.array([-187.5, -203.25, -412.0])
"""Invented: nothing should work only at the origin."""

MADE_AT = datetime(2026, 3, 4, 9, 30)
ALGORITHM = Algorithm("openkbp export", "1", deterministic=True)


@dataclass(frozen=True)
class ExportedCase:
    """What was written: the files by kind, and the names of the structures."""

    ct: tuple[Path, ...]
    rtstruct: Path
    rtplan: Path
    rtdose: Path
    structures: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of files."""
        return len(self.ct) + 3


def export_case(
    folder: Path, case: str, out: Path, *, course: int = 1, shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> ExportedCase:
    """Write a case that has a dose.

    Parameters
    ----------
    folder
        The collection, with its folders `ctlab` and `dose`.
    case
        Such as "pt_201".
    out
        Where to; `CT` and the three RT objects are made there.
    course
        Courses after the first get a frame of reference and UIDs of their own, and keep the patient.
    shift_mm
        Moves everything: a known rigid shift between two courses.

    Raises
    ------
    CaseRefused
        The case or its dose is not there, damaged, or not as the collection describes it.
    """
    anatomy = _load(folder / "ctlab" / f"{case}.npz", ("ct", "oar", "ptv", "spacing", "offset", "have"))
    dose = _load(folder / "dose" / f"{case}.npz", ("dose", "spacing", "offset"))
    if not np.allclose(anatomy["spacing"], dose["spacing"]):
        raise CaseRefused("Image and dose of the case differ in spacing; take the files of one release.")
    key = [case, course, list(shift_mm)]
    frame = deterministic_uid("openkbp frame", key)
    grid = _grid(anatomy, np.array(shift_mm), frame)
    files = _write_ct(anatomy["ct"], grid, key, out / "CT")
    (stack,) = scan([out / "CT"]).stacks
    rois = _rois(anatomy)
    structures = write_rtstruct(rois, stack, made_at=MADE_AT, algorithm=ALGORITHM, label="openkbp")
    (out / "RTSTRUCT.dcm").write_bytes(structures.encoded)
    plan = _plan(stack.header, key, str(structures.dataset.SOPInstanceUID))
    plan.save_as(out / "RTPLAN.dcm", enforce_file_format=True)
    volume = DoseVolume(dose["dose"].astype(np.float32), _grid(dose, np.array(shift_mm), frame, "dose"), DoseFacts())
    _dose(stack.header, volume, str(plan.SOPInstanceUID)).save_as(out / "RTDOSE.dcm", enforce_file_format=True)
    return ExportedCase(
        tuple(files), out / "RTSTRUCT.dcm", out / "RTPLAN.dcm", out / "RTDOSE.dcm", tuple(r.name.tg263 for r in rois)
    )


def _load(file: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The arrays of a file.

    Raises
    ------
    CaseRefused
        The file is not there, or is no such file.
    """
    try:
        with np.load(file) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        raise CaseRefused(
            f"The file {file.parent.name}/{file.name} of the case is absent or damaged; a case needs an image and a "
            "dose."
        ) from None


def _grid(arrays: dict[str, NDArray[Any]], shift: NDArray[np.float64], frame: str, image: str = "ct") -> Grid:
    dz, dy, dx = (round(float(s), 6) for s in arrays["spacing"])
    z, y, x = (int(n) for n in arrays["offset"])
    planes, rows, columns = arrays[image].shape
    first = np.round(ORIGIN_LPS + np.array([x * dx, y * dy, z * dz]) + shift, 6)
    return Grid(
        positions_lps=np.round(first + np.arange(planes)[:, None] * np.array([0.0, 0.0, dz]), 6),
        row_direction=np.array([1.0, 0.0, 0.0]),
        column_direction=np.array([0.0, 1.0, 0.0]),
        pixel_spacing_mm=(dy, dx),
        rows=rows,
        columns=columns,
        frame_of_reference_uid=frame,
        slice_thickness_mm=dz,
    )


def _rois(arrays: dict[str, NDArray[Any]]) -> list[Roi]:
    """The structures that were contoured; one that was contoured but is empty here is left out."""
    masks = [(name, (arrays["oar"] >> bit & 1).astype(np.bool_)) for bit, name in enumerate(ORGANS)]
    masks += [(name, arrays["ptv"] == value) for value, name in enumerate(TARGETS, start=1)]
    return [
        Roi(number, lookup(name), Region.from_mask(mask), generation="MANUAL")
        for number, (name, mask) in enumerate(masks, start=1)
        if arrays["have"][number - 1] and mask.any()
    ]


def _write_ct(ct: NDArray[Any], grid: Grid, key: list[Any], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for k in range(len(ct)):
        ds = FileDataset("", {}, preamble=bytes(128), file_meta=FileMetaDataset())
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        _fill_patient(ds, key)
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, deterministic_uid("openkbp ct", [*key, k])
        ds.SeriesInstanceUID = deterministic_uid("openkbp series", key)
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = "CT", 1, k + 1, 1
        ds.SeriesDescription, ds.PatientPosition, ds.BodyPartExamined = "openkbp CT", "HFS", "HEADNECK"
        ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = grid.frame_of_reference_uid, ""
        ds.ImageType, ds.KVP = ["DERIVED", "PRIMARY", "AXIAL"], ""
        ds.ImagePositionPatient = [decimal_text(float(v)) for v in grid.positions_lps[k]]
        ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        ds.PixelSpacing = [decimal_text(s) for s in grid.pixel_spacing_mm]
        ds.SliceThickness = decimal_text(grid.slice_spacing_mm)
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = (
            grid.rows,
            grid.columns,
            1,
            "MONOCHROME2",
        )
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", "0", "HU"
        ds.PixelData = ct[k].astype("<i2").tobytes()
        ds["PixelData"].VR = "OW"
        files.append(folder / f"CT{k:04d}.dcm")
        ds.save_as(files[-1], enforce_file_format=True)
    return files


def _fill_patient(ds: Dataset, key: list[Any]) -> None:
    case = str(key[0])
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = f"OpenKBP^{case}", f"OPENKBP-{case}", "", ""
    ds.StudyInstanceUID = deterministic_uid("openkbp study", key)
    ds.StudyDate, ds.StudyTime = MADE_AT.strftime("%Y%m%d"), MADE_AT.strftime("%H%M%S")
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = str(key[1]), "", ""
    ds.StudyDescription, ds.Manufacturer = "openkbp case", "radgate"


def _plan(header: Dataset, key: list[Any], structure_set: str) -> Dataset:
    ds = FileDataset("", {}, preamble=bytes(128), file_meta=FileMetaDataset())
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _fill_patient(ds, key)
    ds.SOPClassUID, ds.SOPInstanceUID = RTPlanStorage, deterministic_uid("openkbp plan", key)
    ds.SeriesInstanceUID = deterministic_uid("openkbp plan series", key)
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber, ds.OperatorsName = "RTPLAN", 3, 1, ""
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = header.FrameOfReferenceUID, ""
    ds.RTPlanLabel, ds.RTPlanDate, ds.RTPlanTime = "openkbp", ds.StudyDate, ds.StudyTime
    ds.RTPlanGeometry, ds.ApprovalStatus = "PATIENT", "UNAPPROVED"
    structures = Dataset()
    structures.ReferencedSOPClassUID, structures.ReferencedSOPInstanceUID = RTStructureSetStorage, structure_set
    ds.ReferencedStructureSetSequence = DicomSequence([structures])
    target = Dataset()
    target.DoseReferenceNumber, target.DoseReferenceStructureType = 1, "SITE"
    target.DoseReferenceDescription, target.DoseReferenceType = "PTV_7000", "TARGET"
    target.TargetPrescriptionDose = decimal_text(PRESCRIPTION_GY)
    ds.DoseReferenceSequence = DicomSequence([target])
    group = Dataset()
    group.FractionGroupNumber, group.NumberOfFractionsPlanned = 1, FRACTIONS
    group.NumberOfBeams, group.NumberOfBrachyApplicationSetups = 0, 0
    ds.FractionGroupSequence = DicomSequence([group])
    return ds


def _dose(header: Dataset, volume: DoseVolume, plan_uid: str) -> Dataset:
    """The dose of the plan: written as a sum of one is, less what only a sum has."""
    whole = GridSum(
        DoseVolume(volume.dose_gy, volume.grid, DoseFacts(plan_uids=(plan_uid,))), np.ones(1, dtype=np.bool_)
    )
    facts = SumFacts(header=header, source_doses=(plan_uid,), plan_uids=(plan_uid,), comment="openkbp")
    ds = write_rtdose(whole, facts, made_at=MADE_AT).dataset
    for keyword in ("DerivationCodeSequence", "ReferencedInstanceSequence", "SpatialTransformOfDose"):
        delattr(ds, keyword)
    ds.DoseSummationType, ds.SeriesDescription, ds.SeriesNumber = "PLAN", "openkbp dose", 4
    return ds
