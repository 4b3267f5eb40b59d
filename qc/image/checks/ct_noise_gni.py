"""Noise of a CT in the patient: the most frequent local standard deviation in soft tissue (global noise index)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

WINDOW_MM = 6.0
SOFT_TISSUE_HU = (0.0, 100.0)
EDGE_HU_PER_PIXEL = 25.0
BIN_HU = 0.2
LARGEST_SIGMA_HU = 300.0
FEWEST_PIXELS = 2000
MOST_PLANES = 32
"""The median of 32 evenly chosen planes; more planes cost time and do not move it."""


@check(
    "ct.noise.gni",
    version="1.0.0",
    title=("软组织噪声", "Noise in soft tissue"),
    unit="[hnsf'U]",
    direction="higher_worse",
    settles="early",
    by_plane="median",
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="Christianson et al., AJR 205 (2015) W93: global noise level from a histogram of local standard deviations",
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
    values, planes = [], []
    for plane in chosen:
        mode = _mode_of_plane(volume.array[plane], window)
        if mode is not None:
            values.append(mode)
            planes.append(int(plane))
    evidence: dict[str, float | str] = {"planes_used": float(len(values)), "planes_tried": float(len(chosen))}
    if not values:
        return NotEvaluable("too_few_pixels", evidence)
    value = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(np.array(values) - value))) / len(values) ** 0.5
    worst = planes[int(np.argmax(values))]
    return Measured(
        value,
        where=(Location("slices", {"p_mm": [float(volume.grid.plane_positions_mm[worst])]}),),
        evidence={**evidence, "lowest": min(values), "highest": max(values), "window_rows": float(window[0])},
        # 3 % is the method's error on planted noise; the rest is the spread from plane to plane.
        uncertainty=float(np.hypot(0.03 * value, 1.96 * spread)),
    )


def _mode_of_plane(pixels: NDArray[Any], window: list[int]) -> float | None:
    """Mode of the local standard deviation in flat soft tissue, or None where there is too little of it."""
    matter = pixels > -200
    rows, columns = np.flatnonzero(matter.any(axis=1)), np.flatnonzero(matter.any(axis=0))
    if not len(rows):
        return None
    image = np.clip(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], -1100, 3100).astype(np.float32)
    mean = ndimage.uniform_filter(image, window)
    usable = (mean >= SOFT_TISSUE_HU[0]) & (mean <= SOFT_TISSUE_HU[1])
    if np.count_nonzero(usable) < FEWEST_PIXELS:
        return None
    smooth = ndimage.gaussian_filter(image, 2.0, truncate=3.0)
    steep = np.hypot(*np.gradient(smooth)) >= EDGE_HU_PER_PIXEL
    usable &= ndimage.maximum_filter(steep.astype(np.uint8), window) == 0
    count = window[0] * window[1]
    variance = (ndimage.uniform_filter(image * image, window) - mean * mean)[usable] * (count / (count - 1))
    sigma = np.sqrt(np.maximum(variance, 0))
    if len(sigma) < FEWEST_PIXELS:
        return None
    histogram, edges = np.histogram(sigma, bins=round(LARGEST_SIGMA_HU / BIN_HU), range=(0, LARGEST_SIGMA_HU))
    peak = int(ndimage.gaussian_filter1d(histogram.astype(np.float64), 2.0).argmax())
    return float((edges[peak] + edges[peak + 1]) / 2)
