"""Phantoms drawn from stated geometry: water, the ACR CT phantom, a CatPhan; with errors of known size planted.

Numbers are those of the makers' drawings: cylinders of 200 mm, inserts on a ring. Scanners write square pixels for
phantoms, so the spacings between rows and columns are equal here; rows, columns and planes still differ.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid
from tests.synthetic.series import SeriesDescription, write_series

__all__ = ["Phantom", "phantom_description", "write_phantom_series"]

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
ACR_INSERTS = {"Air": (45, -1000.0), "Poly": (225, -95.0), "Acrylic": (135, 120.0), "Bone": (-45, 955.0)}
"""Angle in degrees clockwise from the right, and HU; rods of 25 mm at 63 mm."""

ACR_LINES = ((-135, 0.4), (180, 0.5), (135, 0.6), (90, 0.7), (45, 0.8), (0, 0.9), (-45, 1.0), (-90, 1.2))
"""Angle and line pairs per mm of the bar patterns at 70 mm."""

CATPHAN_INSERTS = {
    "Air": (-90, -1000.0), "PMP": (-120, -196.0), "LDPE": (180, -104.0), "Poly": (120, -47.0), "Acrylic": (60, 115.0),
    "Delrin": (0, 365.0), "Teflon": (-60, 1000.0), "Air 2": (90, -1000.0),
}  # fmt: skip


@dataclass(frozen=True)
class Phantom:
    """A phantom and what is wrong with it.

    Parameters
    ----------
    kind
        water, acr_ct or catphan504.
    hu_shift
        Added to everything inside.
    roll_deg
        Turned clockwise.
    off_mm
        (down, right) of the centre.
    cupping_hu
        Centre lower than the edge by this.
    sigma_hu
        Noise.
    ends_mm
        Positions between which the phantom was scanned, from the centre of its first module.
    """

    kind: str = "water"
    hu_shift: float = 0.0
    roll_deg: float = 0.0
    off_mm: tuple[float, float] = (3.0, -4.0)
    cupping_hu: float = 0.0
    sigma_hu: float = 4.0
    ends_mm: tuple[float, float] = (-16.0, 112.0)
    seed: int = 3

    def values(self, grid: Grid) -> NDArray[np.int16]:
        """HU on a grid whose first plane lies at `ends_mm[0]`."""
        dy, dx = grid.pixel_spacing_mm
        y = ((np.arange(grid.rows) - (grid.rows - 1) / 2) * dy - self.off_mm[0])[:, None]
        x = ((np.arange(grid.columns) - (grid.columns - 1) / 2) * dx - self.off_mm[1])[None, :]
        radius = np.hypot(y, x)
        turn = np.radians(self.roll_deg)
        along, down = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        body = radius <= 100.0
        noise = np.random.default_rng(self.seed)
        planes = []
        for position in grid.plane_positions_mm - grid.plane_positions_mm[0] + self.ends_mm[0]:
            plane = self._module(float(position), along, down)
            plane = plane + self.hu_shift + self.cupping_hu * ((radius / 100.0) ** 2 - 1)
            plane = np.where(body, plane, -1000.0)
            planes.append(plane + noise.normal(0, self.sigma_hu, plane.shape))
        return np.asarray(np.clip(np.round(planes), -1024, 3071), dtype=np.int16)

    def _module(self, z_mm: float, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
        plane = np.zeros(np.broadcast_shapes(x.shape, y.shape))
        if self.kind == "acr_ct":
            return _acr(plane, z_mm, x, y)
        if self.kind == "catphan504":
            plane += 90.0
            if abs(z_mm) <= 16:
                for angle, hu in CATPHAN_INSERTS.values():
                    plane[_rod(x, y, 58.7, angle, 6.25)] = hu
                for angle in (45, 135, 225, 315):  # four nodes, 50 mm apart
                    plane[_rod(x, y, 25 * np.sqrt(2), angle, 1.5)] = -1000.0
        return plane


def _acr(plane: NDArray[np.float64], z_mm: float, x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """The four modules: rods, low contrast, uniformity with two beads, bar patterns."""
    if z_mm < 20:
        for angle, hu in ACR_INSERTS.values():
            plane[_rod(x, y, 63, angle, 12.5)] = hu
    elif z_mm < 50:
        plane += 90.0
        plane[_rod(x, y, 60, -90, 12.5)] = 96.0
    elif z_mm < 85:
        if abs(z_mm - 70) < 3:
            plane[_rod(x, y, 20, -45, 1.2) | _rod(x, y, 80, 135, 1.2)] = 900.0
    else:
        for angle, pairs_per_mm in ACR_LINES:
            patch = _rod(x, y, 70, angle, 7.5)
            bars = np.sin(2 * np.pi * pairs_per_mm * x + 0 * y) > 0
            plane[patch & bars] = 900.0
    return plane


def _rod(x: NDArray[Any], y: NDArray[Any], distance_mm: float, angle_deg: float, radius_mm: float) -> NDArray[np.bool_]:
    away = np.radians(angle_deg)
    return np.asarray(np.hypot(x - distance_mm * np.cos(away), y - distance_mm * np.sin(away)) <= radius_mm)


def phantom_description(phantom: Phantom, *, step_mm: float = 4.0, pixel_mm: float = 0.8) -> SeriesDescription:
    """The series of a phantom, axial, with square pixels."""
    length = phantom.ends_mm[1] - phantom.ends_mm[0]
    description = SeriesDescription(
        orientation=AXIAL,
        pixel_spacing_mm=(pixel_mm, pixel_mm),
        plane_spacing_mm=step_mm,
        rows=round(236 / pixel_mm),
        columns=round(244 / pixel_mm),
        planes=round(length / step_mm) + 1,
        origin_lps=(-121.0, -90.0, 35.0),
        signed=True,
        intercept=0.0,
        attributes=(("SeriesDescription", "QA"), ("StationName", "CTSIM1"), ("BodyPartExamined", "PHANTOM")),
    )
    return replace(description, pixels=phantom.values)


def write_phantom_series(folder: Path, phantom: Phantom, **options: float) -> list[Path]:
    """Write the series of a phantom."""
    return write_series(folder, phantom_description(phantom, **options))
