"""A digital patient: CT from the vertex to the heart, with known truth, made from closed-form shapes.

For demonstrations, tests and benchmarks where no real patient may or need be used. It looks like a patient and has a
patient's densities; it says nothing about how well a program does on real ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.geometry import Grid
from imaging.provenance import deterministic_uid
from imaging.testing.body import BOTTOM_MM, TOP_MM, paint_body, paint_surroundings
from imaging.testing.canvas import Canvas
from imaging.testing.head import paint_airway, paint_head
from imaging.testing.labels import REGIONS
from imaging.testing.phantom_dicom import write_ct_series
from imaging.testing.thorax import Vessel, grow_vessels, paint_spine, paint_thorax
from imaging.volume import Region, Volume

__all__ = ["Phantom", "make_phantom", "write_phantom"]

DEFAULT_SHAPE = (158, 448, 512)
WIDTH_MM, DEPTH_MM = 501.76, 492.8
"""Field of view of columns and rows: 0.98 and 1.1 mm at the default size."""

ORIGIN_X_MM, ORIGIN_Y_MM = -247.3, -243.9
"""Phantom coordinates of the first pixel's centre at the default size; the patient lies a little off centre."""

PATIENT_OFFSET_MM = np.array([3.5, -171.0, 1204.5])
"""LPS minus phantom coordinates: like a table position, so that nothing works only near the origin."""

BLUR_PX = 0.55
NOISE_HU = 9.0


@dataclass(frozen=True, eq=False)
class Phantom:
    """A digital patient and the truth about it.

    Parameters
    ----------
    volume
        HU, int16.
    regions
        The voxels whose centre lies inside of each structure, by TG-263 name.
    seed
        What it was made from.
    """

    volume: Volume
    regions: Mapping[str, Region]
    seed: int

    @property
    def grid(self) -> Grid:
        """Grid of volume and regions."""
        return self.volume.grid


def make_phantom(shape: tuple[int, int, int] = DEFAULT_SHAPE, seed: int = 1) -> Phantom:
    """A digital patient, always from the vertex to the heart, however many planes, rows and columns are asked for.

    Parameters
    ----------
    shape
        (planes, rows, columns); the default gives 3.0 x 1.1 x 0.98 mm.
    seed
        Another seed gives another patient (size, vessels, muscles) and other noise; the same seed the same bytes.
    """
    planes, rows, columns = shape
    rng = np.random.default_rng([seed, 0])
    scale = rng.uniform(0.96, 1.03)
    phases = rng.uniform(0, 2 * np.pi, 8)
    vessels = grow_vessels(rng)
    dz, dy, dx = (TOP_MM - BOTTOM_MM) / planes, DEPTH_MM / rows, WIDTH_MM / columns
    x = (ORIGIN_X_MM + (0.5 * (dx - 0.98)) + dx * np.arange(columns)).astype(np.float64)
    y = (ORIGIN_Y_MM + (0.5 * (dy - 1.1)) + dy * np.arange(rows)).astype(np.float64)
    z = BOTTOM_MM + dz * (np.arange(planes) + 0.5)
    hu = np.empty(shape, dtype=np.int16)
    labels = np.empty(shape, dtype=np.uint8)
    for k in range(planes):
        canvas = _painted(x / scale, y / scale, float(z[k]), vessels, phases)
        hu[k] = _measured(canvas, (dy, dx), np.random.default_rng([seed, 1, k]))
        labels[k] = canvas.labels
    grid = Grid(
        positions_lps=np.round(
            PATIENT_OFFSET_MM + np.stack([np.full(planes, x[0]), np.full(planes, y[0]), z], axis=1), 4
        ),
        row_direction=np.array([1.0, 0.0, 0.0]),
        column_direction=np.array([0.0, 1.0, 0.0]),
        pixel_spacing_mm=(dy, dx),
        rows=rows,
        columns=columns,
        frame_of_reference_uid=deterministic_uid("phantom frame of reference", [seed]),
        slice_thickness_mm=dz,
    )
    return Phantom(Volume(hu, grid, unit="[hnsf'U]"), _regions(labels), seed)


def write_phantom(folder: Path, phantom: Phantom | None = None, **options: Any) -> list[Path]:
    """Write a phantom as a CT series, one file per plane, and return the files from feet to head.

    Parameters
    ----------
    folder
        Where to; made where it does not exist.
    phantom
        What to write; one made from `options` (those of `make_phantom`) where it is left out.
    """
    phantom = phantom or make_phantom(**options)
    return write_ct_series(folder, phantom.volume, phantom.seed)


def _painted(
    x: NDArray[np.float64], y: NDArray[np.float64], z: float, vessels: tuple[Vessel, ...], phases: NDArray[np.float64]
) -> Canvas:
    # Nobody lies quite straight: the midline bends by a few mm.
    midline_mm = 1.5 + 3.0 * np.sin((z + 40) / 130)
    canvas = Canvas((x - midline_mm).astype(np.float32), y.astype(np.float32), z)
    depth = paint_body(canvas, phases)
    if depth is not None:
        paint_thorax(canvas, vessels, phases)
        paint_head(canvas)
        paint_spine(canvas)
        paint_airway(canvas)
    paint_surroundings(canvas, depth)
    return canvas


def _measured(canvas: Canvas, spacing_mm: tuple[float, float], rng: np.random.Generator) -> NDArray[np.int16]:
    """HU as a scanner shows them: blurred a little, with correlated noise that grows through the shoulders."""
    blurred = ndimage.gaussian_filter(canvas.hu, BLUR_PX)
    shoulders = float(np.exp(-(((canvas.z + 138) / 26) ** 2)))
    noise = rng.standard_normal(canvas.hu.shape, dtype=np.float32)
    sigma_px = (0.75, 0.75 + 2.2 * shoulders * 0.98 / spacing_mm[1])
    noise = ndimage.gaussian_filter(noise, sigma_px)
    noise *= NOISE_HU * (1 + 1.4 * shoulders) / float(noise.std())
    quiet = np.where(blurred < -950, 0.6, 1.0)
    return np.asarray(np.clip(np.round(blurred + noise * quiet), -1024, 3071), dtype=np.int16)


def _regions(labels: NDArray[np.uint8]) -> dict[str, Region]:
    boxes = ndimage.find_objects(labels)
    regions = {}
    for name, members in REGIONS.items():
        found = [boxes[m - 1] for m in members if m <= len(boxes) and boxes[m - 1] is not None]
        if not found:
            continue
        box = tuple(slice(min(b[a].start for b in found), max(b[a].stop for b in found)) for a in range(3))
        crop = np.isin(labels[box], members)
        start = (box[0].start, box[1].start, box[2].start)
        regions[name] = Region(crop, start, (labels.shape[0], labels.shape[1], labels.shape[2]))
    return regions
