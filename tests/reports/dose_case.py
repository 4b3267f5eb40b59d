"""Two courses of one patient on one oblique CT: images, structure set, two plans, two doses on unequal grids."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from contouring.dose.assess import AssessOptions, assess
from contouring.dose.assessment import RegistrationNumbers
from contouring.dose.limits import shipped_limits
from contouring.dose.registration_quality import registration_picture
from contouring.dose.transform import RigidTransform
from contouring.names import lookup
from contouring.roi import Roi
from contouring.rtstruct_write import write_rtstruct
from imaging.geometry import Grid
from imaging.provenance import Algorithm, deterministic_uid
from imaging.series import load_volume, scan
from imaging.volume import Region
from reports.dose import DoseReport, dose_report
from tests.contouring.dose.making import dose_dataset, plan_dataset, points_of_grid
from tests.synthetic.series import SeriesDescription, write_series

__all__ = [
    "CENTRE_LPS",
    "MADE_AT",
    "QUALITY",
    "TwoCourses",
    "completed",
    "dose_a",
    "dose_b",
    "made_report",
    "two_courses",
    "with_picture",
    "with_quality",
]

MADE_AT = datetime(2026, 3, 4, 15, 6, 7, tzinfo=timezone(timedelta(hours=8)))
SERIES = SeriesDescription(rows=67, columns=61, planes=23, pixel_spacing_mm=(2.3, 2.1), plane_spacing_mm=3.0)
STRUCTURES = {"PTV_7000": ((11, 30, 27), (5.0, 9.0, 8.0)), "SpinalCord": ((11, 50, 31), (12.0, 3.2, 2.6)),
              "Parotid_L": ((13, 33, 45), (4.0, 7.0, 4.5))}  # fmt: skip
"""Centre (plane, row, column) and half axes in voxels."""


def _grid_of(index: tuple[float, ...]) -> NDArray[np.float64]:
    affine = SERIES.grid().affine_lps
    return np.asarray(affine[:3, :3] @ np.array(index) + affine[:3, 3])


QUALITY = RegistrationNumbers(
    0.2345,
    0.99871,
    {"SpinalCord": 0.91234, "Parotid_L": 0.87654},
    {"": -0.0312, "SpinalCord": 0.81119, "Parotid_L": -0.0312, "PTV_7000": 0.70707},
)
"""Of a deformation that folds in one structure; another one is contoured on one of the images only."""

CENTRE_LPS = _grid_of(STRUCTURES["PTV_7000"][0])


def dose_a(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """First course: 66 Gy at the target's centre, falling off as a Gaussian of 34 mm."""
    return 66.0 * np.exp(-((points - CENTRE_LPS) ** 2).sum(axis=1) / (2 * 34.0**2))


def dose_b(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Second course: 40 Gy beside it."""
    return 40.0 * np.exp(-((points - CENTRE_LPS - [9.0, 13.0, -4.0]) ** 2).sum(axis=1) / (2 * 23.0**2))


def body(grid: Grid) -> NDArray[np.int16]:
    """An ellipse of tissue with a denser rod and an air bubble, nothing symmetric."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    inside = ((j - 34) / 29.0) ** 2 + ((i - 29) / 26.0) ** 2 < 1
    values = np.where(inside, 30 + 12 * np.sin(j / 5) + 8 * np.cos(i / 3) + k, -990)
    values[((j - 50) / 6.0) ** 2 + ((i - 31) / 6.5) ** 2 < 1] = 420
    values[((j - 17) / 4.0) ** 2 + ((i - 30) / 3.0) ** 2 < 1] = -900
    return np.asarray(values, dtype=np.int16)


@dataclass(frozen=True)
class TwoCourses:
    """The files."""

    images: Path
    rtstruct: Path
    plans: tuple[Path, Path]
    doses: tuple[Path, Path]

    @property
    def files(self) -> list[Path]:
        """All of them, the second course last."""
        return [*sorted(self.images.glob("*.dcm")), self.rtstruct, self.plans[0], self.doses[0], self.plans[1],
                self.doses[1]]  # fmt: skip


def two_courses(folder: Path, fractions: tuple[int | None, int | None] = (33, 20)) -> TwoCourses:
    """Write the study."""
    images = folder / "images"
    write_series(images, SERIES, pixels=body)
    stack = scan([images]).stacks[0]
    index = np.stack(np.meshgrid(*(np.arange(n) for n in stack.grid.shape), indexing="ij"), axis=-1)
    rois = []
    for number, (name, (centre, half)) in enumerate(STRUCTURES.items(), start=1):
        mask = (((index - centre) / half) ** 2).sum(axis=-1) < 1
        rois.append(Roi(number, lookup(name), Region.from_mask(mask), generation="MANUAL"))
    written = write_rtstruct(rois, stack, made_at=MADE_AT, algorithm=Algorithm("test", "1", deterministic=True))
    (folder / "rtstruct.dcm").write_bytes(written.encoded)
    plans, doses = [], []
    for seed, (function, spacing, count) in enumerate(
        ((dose_a, (3.0, 2.6, 2.9), fractions[0]), (dose_b, (2.5, 3.1, 2.4), fractions[1])), start=1
    ):
        grid = dose_grid(spacing)
        values = np.asarray(function(points_of_grid(grid))).reshape(grid.shape)
        dose = dose_dataset(values, grid, seed, StudyInstanceUID=SERIES.study_instance_uid)
        dose.StudyDescription, dose.SeriesNumber, dose.InstanceNumber, dose.PositionReferenceIndicator = (
            "头颈部",
            40,
            1,
            "",
        )
        plan = plan_dataset(count, seed, 66.0 if seed == 1 else 40.0)
        completed(plan, dose, seed)
        plans.append(folder / f"plan{seed}.dcm")
        doses.append(folder / f"dose{seed}.dcm")
        plan.save_as(plans[-1], enforce_file_format=True)
        dose.save_as(doses[-1], enforce_file_format=True)
    return TwoCourses(images, folder / "rtstruct.dcm", (plans[0], plans[1]), (doses[0], doses[1]))


def dose_grid(spacing: tuple[float, float, float]) -> Grid:
    """A grid over the images and a little beyond, turned as they are."""
    image = SERIES.grid()
    size = np.array(image.shape) * image.spacing_mm + 4.0
    planes, rows, columns = (int(np.ceil(n / s)) for n, s in zip(size, spacing, strict=True))
    row, column, normal = image.row_direction, image.column_direction, image.normal
    first = image.positions_lps[0] - 1.7 * normal - 2.1 * column - 1.3 * row
    return Grid(
        first + np.arange(planes)[:, None] * spacing[0] * normal, row, column, spacing[1:], rows, columns,
        image.frame_of_reference_uid, spacing[0],
    )  # fmt: skip


def completed(plan: Dataset, dose: Dataset, seed: int) -> Dataset:
    """The plan with what it needs to be a file of its dose's study."""
    plan.file_meta = FileMetaDataset()
    plan.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in ("SpecificCharacterSet", "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
                    "ReferringPhysicianName", "PatientSex", "Manufacturer", "StudyDescription"):  # fmt: skip
        setattr(plan, keyword, dose.get(keyword))
    plan.SeriesInstanceUID, plan.Modality, plan.SeriesNumber = deterministic_uid("plan series", seed), "RTPLAN", 30
    plan.InstanceNumber = 1
    return plan


@cache
def made_report(folder: Path, limits: str = "quantec") -> DoseReport:
    """The report on the two courses; the images lie in `folder`."""
    case = two_courses(folder)
    stack = scan([case.images]).stacks[0]
    found = assess(case.rtstruct, case.doses, stack, made_at=MADE_AT, plans=case.plans, options=options_with(limits))
    return dose_report(found, stack, load_volume(stack), dcmread(case.rtstruct), MADE_AT)


def options_with(limits: str) -> AssessOptions:
    """A choice of limits, by the name of the set."""
    chosen: tuple[Any, ...] = tuple(s for s in shipped_limits().values() if s.name == limits)
    return AssessOptions(limits=chosen)


def with_quality(report: DoseReport, quality: RegistrationNumbers, *, deformed: bool = True) -> DoseReport:
    """The report as if its second course had come by a computed registration."""
    first, second = report.assessment.courses
    source = "computed_deformable" if deformed else "computed_rigid"
    registered = replace(second, quality=quality, transform_source=source)  # type: ignore[arg-type]
    return replace(report, assessment=replace(report.assessment, courses=(first, registered)))


def with_picture(report: DoseReport) -> DoseReport:
    """The report with `QUALITY`, and the picture of a shift by 5 mm."""
    frame = report.volume.grid.frame_of_reference_uid
    matrix = np.eye(4)
    matrix[:3, 3] = (4.0, -3.0, 0.5)
    picture = registration_picture(report.volume, report.volume, RigidTransform(matrix, frame, frame))
    return with_quality(report, replace(QUALITY, picture_png=picture))
