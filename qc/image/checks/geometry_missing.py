"""Slices that are missing inside a series: places where the distance is a multiple of the usual one."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

GAP_SHARE = 0.1
"""A distance within 10 % of the usual one is no gap (specification, 3.1)."""

MULTIPLE_SHARE = 0.2
"""Farther than this from a multiple, the spacing changes and nothing is missing: that is for `gen.geometry.jitter`."""


@check(
    "gen.geometry.missing",
    version="1.0.0",
    title=("缺层", "Missing slices"),
    unit="{slices}",
    direction="higher_worse",
    settles="final",
    by_plane="ordered",
    needs=("headers", "stack"),
    source="DICOM PS3.3 C.7.6.2.1.1; positions along the normal, multiples of the lower median distance",
    causes={
        "gap": Advice(
            "transfer",
            "第 {after_plane:.0f} 层后缺层，共缺约 {value:.0f} 层",
            "About {value:.0f} slices are missing, the first after slice {after_plane:.0f}",
            "resend_slices",
            "technician",
            "请核对设备上的层数并补发；设备上也缺则重建或重扫",
            "Compare with the scanner and send what is missing; if it is missing there too, reconstruct or scan again",
        )
    },
)
def missing(inputs: Inputs) -> Measured | NotEvaluable:
    """Number of slices missing; a distance of about k times the usual one misses k - 1."""
    planes = inputs.planes
    if planes is None:
        return NotEvaluable("missing_tag")
    steps = planes.distinct_steps_mm
    if len(steps) < 2:
        return NotEvaluable("too_few_slices", {"planes": float(len(steps) + 1)})
    # The lower median is a distance that occurs: the mean of two middle ones would lie between d and 2 d.
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])
    multiple = np.round(steps / usual)
    is_gap = (multiple >= 2) & (np.abs(steps - usual) > GAP_SHARE * usual)
    gaps = np.flatnonzero(is_gap & (np.abs(steps - multiple * usual) <= MULTIPLE_SHARE * usual))
    p_mm = planes.p_mm[planes.distinct]
    lost = [p_mm[g] + usual * n for g in gaps for n in range(1, int(multiple[g]))]
    return Measured(
        float((multiple[gaps] - 1).sum()),
        where=(Location("slices", {"p_mm": [float(p) for p in lost[:200]]}),) if lost else (),
        params={"after_plane": float(gaps[0] + 1) if len(gaps) else 0.0},
        evidence={"usual_step_mm": usual, "largest_step_mm": float(steps.max()), "gaps": float(len(gaps))},
    )
