"""Ghosts of echo-planar MR: a copy of the object displaced by half of the field along phase."""

import numpy as np
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.phase import phase_planes
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_PIXELS = 200


@check(
    "mr.nyquist",
    version="1.0.0",
    title=("奈奎斯特伪影", "Nyquist ghosts"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.5,
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Specification of image quality, 3.3: signal at the place displaced by N/2 over that of the object",
    causes={
        "ghost": Advice(
            "reconstruction",
            "EPI 半视野伪影为信号的 {value:.0f}%",
            "Ghosts at half of the field reach {value:.0f} % of the signal",
            "calibrate_epi",
            "service",
            "请重做 EPI 相位校正；仍有时请报修",
            "Repeat the phase correction of EPI; call service if it stays",
        ),
    },
)
def nyquist(inputs: Inputs) -> Measured | NotEvaluable:
    """Median over the planes, per cent of the object's mean; only of echo-planar images."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    if "EP" not in inputs.text("ScanningSequence").upper().split("\\"):
        return NotEvaluable("unsupported")
    values, planes = [], []
    for p in phase_planes(inputs):
        away = ~ndimage.binary_dilation(p.mask, iterations=4)
        ghost = np.roll(ndimage.binary_erosion(p.mask, iterations=3), p.pixels.shape[0] // 2, axis=0) & away
        rest = away & ~np.roll(ndimage.binary_dilation(p.mask, iterations=4), p.pixels.shape[0] // 2, axis=0)
        if min(np.count_nonzero(ghost), np.count_nonzero(rest)) < FEWEST_PIXELS:
            continue
        signal = float(p.pixels[p.mask].mean())
        values.append(100 * max(0.0, float(p.pixels[ghost].mean() - p.pixels[rest].mean())) / signal)
        planes.append(p.plane)
    if not values:
        return NotEvaluable("missing_tag" if not inputs.text("InPlanePhaseEncodingDirection") else "no_region")
    p_mm = inputs.volume.grid.plane_positions_mm
    where = (Location("slices", {"p_mm": [float(p_mm[planes[int(np.argmax(values))]])]}),)
    return Measured(
        float(np.median(values)), where=where, evidence={"planes_used": float(len(values)), "largest": max(values)}
    )
