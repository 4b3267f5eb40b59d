"""Fold-over of an MR: the object goes on beyond the field along phase and comes in on the other side."""

import numpy as np
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.phase import phase_planes
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location


@check(
    "mr.wrap",
    version="1.0.0",
    title=("卷褶", "Fold-over"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=1,
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: length of the contact with both ends of the phase direction, per width of the object",
    causes={
        "fold": Advice(
            "positioning",
            "相位方向卷褶或重影，约为体宽的 {value:.0f}%",
            "Fold-over, or a ghost, along phase on {value:.0f} % of the width",
            "oversample",
            "technician",
            "请扩大视野、使用过采样或交换相位方向后重扫",
            "Enlarge the field, use oversampling or swap the phase direction, and repeat",
            now=True,
        ),
    },
)
def wrap(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest over the planes (median of three), per cent of the object's width."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    if inputs.text("InPlanePhaseEncodingDirection").upper() not in {"ROW", "COL"}:
        return NotEvaluable("missing_tag")
    values, planes = [], []
    for p in phase_planes(inputs):
        width = int(np.count_nonzero(p.mask.any(axis=0)))
        values.append(100 * float(np.count_nonzero(p.mask[0] & p.mask[-1])) / width)
        planes.append(p.plane)
    if not values:
        return NotEvaluable("no_region")
    smooth = ndimage.median_filter(np.array(values), 3, mode="nearest")
    worst = int(smooth.argmax())
    p_mm = inputs.volume.grid.plane_positions_mm
    where = (Location("slices", {"p_mm": [float(p_mm[planes[worst]])]}),)
    return Measured(float(smooth[worst]), where=where, evidence={"planes_used": float(len(values))})
