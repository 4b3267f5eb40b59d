"""Gaps and overlaps between neighbouring slices: thickness against distance."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "gen.geometry.overlap",
    version="1.0.0",
    title=("层间空隙", "Gap between slices"),
    unit="mm",
    direction="higher_worse",
    settles="final",
    uncertainty=0.01,
    needs=("headers", "stack"),
    source="DICOM PS3.3 C.7.6.2.1.2 (Slice Thickness) against the distance of positions",
    causes={
        "gap": Advice(
            "protocol",
            "层间有 {value:.1f} mm 未被采集（层厚 {thickness_mm:.1f} mm，间距 {step_mm:.1f} mm）",
            "{value:.1f} mm between slices is not imaged (thickness {thickness_mm:.1f} mm, distance {step_mm:.1f} mm)",
            "reconstruct_contiguous",
            "technician",
            "请以间距不大于层厚的方式重建",
            "Reconstruct with a distance not larger than the thickness",
        )
    },
)
def overlap(inputs: Inputs) -> Measured | NotEvaluable:
    """Usual distance less thickness, mm; negative where slices overlap."""
    planes = inputs.planes
    thickness = [t[0] for t in inputs.numbers("SliceThickness") if t and t[0] > 0]
    if planes is None or not thickness:
        return NotEvaluable("missing_tag")
    steps = planes.distinct_steps_mm
    if not len(steps):
        return NotEvaluable("too_few_slices", {"planes": 1.0})
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    thin = min(thickness)
    numbers = {"step_mm": usual, "thickness_mm": thin}
    return Measured(usual - thin, params=numbers, evidence=dict(numbers))
