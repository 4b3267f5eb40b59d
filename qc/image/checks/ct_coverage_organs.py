"""Coverage of organs: none of those handed in is cut by the first or last slice."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.organs import organ
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

ENDLESS = frozenset({
    "Body",
    "SpinalCord",
    "SpinalCanal",
    "External",
    "Bone",
    "Skin",
    "Esophagus",
    "A_Aorta",
    "Trachea",
})
"""Structures that every scan cuts."""


@check(
    "ct.coverage.organs",
    version="1.0.0",
    title=("器官覆盖", "Coverage of organs"),
    unit="%",
    direction="higher_worse",
    settles="final",
    uncertainty=0.1,
    modalities=("CT", "MR", "PT"),
    needs=("headers", "pixels", "stack", "masks:*"),
    source="Radgate: area of an organ in an end slice per its largest area",
    causes={
        "cut": Advice(
            "positioning",
            "{organ} 超出扫描范围（端层面积 {value:.0f}%）",
            "{organ} goes on beyond the scan (end slice: {value:.0f} % of its area)",
            "extend_scan",
            "technician",
            "请延长扫描范围并补扫",
            "Extend the scan and scan the rest",
            now=True,
        ),
    },
)
def organs(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest area of an organ in an end slice, per cent of that organ's largest area."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    p_mm = inputs.volume.grid.plane_positions_mm
    worst, name, where = -1.0, "", 0
    for key in sorted(set(inputs.masks) - ENDLESS):
        region = organ(inputs, key)
        if region is None:
            continue
        areas = np.count_nonzero(region.crop, axis=(1, 2))
        ends = {0: areas[0] if region.box[0].start == 0 else 0, -1: areas[-1] if region.box[0].stop == len(p_mm) else 0}
        for end, area in ends.items():
            if 100 * area / areas.max() > worst:
                worst, name, where = 100 * float(area) / float(areas.max()), key, end
    if not name:
        return NotEvaluable("needs_mask")
    return Measured(
        worst,
        where=(Location("slices", {"p_mm": [float(p_mm[where])]}),),
        params={"organ": name},
        evidence={"organ": name, "organs": float(len(inputs.masks))},
    )
