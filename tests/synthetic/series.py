"""Series of CT, MR and PT instances made from a frozen description of their geometry, valid or with planted defects.

The defaults are never symmetric: oblique, three different spacings, rows, columns and planes all different, the origin
not zero, a Chinese patient name. Equal descriptions give equal bytes. Writing files is at the end; the defects that
change a finished list of data sets are in `tests.synthetic.defects`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from imaging.geometry import Grid
from imaging.provenance import deterministic_uid

__all__ = [
    "CHINESE_NAME",
    "OBLIQUE",
    "SeriesDescription",
    "geometric_pattern",
    "series_datasets",
    "write_datasets",
    "write_series",
]

SOP_CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}

CHINESE_NAME = "Zhang^San=张^三"
"""Written in UTF-8 by default; `character_set="GB18030"` writes it as older Chinese systems do."""

OBLIQUE = (0.944531, 0.149599, 0.292372, -0.213055, 0.956596, 0.198827)
"""Orientation cosines turned about all three axes, rounded to 6 decimals as scanners write them."""

PixelFunction = Callable[[Grid], NDArray[Any]]


def geometric_pattern(grid: Grid) -> NDArray[np.int16]:
    """Values from -1024 to about 1500 that no flip, transposition or shift of the grid leaves unchanged."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    z, y, x = (index / size for index, size in zip((k, j, i), grid.shape, strict=True))
    values = 37.0 * k + 11.0 * j + 3.0 * i
    values += 900.0 * ((x - 0.35) ** 2 / 0.07 + (y - 0.42) ** 2 / 0.11 + (z - 0.6) ** 2 / 0.3 < 1)
    values[(x - 0.8) ** 2 + (y - 0.25) ** 2 < 0.01] = -900
    values[:, 0, 0] = -1024
    return np.asarray(np.round(values), dtype=np.int16)


@dataclass(frozen=True)
class SeriesDescription:
    """The geometry, the modality and the identity of a series; everything else follows from it.

    Parameters
    ----------
    modality
        "CT", "MR" or "PT".
    orientation
        ImageOrientationPatient as written.
    pixel_spacing_mm
        (between rows, between columns), as PixelSpacing.
    plane_spacing_mm
        Distance of neighbouring planes along the normal.
    steps_mm
        Distances of neighbouring planes where they are not all equal; has one value less than there are planes.
    rows, columns, planes
        Size.
    origin_lps
        Centre of the first pixel of the first plane (the one lowest along the normal).
    tilt_deg
        Gantry tilt: each plane's origin is shifted along the columns by tan(tilt) per mm of distance.
    seed
        Series with different seeds differ in all UIDs of series and instances; study and patient follow `study_seed`.
    study_seed
        Series with equal study seeds belong to one study and one frame of reference.
    patient_name, character_set
        As written.
    pixels
        Values after rescaling (HU for CT) on the grid, or a function that makes them from it; `geometric_pattern` (its
        absolute value for MR and PT) where left out.
    slope, intercept
        Rescale of each plane: one number for all, or one per plane.
    signed
        PixelRepresentation 1.
    bits_stored
        BitsStored of 16 allocated.
    attributes
        Attributes (keyword, value) that each instance gets besides, such as EchoTime.
    """

    modality: str = "CT"
    orientation: tuple[float, ...] = OBLIQUE
    pixel_spacing_mm: tuple[float, float] = (1.1, 0.9)
    plane_spacing_mm: float = 2.5
    steps_mm: tuple[float, ...] | None = None
    rows: int = 53
    columns: int = 47
    planes: int = 19
    origin_lps: tuple[float, float, float] = (-31.5, 42.25, -117.5)
    tilt_deg: float = 0.0
    seed: int = 1
    study_seed: int = 1
    patient_name: str = CHINESE_NAME
    character_set: str = "ISO_IR 192"
    pixels: PixelFunction | NDArray[Any] | None = None
    slope: float | tuple[float, ...] = 1.0
    intercept: float | tuple[float, ...] | None = None
    signed: bool = False
    bits_stored: int = 16
    attributes: tuple[tuple[str, Any], ...] = ()

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame of reference of all series of the study."""
        return deterministic_uid("test frame of reference", self.study_seed)

    @property
    def study_instance_uid(self) -> str:
        """Study that the series belongs to."""
        return deterministic_uid("test study", self.study_seed)

    @property
    def series_instance_uid(self) -> str:
        """The series."""
        return deterministic_uid("test series", [self.study_seed, self.seed, self.modality])

    def sop_instance_uid(self, plane: int, *parts: Any) -> str:
        """The instance of a plane, counted from the lowest along the normal."""
        return deterministic_uid("test instance", [self.study_seed, self.seed, self.modality, plane, *parts])

    def grid(self) -> Grid:
        """The grid that a reader must find, from the numbers as they are written (rounded to 16 characters)."""
        row, column = np.array(self.orientation[:3]), np.array(self.orientation[3:])
        normal = np.cross(row, column) / np.linalg.norm(np.cross(row, column))
        steps = [self.plane_spacing_mm] * (self.planes - 1) if self.steps_mm is None else list(self.steps_mm)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        shear = np.tan(np.radians(self.tilt_deg)) * column
        positions = np.array(self.origin_lps) + along[:, None] * (normal + shear)
        return Grid(
            positions_lps=np.array([[float(text) for text in _decimals(p)] for p in positions]),
            row_direction=row,
            column_direction=column,
            pixel_spacing_mm=self.pixel_spacing_mm,
            rows=self.rows,
            columns=self.columns,
            frame_of_reference_uid=self.frame_of_reference_uid,
            slice_thickness_mm=self.plane_spacing_mm,
        )

    def values(self) -> NDArray[Any]:
        """Values after rescaling, shape (planes, rows, columns)."""
        if self.pixels is None:
            pattern = geometric_pattern(self.grid())
            return pattern if self.modality == "CT" else np.abs(pattern)
        return self.pixels(self.grid()) if callable(self.pixels) else self.pixels


def _decimals(numbers: Sequence[float] | NDArray[np.float64]) -> list[str]:
    return [f"{float(n):.6f}" for n in numbers]


def _per_plane(value: float | tuple[float, ...], plane: int) -> float:
    return value[plane] if isinstance(value, tuple) else value


def series_datasets(description: SeriesDescription | None = None, **changes: Any) -> list[Dataset]:
    """The instances of a series, in ascending order along the normal, ready to be written.

    Parameters
    ----------
    description
        What to make; the default series where it is left out.
    changes
        Fields of the description to replace.
    """
    d = replace(description or SeriesDescription(), **changes)
    grid, values = d.grid(), d.values()
    default_intercept = {"CT": -1024.0}.get(d.modality, 0.0)
    intercept = default_intercept if d.intercept is None else d.intercept
    datasets = []
    for plane in range(d.planes):
        slope, offset = _per_plane(d.slope, plane), _per_plane(intercept, plane)
        stored = np.round((values[plane] - offset) / slope)
        kind = "i" if d.signed else "u"
        limits = np.iinfo(np.dtype(f"{kind}2"))
        if stored.min() < limits.min or stored.max() > limits.max:
            raise ValueError(f"values of plane {plane} do not fit into {kind}2 with this rescale")
        ds = _instance(d, grid, plane)
        if d.modality != "MR" or (slope, offset) != (1.0, 0.0):
            ds.RescaleSlope, ds.RescaleIntercept = f"{slope:.10g}", f"{offset:.10g}"
        ds.PixelRepresentation = int(d.signed)
        ds.PixelData = stored.astype(f"<{kind}2").tobytes()
        datasets.append(ds)
    return datasets


def _instance(d: SeriesDescription, grid: Grid, plane: int) -> Dataset:
    ds = FileDataset("", {}, preamble=b"\0" * 128, file_meta=FileMetaDataset())
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = d.character_set
    _fill_identity(ds, d, plane)
    ds.ImagePositionPatient = _decimals(grid.positions_lps[plane])
    ds.ImageOrientationPatient = [f"{c:.10g}" for c in d.orientation]
    ds.PixelSpacing = [f"{s:.10g}" for s in d.pixel_spacing_mm]
    ds.SliceThickness = f"{d.plane_spacing_mm:.10g}"
    ds.FrameOfReferenceUID = d.frame_of_reference_uid
    ds.PositionReferenceIndicator = ""
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = d.rows, d.columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, d.bits_stored, d.bits_stored - 1
    {"CT": _fill_ct, "MR": _fill_mr, "PT": _fill_pt}[d.modality](ds, d, plane)
    for keyword, value in d.attributes:
        setattr(ds, keyword, value)
    return ds


def _fill_identity(ds: Dataset, d: SeriesDescription, plane: int) -> None:
    ds.SOPClassUID = SOP_CLASSES[d.modality]
    ds.SOPInstanceUID = d.sop_instance_uid(plane)
    ds.StudyInstanceUID = d.study_instance_uid
    ds.SeriesInstanceUID = d.series_instance_uid
    ds.PatientName = d.patient_name
    ds.PatientID = f"TEST{d.study_seed:04d}"
    ds.PatientBirthDate, ds.PatientSex = "19610305", "F"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20260304"
    ds.StudyTime = ds.SeriesTime = "101500"
    ds.AcquisitionTime = ds.ContentTime = "101530"
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "ACC1", "1", ""
    ds.StudyDescription, ds.SeriesDescription = "头颈部", f"{d.modality} 测试"
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = d.modality, "radgate tests", "synthetic"
    ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = d.seed, 1, plane + 1
    ds.PatientPosition = "HFS"
    ds.BodyPartExamined = "HEADNECK"


def _fill_ct(ds: Dataset, d: SeriesDescription, plane: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.KVP, ds.RescaleType = "120", "HU"
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    ds.ConvolutionKernel = "H30s"


def _fill_mr(ds: Dataset, d: SeriesDescription, plane: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "SE", "NONE", ""
    ds.MRAcquisitionType, ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = "2D", "500", "20", 1
    ds.EchoNumbers = 1


def _fill_pt(ds: Dataset, d: SeriesDescription, plane: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.SeriesType, ds.Units, ds.CountsSource = ["STATIC", "IMAGE"], "BQML", "EMISSION"
    ds.NumberOfSlices, ds.CorrectedImage = d.planes, ["DECY", "ATTN"]
    ds.DecayCorrection, ds.CollimatorType, ds.AttenuationCorrectionMethod = "START", "NONE", "measured"
    ds.FrameReferenceTime, ds.ImageIndex, ds.DecayFactor = "1000", plane + 1, "1.05"
    ds.ActualFrameDuration = "120000"
    ds.PatientWeight = "61"
    ds.PatientOrientationCodeSequence = DicomSequence()
    ds.PatientGantryRelationshipCodeSequence = DicomSequence()
    del ds.PatientPosition  # the two sequences stand in its place
    isotope = Dataset()
    isotope.RadionuclideCodeSequence = DicomSequence()
    isotope.RadiopharmaceuticalStartTime, isotope.RadionuclideTotalDose = "091500", "350000000"
    isotope.RadionuclideHalfLife = "6586.2"
    ds.RadiopharmaceuticalInformationSequence = DicomSequence([isotope])


def write_datasets(folder: Path, datasets: Sequence[Dataset], stem: str = "IM") -> list[Path]:
    """Write data sets as `IM0000.dcm` and so on, in the order given; each needs a transfer syntax in its file meta."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, ds in enumerate(datasets):
        path = folder / f"{stem}{number:04d}.dcm"
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def write_series(folder: Path, description: SeriesDescription | None = None, **changes: Any) -> list[Path]:
    """Write a whole valid series into `folder` and return the files, ascending along the normal."""
    return write_datasets(folder, series_datasets(description, **changes))
