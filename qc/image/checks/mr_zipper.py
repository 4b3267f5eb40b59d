"""Zipper of an MR: a line of radio frequency from outside, along phase."""

import numpy as np
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.phase import phase_planes
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_LINES = 30
FEWEST_IN_LINE = 8


@check(
    "mr.zipper",
    version="1.0.0",
    title=("拉链伪影", "Zipper"),
    unit="1",
    direction="higher_worse",
    settles="early",
    uncertainty=0.5,
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: mean of the air on each line along phase against its neighbours, in robust units",
    causes={
        "line": Advice(
            "detector",
            "有拉链样伪影（{value:.0f} 倍离散），外界射频干扰",
            "A zipper ({value:.0f} robust units): radio frequency from outside",
            "close_door",
            "technician",
            "请关好屏蔽门、移走房内设备后重扫；反复出现请报修",
            "Close the door of the cabin, remove devices and repeat; call service if it returns",
            now=True,
        ),
    },
)
def zipper(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest over the planes and lines."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    if inputs.text("InPlanePhaseEncodingDirection").upper() not in {"ROW", "COL"}:
        return NotEvaluable("missing_tag")
    values, planes = [], []
    for p in phase_planes(inputs):
        distance = ndimage.distance_transform_edt(~p.mask, sampling=p.spacing_mm)
        air = distance > 8
        counts = air.sum(axis=0)
        held = counts >= FEWEST_IN_LINE
        if np.count_nonzero(held) < FEWEST_LINES:
            continue
        lines = np.where(air, p.pixels, 0).sum(axis=0)[held] / counts[held]
        rest = lines - ndimage.median_filter(lines, 9, mode="nearest")
        spread = 1.4826 * float(np.median(np.abs(rest)))
        if spread > 0:
            values.append(float(rest.max()) / spread)
            planes.append(p.plane)
    if not values:
        return NotEvaluable("no_region")
    worst = int(np.argmax(values))
    p_mm = inputs.volume.grid.plane_positions_mm
    where = (Location("slices", {"p_mm": [float(p_mm[planes[worst]])]}),)
    return Measured(
        float(np.median(values)), where=where, evidence={"planes_used": float(len(values)), "largest": values[worst]}
    )
