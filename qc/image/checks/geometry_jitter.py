"""How far slice distances stray from the usual one, apart from missing slices."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

ROUNDING_MM = 0.001
"""Positions are often written with two or three decimals; half a unit at each end."""


@check(
    "gen.geometry.jitter",
    version="1.0.0",
    title=("层间距波动", "Slice distance jitter"),
    unit="%",
    direction="higher_worse",
    settles="final",
    needs=("headers", "stack"),
    source="DICOM PS3.3 C.7.6.2.1.1; largest deviation from the nearest multiple of the lower median distance",
    causes={
        "uneven": Advice(
            "reconstruction",
            "层间距偏差达 {value:.1f}%",
            "The slice distance deviates by up to {value:.1f} %",
            "reconstruct_even",
            "technician",
            "请重建为等间距序列后重新发送",
            "Reconstruct with one slice distance and send again",
        )
    },
)
def jitter(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest deviation in per cent of the usual distance; a missing slice counts as its multiple, not as jitter."""
    planes = inputs.planes
    if planes is None:
        return NotEvaluable("missing_tag")
    steps = planes.distinct_steps_mm
    if len(steps) < 2:
        return NotEvaluable("too_few_slices", {"planes": float(len(steps) + 1)})
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    deviation = np.abs(steps - np.maximum(1, np.round(steps / usual)) * usual)
    place = int(deviation.argmax())
    return Measured(
        float(deviation[place] / usual * 100),
        where=(Location("slices", {"p_mm": [float(p) for p in planes.p_mm[planes.distinct][place : place + 2]]}),),
        evidence={"usual_step_mm": usual, "largest_deviation_mm": float(deviation[place])},
        uncertainty=100 * ROUNDING_MM / usual,
    )
