"""A body in a CT with known noise, fat, air, couch and spacing, and defects of known severity planted into it.

Severities are in physical units; equal seeds give equal arrays.
"""

import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from imaging.geometry import Grid
from imaging.volume import Volume
from qc.image.inputs import Inputs
from tests.synthetic.series import SeriesDescription, series_datasets

__all__ = ["TRUNK", "Body", "body_inputs", "copied", "edited", "header_inputs", "volume_inputs"]

FAT_HU, TISSUE_HU, LUNG_HU, BONE_HU, AIR_HU = -105.0, 45.0, -820.0, 600.0, -1000.0


@dataclass(frozen=True)
class Body:
    """An elliptic trunk with fat, lungs of different size, spine and a couch below.

    Parameters
    ----------
    sigma_hu
        Noise.
    blur_mm
        Blur of the noise, in the plane; its standard deviation stays `sigma_hu`.
    shift_mm
        Shift of the trunk towards growing columns.
    scale_offset_hu, scale_factor
        Error of the CT scale: HU -> factor * HU + offset.
    metal_radius_mm
        Radius of a metal rod along the planes' normal; 0 for none.
    circle_mm
        Radius of the reconstruction circle; what is outside reads -2000. 0 for none.
    streak_ratio
        Streaks along the rows: power of the noise's differences across rows over that across columns.
    """

    sigma_hu: float = 8.0
    blur_mm: float = 0.0
    shift_mm: float = 0.0
    scale_offset_hu: float = 0.0
    scale_factor: float = 1.0
    metal_radius_mm: float = 0.0
    circle_mm: float = 0.0
    streak_ratio: float = 1.0
    seed: int = 1

    def values(self, grid: Grid) -> NDArray[np.int16]:
        """HU on a grid."""
        dy, dx = grid.pixel_spacing_mm
        y = ((np.arange(grid.rows) - (grid.rows - 1) / 2) * dy)[:, None]
        x = ((np.arange(grid.columns) - (grid.columns - 1) / 2) * dx)[None, :]
        trunk_x = x - self.shift_mm + 4.0
        plane = np.full((grid.rows, grid.columns), AIR_HU)
        couch = np.hypot(trunk_x / 105, (y - 55) / 30)
        plane[(couch < 1) & (couch > 0.95) & (y > 60)] = 150
        plane[_ellipse(trunk_x, y + 8, 96, 72)] = FAT_HU
        plane[_ellipse(trunk_x, y + 8, 80, 57)] = TISSUE_HU
        plane[_ellipse(trunk_x + 38, y + 14, 24, 30)] = LUNG_HU
        plane[_ellipse(trunk_x - 40, y + 10, 19, 26)] = LUNG_HU
        plane[_ellipse(trunk_x, y - 22, 12, 10)] = BONE_HU
        noise = np.random.default_rng(self.seed).normal(0, 1, grid.shape)
        if self.blur_mm:
            noise = ndimage.gaussian_filter(noise, (0, self.blur_mm / dy, self.blur_mm / dx))
            noise /= noise.std()
        if self.streak_ratio > 1:
            streaks = np.random.default_rng(self.seed + 1000).normal(0, 1, (grid.shape[0], grid.rows, 1))
            noise = noise + np.sqrt(self.streak_ratio - 1) * streaks
        values = (plane + self.sigma_hu * noise) * self.scale_factor + self.scale_offset_hu
        if self.metal_radius_mm:
            values[:, np.hypot(trunk_x - 10, y + 20) <= self.metal_radius_mm] = 6000
        if self.circle_mm:
            values[:, np.hypot(x, y) > self.circle_mm] = -2000
        return np.asarray(np.clip(np.round(values), -2000, 30000), dtype=np.int16)


def _ellipse(x: NDArray[Any], y: NDArray[Any], half_x: float, half_y: float) -> NDArray[np.bool_]:
    return np.asarray((x / half_x) ** 2 + (y / half_y) ** 2 < 1)


TRUNK = SeriesDescription(
    rows=210, columns=256, pixel_spacing_mm=(1.1, 0.9), planes=11, plane_spacing_mm=2.5, signed=True
)


def body_inputs(body: Body | None = None, **changes: Any) -> Inputs:
    """Inputs of the checks for a CT of a body; `changes` are fields of the body."""
    return _made(replace(body or Body(), **changes))


@lru_cache(maxsize=12)
def _made(body: Body) -> Inputs:
    return volume_inputs(body.values(TRUNK.grid()), replace(TRUNK, intercept=0.0))


def volume_inputs(values: NDArray[Any], description: SeriesDescription) -> Inputs:
    """Inputs with the given values on the grid of a description."""
    d = replace(description, pixels=values, planes=len(values))
    return Inputs(_headers(d), Volume(values, d.grid(), unit="[hnsf'U]" if d.modality == "CT" else "1"))


def header_inputs(description: SeriesDescription | None = None, **changes: Any) -> Inputs:
    """Inputs with headers only."""
    return Inputs(_headers(replace(description or SeriesDescription(), **changes)))


def _headers(description: SeriesDescription) -> tuple[Dataset, ...]:
    """Headers do not tell of the pixels, so that those of equal descriptions are made once; nobody changes them."""
    return _headers_of(replace(description, pixels=_nothing))


@lru_cache(maxsize=64)
def _headers_of(description: SeriesDescription) -> tuple[Dataset, ...]:
    headers = series_datasets(description)
    for header in headers:
        del header.PixelData
    return tuple(headers)


def _nothing(grid: Grid) -> NDArray[np.int16]:
    return np.zeros(grid.shape, dtype=np.int16)


def copied(header: Dataset) -> Dataset:
    """A header that can be changed without changing the first."""
    made = Dataset()
    for element in header:
        made.add(copy.deepcopy(element) if element.VR == "SQ" else copy.copy(element))
    return made


def edited(inputs: Inputs, planes: slice | None = None, /, **values: Any) -> Inputs:
    """The same inputs with attributes changed in the headers of some planes; None removes an attribute."""
    headers = [copied(h) for h in inputs.headers]
    for header in headers[planes or slice(None)]:
        for keyword, value in values.items():
            if value is None:
                if keyword in header:
                    delattr(header, keyword)
            else:
                setattr(header, keyword, value)
    return replace(inputs, headers=tuple(headers))
