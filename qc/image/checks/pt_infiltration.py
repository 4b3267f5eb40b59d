"""Infiltration: a hot focus of activity at the edge of the body, as at the injection site."""

import numpy as np
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

OUTER = 0.2
HOT = 8.0
"""Times the median uptake of the body."""

LARGEST_CC = 60.0


@check(
    "pt.infiltration",
    version="1.0.0",
    title=("注射外渗", "Infiltration"),
    unit="%",
    direction="higher_worse",
    settles="final",
    uncertainty=0.2,
    modalities=("PT",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: activity of the hottest compact focus in the outer fifth of the field's width, per total activity",
    causes={
        "focus": Advice(
            "protocol",
            "体侧有高浓聚灶，占总活度 {value:.1f}%，疑注射外渗",
            "A focus at the side holds {value:.1f} % of all activity: probably infiltration",
            "note_infiltration",
            "radiologist",
            "请在报告中注明，SUV 不可靠；必要时改日重做",
            "State it in the report: SUV are unreliable; repeat on another day if needed",
        ),
    },
)
def infiltration(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of all activity in foci of the outer fifth on either side; 0 where there is none."""
    volume = inputs.volume
    if volume is None:
        return NotEvaluable("no_volume")
    values = volume.array.astype(np.float64)
    inside = values > 0.1 * float(np.percentile(values, 99))
    columns = np.flatnonzero(inside.any(axis=(0, 1)))
    if np.count_nonzero(inside) < 500 or len(columns) < 10:
        return NotEvaluable("no_region")
    level = HOT * float(np.median(values[inside]))
    rim = max(1, round(OUTER * (columns[-1] - columns[0])))
    labels, _ = ndimage.label(values > level)
    voxel_cc = float(np.prod(volume.spacing_mm)) / 1000
    total, planes = 0.0, []
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == index
        middle = box[2].start + float(np.nonzero(part)[2].mean())
        is_outer = middle < columns[0] + rim or middle > columns[-1] - rim
        if is_outer and np.count_nonzero(part) * voxel_cc <= LARGEST_CC:
            total += float(values[box][part].sum())
            planes.append((box[0].start + box[0].stop - 1) // 2)
    p_mm = volume.grid.plane_positions_mm
    where = (Location("slices", {"p_mm": [float(p_mm[k]) for k in planes]}),) if planes else ()
    return Measured(
        100 * total / float(values[inside].sum()), where=where, evidence={"foci": float(len(planes)), "level": level}
    )
