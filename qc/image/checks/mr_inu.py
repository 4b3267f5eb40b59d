"""Non-uniformity of an MR: how much the coil's sensitivity varies over one tissue."""

import numpy as np
from scipy import ndimage

from qc.image.foreground import object_sections
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

SMOOTH_MM = 9.0
LEAST_WEIGHT = 0.25


@check(
    "mr.inu",
    version="1.0.0",
    title=("信号不均匀", "Non-uniformity"),
    unit="1",
    direction="higher_worse",
    settles="early",
    uncertainty=0.03,
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Specification of image quality, 3.3: 95th over 5th percentile of the smooth field inside white matter",
    causes={
        "bias": Advice(
            "coil",
            "同一组织信号相差 {value:.1f} 倍，线圈敏感度不均",
            "One tissue varies by a factor of {value:.1f}: uneven sensitivity of the coil",
            "check_coil",
            "technician",
            "请检查线圈位置和单元，打开均匀性校正后重建",
            "Check position and elements of the coil; switch the correction on and reconstruct",
        ),
    },
)
def inu(inputs: Inputs) -> Measured | NotEvaluable:
    """Ratio of the percentiles of the smoothed signal of all bright tissue."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    volume, spread, planes = inputs.volume, [], []
    sigma = [SMOOTH_MM / mm for mm in volume.grid.pixel_spacing_mm]
    for section in object_sections(volume):
        pixels = volume.array[section.plane].astype(np.float32)
        # One tissue under a field: pixels within a band about the local typical value, so that fluid drops out.
        local = ndimage.gaussian_filter(pixels * section.core, sigma) / np.maximum(
            ndimage.gaussian_filter(section.core.astype(np.float32), sigma), 1e-3
        )
        tissue = section.core & (pixels > 0.75 * local) & (pixels < 1.35 * local)
        weight = ndimage.gaussian_filter(tissue.astype(np.float32), sigma)
        field = ndimage.gaussian_filter(pixels * tissue, sigma) / np.maximum(weight, 1e-3)
        usable = section.core & (weight > LEAST_WEIGHT)
        if np.count_nonzero(usable) < 500:
            continue
        low, high = np.percentile(field[usable], [5, 95])
        spread.append(float(high) / float(low))
        planes.append(section.plane)
    if not spread:
        return NotEvaluable("no_region")
    p_mm = volume.grid.plane_positions_mm
    where = (Location("slices", {"p_mm": [float(p_mm[planes[int(np.argmax(spread))]])]}),)
    return Measured(
        float(np.median(spread)), where=where, evidence={"planes_used": float(len(spread)), "largest": max(spread)}
    )
