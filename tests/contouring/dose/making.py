"""Doses, plans and registrations of a known geometry, in memory and as other systems write them."""

import subprocess
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, RTPlanStorage

from contouring.contours import Contours
from contouring.dose import DoseVolume, PlanarStructure, structure_of_contours
from contouring.shapes import Placed, Shape, rotation
from imaging.geometry import Grid
from imaging.provenance import deterministic_uid
from tests.synthetic.series import CHINESE_NAME, OBLIQUE

FloatArray = NDArray[np.float64]
DoseFunction = Callable[[FloatArray], FloatArray]

FRAME = deterministic_uid("test frame of reference", 1)
CENTRE = np.array([-13.25, 31.5, -87.75])
HFS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
FFP = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def grid_around(
    spacing_mm: tuple[float, float, float] = (2.0, 1.7, 2.3),
    half_mm: tuple[float, float, float] = (27.0, 31.0, 24.0),
    orientation: Sequence[float] = OBLIQUE,
    centre: FloatArray = CENTRE,
    frame: str = FRAME,
    steps_mm: Sequence[float] | None = None,
) -> Grid:
    """A grid with its centre a little off a point, never square."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    planes, rows, columns = (int(np.ceil(2 * h / s)) + 2 for h, s in zip(half_mm, spacing_mm, strict=True))
    steps = np.full(planes - 1, spacing_mm[0]) if steps_mm is None else np.array(steps_mm)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    corner = centre - 0.47 * (
        along[-1] * normal + (rows - 1) * spacing_mm[1] * column + (columns - 1) * spacing_mm[2] * row
    )
    return Grid(corner + along[:, None] * normal, row, column, (spacing_mm[1], spacing_mm[2]), rows, columns, frame)


def points_of_grid(grid: Grid) -> FloatArray:
    """Voxel centres, shape (planes * rows * columns, 3)."""
    w, u = np.mgrid[0 : grid.rows, 0 : grid.columns]
    pixels = np.stack([u.ravel(), w.ravel()], axis=1)
    return np.concatenate([grid.points_lps(k, pixels) for k in range(grid.shape[0])])


def dose_of(function: DoseFunction, grid: Grid) -> DoseVolume:
    """A dose that a function of patient coordinates gives at the voxel centres."""
    return DoseVolume(function(points_of_grid(grid)).reshape(grid.shape), grid)


def linear(gradient: Sequence[float], at_centre_gy: float = 30.0, centre: FloatArray = CENTRE) -> DoseFunction:
    """D0 + g (x - centre)."""
    return lambda points: at_centre_gy + (points - centre) @ np.asarray(gradient)


def structure(
    shape: Shape,
    step_mm: float = 2.0,
    phase: float = 0.5,
    turn: FloatArray | None = None,
    centre: FloatArray = CENTRE,
) -> PlanarStructure:
    """A shape cut by planes across its own axis; at phase 0.5 the ends lie half a slice beyond the outermost planes."""
    turn = np.eye(3) if turn is None else turn
    count = int(np.ceil(shape.half_size_mm[2] / step_mm)) + 1
    heights = (np.arange(-count, count + 1) + phase) * step_mm
    planes = Grid(centre + heights[:, None] * turn[:, 2], turn[:, 0], turn[:, 1], (1.0, 1.3), 7, 5, FRAME)
    return structure_of_contours(Contours.of(Placed(shape, centre, turn).contours(planes)))


TURNED = rotation(17, -31, 48)


def dose_dataset(
    dose_gy: NDArray[np.floating], grid: Grid, seed: int = 1, bits: int = 32, **attributes: Any
) -> Dataset:
    """An RTDOSE as planning systems write them; attributes of value None are left out."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = RTDoseStorage, deterministic_uid("test dose", seed)
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = deterministic_uid("test study", 1), deterministic_uid("series", seed)
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = CHINESE_NAME, "TEST0001", "19610305", "F"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260304", "101500", "1", "ACC1"
    ds.ReferringPhysicianName, ds.Modality, ds.Manufacturer = "", "RTDOSE", "radgate tests"
    ds.FrameOfReferenceUID = grid.frame_of_reference_uid
    ds.ImagePositionPatient = [f"{v:.10g}" for v in grid.positions_lps[0]]
    ds.ImageOrientationPatient = [f"{v:.10g}" for v in (*grid.row_direction, *grid.column_direction)]
    ds.PixelSpacing = [f"{v:.10g}" for v in grid.pixel_spacing_mm]
    ds.NumberOfFrames, ds.Rows, ds.Columns = grid.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated = ds.BitsStored = bits
    ds.HighBit = bits - 1
    ds.DoseUnits, ds.DoseType, ds.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    ds.FrameIncrementPointer = 0x3004000C
    ds.GridFrameOffsetVector = [f"{v:.10g}" for v in grid.plane_positions_mm - grid.plane_positions_mm[0]]
    scaling = float(f"{float(np.max(dose_gy)) / (2 ** (bits - 1)):.9e}")
    ds.DoseGridScaling = f"{scaling:.9e}"
    ds.PixelData = np.rint(np.clip(dose_gy, 0, None) / scaling).astype(f"<u{bits // 8}").tobytes()
    plan = Dataset()
    plan.ReferencedSOPClassUID = RTPlanStorage
    plan.ReferencedSOPInstanceUID = deterministic_uid("test plan", seed)
    ds.ReferencedRTPlanSequence = DicomSequence([plan])
    return _with(ds, attributes)


def plan_dataset(fractions: int | None, seed: int = 1, prescription_gy: float = 60.0, **attributes: Any) -> Dataset:
    """An RTPLAN with one fraction group."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = RTPlanStorage, deterministic_uid("test plan", seed)
    ds.PatientID, ds.PatientName, ds.PatientBirthDate = "TEST0001", CHINESE_NAME, "19610305"
    ds.RTPlanLabel = f"plan {seed}"
    group = Dataset()
    group.FractionGroupNumber = 1
    if fractions is not None:
        group.NumberOfFractionsPlanned = fractions
    ds.FractionGroupSequence = DicomSequence([group])
    target = Dataset()
    target.TargetPrescriptionDose = prescription_gy
    ds.DoseReferenceSequence = DicomSequence([target])
    return _with(ds, attributes)


def _with(ds: Dataset, attributes: dict[str, Any]) -> Dataset:
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def errors_of_dciodvfy(program: str, dataset: Dataset, folder: Path) -> list[str]:
    """What dciodvfy finds wrong with an RTDOSE.

    The program aborts on every pixel datum of more than 16 bits (an assertion of its own), so it sees the object with
    pixels of 16 bits and is otherwise unchanged.
    """
    ds = dcmread_copy(dataset)
    ds.PixelData = (ds.pixel_array >> 16).astype("<u2").tobytes()
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    file = folder / "sixteen.dcm"
    ds.save_as(file, enforce_file_format=True)
    outcome = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
    said = (outcome.stdout + outcome.stderr).splitlines()
    assert "RTDose" in said, said
    return [line for line in said if line.startswith("Error")]


def dcmread_copy(dataset: Dataset) -> Dataset:
    """A copy by way of the bytes of a file."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return dcmread(buffer)
