"""Ghosts of an MR: signal in the air along the phase direction that is not there along the read direction."""

import numpy as np

from qc.image.foreground import object_sections
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_PIXELS = 500


@check(
    "mr.ghost",
    version="1.0.0",
    title=("相位方向伪影", "Ghosts along phase"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.5,
    modalities=("MR",),
    needs=("headers", "pixels"),
    source="Radgate: 95th percentile of the air beside the object along phase, less that along read, per mean signal",
    causes={
        "ghost": Advice(
            "patient_motion",
            "相位方向伪影为信号的 {value:.0f}%",
            "Ghosts along the phase direction reach {value:.0f} % of the signal",
            "repeat_still",
            "technician",
            "请嘱患者静止或屏气，必要时交换相位方向后重扫",
            "Repeat with the patient still or holding the breath, or swap the phase direction",
            now=True,
        )
    },
)
def ghost(inputs: Inputs) -> Measured | NotEvaluable:
    """Median over the planes, per cent of the object's mean; never below 0."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    direction = inputs.text("InPlanePhaseEncodingDirection").upper()
    if direction not in {"ROW", "COL"}:
        return NotEvaluable("missing_tag")
    values, planes = [], []
    for section in object_sections(inputs.volume):
        pixels = inputs.volume.array[section.plane]
        rows, columns = np.atleast_1d(section.inside.any(axis=1)), np.atleast_1d(section.inside.any(axis=0))
        beside_rows = section.air & columns[None, :] & ~rows[:, None]
        beside_columns = section.air & rows[:, None] & ~columns[None, :]
        # "COL": lines of k-space are stepped along a column, so that ghosts lie above and below the object.
        phase, read = (beside_rows, beside_columns) if direction == "COL" else (beside_columns, beside_rows)
        if min(np.count_nonzero(phase), np.count_nonzero(read)) < FEWEST_PIXELS:
            continue
        difference = np.percentile(pixels[phase], 95) - np.percentile(pixels[read], 95)
        values.append(max(0.0, 100 * float(difference) / float(pixels[section.core].mean())))
        planes.append(section.plane)
    if not values:
        return NotEvaluable("no_region")
    p_mm = inputs.volume.grid.plane_positions_mm
    return Measured(
        float(np.median(values)),
        where=(Location("slices", {"p_mm": [float(p_mm[planes[int(np.argmax(values))]])]}),),
        evidence={"planes_used": float(len(values)), "largest": max(values)},
    )
