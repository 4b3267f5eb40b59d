"""Dose on 256 x 256 x 256 voxels: histograms of 20 structures against dicompyler-core, and a sum with resampling.

dicompyler-core gets an environment of its own below `build/bench-peers` (made on the first run; without a package index
it is said and left out). Both read the same two files and are timed in processor seconds from the files to the numbers,
so that other work on the machine does not count. The accuracy of both against closed forms stands beside the times: the
dose is linear, so the mean of an ellipsoid is the dose at its centre. Run with `python -m bench.dose`.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, RTStructureSetStorage

from contouring.dose import DoseVolume
from contouring.dose.accumulate import map_dose
from contouring.dose.resample import sum_on_grid
from contouring.dose.study import histograms
from contouring.dose.transform import RigidTransform
from contouring.shapes import Placed, ellipsoid
from imaging.geometry import Grid

__all__ = ["main"]

PEER = Path(__file__).parents[1] / "build" / "bench-peers" / "dicompyler"
PEER_PACKAGES = ("dicompyler-core==0.5.6", "pydicom==3.0.2", "numpy==2.4.6", "scikit-image==0.26.0")
SIZE = 256
SUM_LIMIT_S = 2.0
RATIO_LIMIT = 0.1
STRUCTURES = 20
REPEATS = 3
FRAME, OTHER_FRAME = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2"
SPACING_MM = (1.5, 1.0, 1.1)
GRADIENT = np.array([0.21, -0.17, 0.13])
AT_ZERO_GY = 60.0


def grid_of(spacing_mm: tuple[float, float, float], shift_mm: float) -> Grid:
    """An axial grid about the origin."""
    dz, dy, dx = spacing_mm
    origin = np.array([-dx, -dy, -dz]) * SIZE / 2 + shift_mm
    positions = origin + np.arange(SIZE)[:, None] * np.array([0.0, 0.0, dz])
    return Grid(positions, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (dy, dx), SIZE, SIZE, FRAME)


def smooth_dose(spacing_mm: tuple[float, float, float], shift_mm: float) -> DoseVolume:
    """A dose that falls off from the middle."""
    z, y, x = np.ogrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    dose = 60 * np.exp(-2 * (x**2 + 1.5 * y**2 + z**2))
    return DoseVolume(dose.astype(np.float32), grid_of(spacing_mm, shift_mm))


def turned(dose: DoseVolume) -> tuple[DoseVolume, RigidTransform]:
    """A dose in a frame of its own, and the registration: two rotations by 7 degrees and a shift."""
    c, s = math.cos(math.radians(7)), math.sin(math.radians(7))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    matrix[:3, 3] = 3.0, -2.0, 1.0
    own = replace(dose, grid=replace(dose.grid, frame_of_reference_uid=OTHER_FRAME))
    return own, RigidTransform(matrix, FRAME, OTHER_FRAME)


def sum_seconds(first: DoseVolume, second: DoseVolume, transform: RigidTransform | None = None) -> float:
    """Sum on the grid of the first dose, by the clock."""
    mapped = [map_dose(first, FRAME), map_dose(second, FRAME, transform)]
    began = time.perf_counter()
    total = sum_on_grid(mapped, first.grid)
    elapsed = time.perf_counter() - began
    assert total.volume.dose_gy.max() > 60
    return elapsed


def write_case(folder: Path) -> dict[str, tuple[float, float]]:
    """RTSTRUCT and RTDOSE of ellipsoids of 5 to 40 mm on planes 3 mm apart; volume in cc and mean in Gy by name."""
    grid = grid_of(SPACING_MM, 0.0)
    _dose_dataset(grid).save_as(folder / "RTDOSE.dcm", enforce_file_format=True)
    rng = np.random.default_rng(3)
    truth, polygons = {}, []
    for n in range(STRUCTURES):
        axes = rng.uniform(5, 6 + 34 * n / STRUCTURES, 3)
        centre = rng.uniform(-60, 60, 3)
        centre[2] = grid.positions_lps[0, 2] + 3.0 * round((centre[2] - grid.positions_lps[0, 2]) / 3.0)
        heights = np.arange(-45, 46, 3.0)
        planes = Grid(centre + heights[:, None] * (0, 0, 1.0), np.eye(3)[0], np.eye(3)[1], (1, 1), 5, 4, FRAME)
        polygons.append(Placed(ellipsoid(*axes.tolist()), centre).contours(planes))
        truth[f"s{n}"] = (4 / 3 * math.pi * float(axes.prod()) / 1000, float(AT_ZERO_GY + GRADIENT @ centre))
    _structure_dataset(polygons).save_as(folder / "RTSTRUCT.dcm", enforce_file_format=True)
    return truth


def _patient(sop_class: str, uid: str, modality: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = sop_class, uid, modality
    ds.PatientID, ds.PatientName, ds.StudyInstanceUID, ds.SeriesInstanceUID = "BENCH", "Bench", "1.2.3.1", f"{uid}.1"
    ds.FrameOfReferenceUID = FRAME
    return ds


def _dose_dataset(grid: Grid) -> Dataset:
    k, j, i = np.indices(grid.shape, dtype=np.float32)
    x, y, z = (grid.positions_lps[0] + np.zeros(3)).tolist()
    dose = AT_ZERO_GY + GRADIENT[0] * (x + i * SPACING_MM[2]) + GRADIENT[1] * (y + j * SPACING_MM[1])
    dose += GRADIENT[2] * (z + k * SPACING_MM[0])
    ds = _patient(RTDoseStorage, "1.2.3.20", "RTDOSE")
    ds.ImagePositionPatient = [f"{v:.6g}" for v in grid.positions_lps[0]]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.PixelSpacing = [f"{v:g}" for v in grid.pixel_spacing_mm]
    ds.NumberOfFrames, ds.Rows, ds.Columns = grid.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated = ds.BitsStored = 32
    ds.HighBit = 31
    ds.DoseUnits, ds.DoseType, ds.DoseSummationType, ds.DoseGridScaling = "GY", "PHYSICAL", "PLAN", "1e-6"
    ds.FrameIncrementPointer = 0x3004000C
    ds.GridFrameOffsetVector = [f"{SPACING_MM[0] * n:g}" for n in range(SIZE)]
    ds.PixelData = np.rint(np.clip(dose, 0, None) * 1e6).astype("<u4").tobytes()
    return ds


def _structure_dataset(structures: list[list[NDArray[np.float64]]]) -> Dataset:
    ds = _patient(RTStructureSetStorage, "1.2.3.30", "RTSTRUCT")
    ds.StructureSetLabel = "bench"
    rois, contours = [], []
    for n, polygons in enumerate(structures):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = n + 1, f"s{n}", FRAME
        drawn.ReferencedROINumber, drawn.ROIDisplayColor = n + 1, [255, 0, 0]
        items = []
        for polygon in polygons:
            item = Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(polygon)
            item.ContourData = [f"{v:.4f}" for v in polygon.ravel()]
            items.append(item)
        drawn.ContourSequence = DicomSequence(items)
        rois.append(roi)
        contours.append(drawn)
    ds.StructureSetROISequence, ds.ROIContourSequence = DicomSequence(rois), DicomSequence(contours)
    ds.RTROIObservationsSequence = DicomSequence()
    return ds


def peer_python() -> Path | None:
    """The interpreter of the peer's environment; made where it is missing, None where it cannot be."""
    python = PEER / "bin" / "python"
    if not python.exists():
        venv.create(PEER, with_pip=True)
    if subprocess.run([str(python), "-c", "import dicompylercore"], capture_output=True, check=False).returncode:
        install = [str(python), "-m", "pip", "install", "--quiet", *PEER_PACKAGES]
        if subprocess.run(install, check=False).returncode:
            return None
    return python


def peer_found(python: Path, folder: Path) -> dict[str, Any]:
    """Processor seconds of dicompyler-core, and its numbers."""
    job = [str(python), str(Path(__file__).with_name("_dicompyler_job.py"))]
    files = [str(folder / "RTSTRUCT.dcm"), str(folder / "RTDOSE.dcm")]
    said = subprocess.run([*job, *files], capture_output=True, text=True, check=True).stdout
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def own_found(folder: Path) -> dict[str, Any]:
    """Processor seconds of radgate, and its numbers."""
    began = time.process_time()
    table = histograms(folder / "RTSTRUCT.dcm", folder / "RTDOSE.dcm")
    found = {
        name: [h.volume_cc, *(h.metric(m) for m in ("Dmean", "D95%", "D5%"))] for name, h in table.histograms.items()
    }
    return {"seconds": time.process_time() - began, "found": found}


def worst_errors(found: dict[str, list[float]], truth: dict[str, tuple[float, float]]) -> str:
    """Largest error of volume and mean."""
    volume = max(abs(found[name][0] / cc - 1) for name, (cc, _) in truth.items())
    mean = max(abs(found[name][1] - gy) for name, (_, gy) in truth.items())
    return f"volume off by at most {100 * volume:.2f} %, mean by {mean:.3f} Gy"


def main() -> int:
    """Print the times and ratios; 1 where a limit is missed."""
    first, second = smooth_dose(SPACING_MM, 0.0), smooth_dose((1.3, 1.2, 1.25), 3.3)
    summing = min(sum_seconds(first, second) for _ in range(REPEATS))
    print(f"sum of two {SIZE}^3 grids: {summing:.2f} s (limit {SUM_LIMIT_S:.1f} s)")
    rotated = min(sum_seconds(first, *turned(second)) for _ in range(REPEATS))
    print(f"with a rotated registration: {rotated:.2f} s (limit {SUM_LIMIT_S:.1f} s)")
    missed = max(summing, rotated) > SUM_LIMIT_S
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        truth = write_case(folder)
        own = min((own_found(folder) for _ in range(REPEATS)), key=lambda f: f["seconds"])
        print(f"histograms of {STRUCTURES} structures: {own['seconds']:.2f} s; {worst_errors(own['found'], truth)}")
        python = peer_python()
        if python is None:
            print("dicompyler-core cannot be installed here, so it is not compared")
            return int(missed)
        peer = peer_found(python, folder)
    ratio = own["seconds"] / peer["seconds"]
    print(f"dicompyler-core: {peer['seconds']:.2f} s; {worst_errors(peer['found'], truth)}")
    print(f"ratio {ratio:.3f} (limit {RATIO_LIMIT:g})")
    return int(missed or ratio > RATIO_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
