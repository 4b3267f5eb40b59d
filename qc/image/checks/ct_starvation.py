"""Photon starvation: noise that lies in streaks along one direction, as in shoulders and hips."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

TISSUE_HU = (-20.0, 120.0)
SMOOTH_MM = 6.0
FEWEST_PIXELS = 2000
MOST_PLANES = 32


@check(
    "ct.starvation",
    version="1.0.0",
    title=("光子饥饿条纹", "Photon starvation"),
    unit="1",
    direction="higher_worse",
    settles="early",
    by_plane="run",
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="Radgate: power of the differences across rows over that across columns, in soft tissue; 1 without streaks",
    causes={
        "streaks": Advice(
            "exposure_low",
            "肩部或骨盆有水平条纹，噪声方向比 {value:.1f}",
            "Horizontal streaks, as in shoulders or hips: noise {value:.1f} times stronger across them",
            "lower_arms",
            "technician",
            "请上举或下拉手臂；必要时提高 mAs 重扫",
            "Move the arms out of the field; if needed repeat with higher mAs",
            now=True,
        )
    },
)
def starvation(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest ratio over the planes (median of three neighbours)."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    volume = inputs.volume
    window = [2 * max(1, round(SMOOTH_MM / mm / 2)) + 1 for mm in volume.grid.pixel_spacing_mm]
    ratios, planes, counts = [], [], []
    for plane in evenly_chosen(len(volume.array), MOST_PLANES):
        found = _ratio_of_plane(volume.array[plane], window)
        if found is not None:
            ratios.append(found[0])
            counts.append(found[1])
            planes.append(int(plane))
    if not ratios:
        return NotEvaluable("too_few_pixels")
    smooth = ndimage.median_filter(np.array(ratios), 3, mode="nearest")
    worst = int(smooth.argmax())
    # Relative error of a ratio of two variances from n neighbouring, partly dependent differences each.
    spread = 1.96 * float(smooth[worst]) * 2 / counts[worst] ** 0.5
    return Measured(
        float(smooth[worst]),
        where=(Location("slices", {"p_mm": [float(volume.grid.plane_positions_mm[planes[worst]])]}),),
        evidence={
            "planes_used": float(len(ratios)),
            "median": float(np.median(ratios)),
            "pixels": float(counts[worst]),
        },
        uncertainty=spread,
    )


def _power(differences: NDArray[np.float32]) -> float:
    """Mean square without the few edges that are left: differences beyond five times the median are dropped."""
    size = np.abs(differences)
    kept = size[size <= 5 * float(np.median(size)) + 1]
    return float(np.mean(np.square(kept, dtype=np.float64)))


def _ratio_of_plane(pixels: NDArray[Any], window: list[int]) -> tuple[float, int] | None:
    """Power across rows over power across columns, and the number of pixels; None where there is too little tissue."""
    matter = pixels > -200
    rows, columns = np.flatnonzero(matter.any(axis=1)), np.flatnonzero(matter.any(axis=0))
    if not len(rows):
        return None
    image = np.clip(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], -1100, 3100).astype(np.float32)
    mean = ndimage.uniform_filter(image, window)
    # Tissue whose whole surroundings are tissue: no edge of an organ, bone or air within the window.
    tissue = (mean > TISSUE_HU[0]) & (mean < TISSUE_HU[1])
    inner = ndimage.minimum_filter(tissue.astype(np.uint8), window) > 0
    if np.count_nonzero(inner) < FEWEST_PIXELS:
        return None
    down, across = np.diff(image, axis=0)[:, :-1], np.diff(image, axis=1)[:-1]
    both = inner[:-1, :-1]
    power = [_power(d[both]) for d in (down, across)]
    return (power[0] / power[1], int(np.count_nonzero(both))) if power[1] > 0 else None
