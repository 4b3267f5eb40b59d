"""Phases of a four-dimensional CT: complete and on one grid."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

USUAL_PHASES = 10
SAME_MM = 0.1


@check(
    "ct.rt.4d",
    version="1.0.0",
    title=("4D-CT 时相", "Phases of a 4-D CT"),
    unit="1",
    direction="categorical",
    settles="final",
    modalities=("CT",),
    needs=("headers", "frames", "stack"),
    source="Specification of image quality, 3.2",
    causes={
        "incomplete": Advice(
            "breathing",
            "4D-CT 仅 {phases:.0f} 个时相，应为 {expected:.0f} 个",
            "The 4-D CT has {phases:.0f} phases instead of {expected:.0f}",
            "resort",
            "technician",
            "请重新分相重建；仍缺时重扫",
            "Sort the phases again; repeat the scan if some stay missing",
            now=True,
        ),
        "unequal": Advice(
            "reconstruction",
            "各时相的层数或位置不一致（共 {phases:.0f} 个，应为 {expected:.0f}）",
            "Phases differ in slices or position ({phases:.0f} of {expected:.0f})",
            "reconstruct",
            "technician",
            "请以相同范围重建全部时相",
            "Reconstruct all phases over the same range",
        ),
    },
    states={"complete": "PASS", "incomplete": "FAIL", "unequal": "FAIL"},
)
def phases(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the phases; their number is that of the order (`Phases`), else 10."""
    if not inputs.frames:
        return NotEvaluable("series_incomplete")
    ordered = inputs.order.get("Phases", "")
    expected = int(ordered) if ordered.isdigit() else USUAL_PHASES
    params = {"phases": float(len(inputs.frames)), "expected": float(expected)}
    first = inputs.frames[0].grid
    for frame in inputs.frames[1:]:
        grid = frame.grid
        if grid.shape != first.shape or float(np.abs(grid.positions_lps - first.positions_lps).max()) > SAME_MM:
            return Measured("unequal", "unequal", params=params, evidence=params)
    state = "complete" if len(inputs.frames) == expected else "incomplete"
    return Measured(state, "" if state == "complete" else "incomplete", params=params, evidence=params)
