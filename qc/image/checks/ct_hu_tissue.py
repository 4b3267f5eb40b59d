"""CT number of soft tissue: a check of the scale that sees a wrong slope, which the air does not."""

import numpy as np
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

RANGE_HU = (-700.0, 700.0)
"""Between lung and dense bone, and as far as a scale may be off."""

BIN_HU = 5.0
SMOOTH_BINS = 2.0
SMALLEST_PEAK = 0.3
"""A peak that is lower, as a share of the highest, is no large part of the patient."""

MUSCLE_HU = (30.0, 110.0)
CONTRAST_HU = 180.0
"""Organs with contrast medium may make a peak of their own up to here, beside the one of muscle. Fat lies 150 HU below
muscle, so that it cannot pass for muscle then."""

LEAST_PEAK = 0.12
FAT_HU = (-125.0, -85.0)
"""A peak here with no other beside it is fat, or muscle on a scale that is 15 % too flat: it cannot be told."""

MUSCLE_ABOVE_FAT_HU = (90.0, 200.0)
"""Where fat is most of a patient, muscle is a small peak so far above it; nothing lies so far above muscle."""

COARSE_MM = 2.0
FEWEST_PIXELS = 5000
MOST_PLANES = 24


@check(
    "ct.hu.tissue",
    version="1.0.0",
    title=("软组织 CT 值", "CT number of soft tissue"),
    unit="[hnsf'U]",
    direction="two_sided",
    settles="early",
    uncertainty=5.0,
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="Radgate: the densest of the large peaks between lung and bone; muscle has 40 to 65 HU, brain 30 to 40",
    causes={
        "scale": Advice(
            "detector",
            "软组织 CT 值为 {value:.0f} HU，应约为 20 至 70：CT 值标度有误",
            "Soft tissue reads {value:.0f} HU instead of about 20 to 70: the scale is wrong",
            "water_phantom",
            "physicist",
            "请核对 RescaleSlope/Intercept 并做水模测试；请勿用于放疗计划",
            "Verify RescaleSlope and Intercept, and do a water phantom test; do not plan on these images",
        )
    },
)
def tissue(inputs: Inputs) -> Measured | NotEvaluable:
    """Position of the densest large peak of the histogram, HU.

    Fat and muscle make the two large peaks of a body. Were the highest one taken, fat could pass for muscle on a scale
    that is 20 % too steep.
    """
    volume = inputs.volume
    if volume is None:
        return NotEvaluable("no_volume")
    spacing = volume.grid.pixel_spacing_mm
    step = max(1, round(COARSE_MM / max(spacing)))
    planes = evenly_chosen(len(volume.array), MOST_PLANES)
    found = []
    for plane in planes:
        pixels = volume.array[plane].astype(np.float32)
        smooth = ndimage.uniform_filter(pixels, 3) if step > 1 else pixels
        values = smooth[::step, ::step]
        found.append(values[(values > RANGE_HU[0]) & (values < RANGE_HU[1])])
    values = np.concatenate(found)
    if len(values) < FEWEST_PIXELS / step**2:
        return NotEvaluable("too_few_pixels", {"pixels": float(len(values))})
    counts, edges = np.histogram(values, round((RANGE_HU[1] - RANGE_HU[0]) / BIN_HU), RANGE_HU)
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), SMOOTH_BINS)
    # The ends of the range are the feet of lung and bone.
    inner = slice(2, len(smooth) - 2)
    is_top = (smooth == ndimage.maximum_filter1d(smooth, 5))[inner] & (smooth[inner] > 0)
    tops_hu, heights = (edges[:-1] + BIN_HU / 2)[inner][is_top], smooth[inner][is_top]
    if not len(tops_hu):
        return NotEvaluable("no_region", {"pixels": float(len(values))})
    peaks_hu = tops_hu[heights >= SMALLEST_PEAK * heights.max()]
    value = float(peaks_hu[-1])
    is_tall = heights >= LEAST_PEAK * heights.max()
    above, below = ((tops_hu - value) * sign for sign in (1, -1))
    low, high = MUSCLE_ABOVE_FAT_HU
    has_fat_below = bool((is_tall & (below >= low) & (below <= high)).any())
    above_is_muscle = is_tall & (above >= low) & (above <= high)
    if value < 0 and not has_fat_below and above_is_muscle.any():
        value = float(tops_hu[above_is_muscle][heights[above_is_muscle].argmax()])
    if FAT_HU[0] <= value <= FAT_HU[1] and not has_fat_below:
        return NotEvaluable("no_region", {"pixels": float(len(values)), "peak": value})
    muscle = peaks_hu[(peaks_hu >= MUSCLE_HU[0]) & (peaks_hu <= MUSCLE_HU[1])]
    if MUSCLE_HU[1] < value <= CONTRAST_HU and len(muscle):
        value = float(muscle[-1])
    p_mm = volume.grid.plane_positions_mm
    return Measured(
        value,
        where=(Location("slices", {"p_mm": [float(p_mm[k]) for k in planes]}),),
        evidence={"pixels": float(len(values)), "peaks": float(len(peaks_hu)), "planes_used": float(len(planes))},
    )
