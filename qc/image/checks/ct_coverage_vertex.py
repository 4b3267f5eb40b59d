"""Coverage of the head: the scan ends above the vertex."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_SLICES = 5


@check(
    "ct.coverage.vertex",
    version="1.0.0",
    title=("颅顶覆盖", "Coverage of the vertex"),
    unit="%",
    direction="higher_worse",
    settles="final",
    uncertainty=0.5,
    modalities=("CT",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: area of the head in the uppermost slice per largest area of the body",
    causes={
        "vertex": Advice(
            "positioning",
            "颅顶被截去（最上层头部面积 {value:.0f}%）",
            "The vertex is cut off (head in the uppermost slice: {value:.0f} %)",
            "extend_scan",
            "technician",
            "请向头侧延长扫描范围并补扫",
            "Extend the scan towards the head and scan the rest",
            now=True,
        ),
    },
)
def vertex(inputs: Inputs) -> Measured | NotEvaluable:
    """Area of the body in the uppermost slice of the scan, per cent of the largest; 0 where the last slices are air."""
    volume, body = inputs.volume, inputs.body
    if volume is None or not body:
        return NotEvaluable("no_volume" if volume is None else "no_region")
    if len(body) < FEWEST_SLICES:
        return NotEvaluable("too_few_slices", {"slices": float(len(body))})
    if abs(float(volume.grid.normal[2])) < 0.7:
        return NotEvaluable("unsupported")
    upwards = volume.grid.normal[2] > 0
    top, end = (body[-1], len(volume.array) - 1) if upwards else (body[0], 0)
    areas = np.array([np.count_nonzero(s.mask) for s in body])
    last = float(np.count_nonzero(top.mask)) if top.plane == end else 0.0
    value = 100 * last / float(areas.max())
    return Measured(
        value,
        where=(Location("slices", {"p_mm": [float(volume.grid.plane_positions_mm[end])]}),),
        evidence={"slices": float(len(body))},
    )
