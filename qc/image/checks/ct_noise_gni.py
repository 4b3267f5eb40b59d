"""Noise of a CT in the patient: the most frequent local standard deviation in soft tissue (global noise index).

What a window of 6 mm loses of noise that hangs together is measured in differences of neighbouring planes and put back.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.noise_texture import lag_variances, sigma_per_mode
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

WINDOW_MM = 6.0
SOFT_TISSUE_HU = (0.0, 100.0)
EDGE_HU_PER_PIXEL = 25.0
BIN_HU = 0.2
LARGEST_SIGMA_HU = 300.0
FEWEST_PIXELS = 2000
LARGEST_PER_MODE = 2.5
"""Windows with more than this times the most frequent sigma hold an edge that moved from plane to plane."""

MOST_CENTRES = 4000
"""Windows of a plane that are asked for their texture."""

MOST_PLANES = 64
"""The most frequent value of one plane is uncertain by some per cent; the median of so many is by about one."""


@check(
    "ct.noise.gni",
    version="2.0.0",
    title=("软组织噪声", "Noise in soft tissue"),
    unit="[hnsf'U]",
    direction="higher_worse",
    settles="early",
    by_plane="median",
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="Christianson et al., AJR 205 (2015) W93: global noise level; Radgate: corrected for correlated noise",
    causes={
        "noisy": Advice(
            "exposure_low",
            "软组织噪声 {value:.0f} HU，剂量可能过低",
            "Noise of {value:.0f} HU in soft tissue: the dose was probably too low",
            "raise_mas",
            "technician",
            "请核对管电流调制和体位；必要时提高 mAs 重扫",
            "Check the current modulation and the arms; if needed repeat with higher mAs",
            now=True,
        )
    },
)
def noise(inputs: Inputs) -> Measured | NotEvaluable:
    """Median over the planes of the mode of the local standard deviation, HU."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    volume = inputs.volume
    chosen = evenly_chosen(len(volume.array), MOST_PLANES)
    window = [max(3, 2 * (round(WINDOW_MM / mm) // 2) + 1) for mm in volume.grid.pixel_spacing_mm]
    flats = [f for plane in chosen if (f := _flat_tissue(volume.array, int(plane), window)) is not None]
    evidence: dict[str, float | str] = {"planes_used": float(len(flats)), "planes_tried": float(len(chosen))}
    if not flats:
        return NotEvaluable("too_few_pixels", evidence)
    textures = [t for f in flats if (t := _texture(volume.array, f, window)) is not None]
    if not textures:
        return NotEvaluable("too_few_pixels", evidence)
    texture = np.average([t for t, _ in textures], axis=0, weights=[n for _, n in textures])
    per_mode = sigma_per_mode(texture, volume.grid.pixel_spacing_mm)
    values = per_mode * np.array([f.mode for f in flats])
    value = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - value))) / len(values) ** 0.5
    worst = flats[int(np.argmax(values))].plane
    return Measured(
        value,
        where=(Location("slices", {"p_mm": [float(volume.grid.plane_positions_mm[worst])]}),),
        evidence={
            **evidence,
            "lowest": float(values.min()),
            "highest": float(values.max()),
            "window_rows": float(window[0]),
            "per_mode": per_mode,
        },
        # 3 % is the method's error on planted noise; the rest is the spread from plane to plane.
        uncertainty=float(np.hypot(0.03 * value, 1.96 * spread)),
    )


@dataclass(frozen=True, eq=False)
class FlatTissue:
    """Flat soft tissue of one plane: its part of the plane, the windows' centres, and their most frequent sigma."""

    plane: int
    box: tuple[slice, slice]
    centres: NDArray[np.intp]
    mode: float


def _flat_tissue(array: NDArray[Any], plane: int, window: list[int]) -> FlatTissue | None:
    """Flat soft tissue of a plane, or None where there is too little of it."""
    matter = array[plane] > -200
    rows, columns = np.flatnonzero(matter.any(axis=1)), np.flatnonzero(matter.any(axis=0))
    if not len(rows):
        return None
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    image = _clipped(array[plane][box])
    usable = _usable(image, window)
    centres = np.flatnonzero(usable)
    if len(centres) < FEWEST_PIXELS:
        return None
    return FlatTissue(plane, box, centres, _mode(_local_sigma(image, window).ravel()[centres]))


def _usable(image: NDArray[np.float32], window: list[int]) -> NDArray[np.bool_]:
    """Where a window holds soft tissue and no edge."""
    mean = ndimage.uniform_filter(image, window)
    usable = (mean >= SOFT_TISSUE_HU[0]) & (mean <= SOFT_TISSUE_HU[1])
    if np.count_nonzero(usable) < FEWEST_PIXELS:
        return np.zeros_like(usable)
    smooth = ndimage.gaussian_filter(image, 2.0, truncate=3.0)
    steep = np.hypot(*np.gradient(smooth)) >= EDGE_HU_PER_PIXEL
    return np.asarray(usable & (ndimage.maximum_filter(steep.astype(np.uint8), window) == 0))


def _texture(array: NDArray[Any], flat: FlatTissue, window: list[int]) -> tuple[NDArray[np.float64], int] | None:
    """Variance by lag over that at the mode, and the number of centres; None where tissue is at the border only.

    Anatomy that two neighbouring planes share goes with their difference. A plane whose neighbour is its copy, shares
    no tissue, or is not there, is taken as it is.
    """
    image, centres = _clipped(array[flat.plane][flat.box]), flat.centres
    if len(array) > 1:
        neighbour = _clipped(array[flat.plane + 1 if flat.plane + 1 < len(array) else flat.plane - 1][flat.box])
        shared = centres[_usable(neighbour, window).ravel()[centres]]
        difference = image - neighbour
        if len(shared) and np.count_nonzero(difference.ravel()[shared]) > len(shared) / 2:
            image, centres = difference, shared
    sigma = _local_sigma(image, window).ravel()[centres]
    mode = _mode(sigma)
    rows, columns = np.unravel_index(centres, image.shape)
    half_rows, half_columns = (n // 2 for n in window)
    inner = (rows >= half_rows) & (rows < image.shape[0] - half_rows)
    inner &= (columns >= half_columns) & (columns < image.shape[1] - half_columns)
    centres = centres[inner & (sigma < LARGEST_PER_MODE * mode)]
    centres = centres[:: -(-len(centres) // MOST_CENTRES)] if len(centres) else centres
    if not len(centres):
        return None
    return lag_variances(image, centres, window) / mode**2, len(centres)


def _clipped(pixels: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(np.clip(pixels, -1100, 3100), dtype=np.float32)


def _local_sigma(image: NDArray[np.float32], window: list[int]) -> NDArray[np.float32]:
    """Standard deviation (n-1) of the window about every pixel."""
    count = window[0] * window[1]
    mean = ndimage.uniform_filter(image, window)
    variance = (ndimage.uniform_filter(image * image, window) - mean * mean) * (count / (count - 1))
    return np.asarray(np.sqrt(np.maximum(variance, 0)))


def _mode(sigma: NDArray[np.float32]) -> float:
    """Most frequent of the local standard deviations."""
    histogram, edges = np.histogram(sigma, bins=round(LARGEST_SIGMA_HU / BIN_HU), range=(0, LARGEST_SIGMA_HU))
    peak = int(ndimage.gaussian_filter1d(histogram.astype(np.float64), 2.0).argmax())
    return float((edges[peak] + edges[peak + 1]) / 2)
