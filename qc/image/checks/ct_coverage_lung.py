"""Coverage of the chest: the scan begins above the apices and ends below the lung."""

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_CC = 500.0


@check(
    "ct.coverage.lung",
    version="1.0.0",
    title=("肺部覆盖", "Coverage of the lungs"),
    unit="%",
    direction="higher_worse",
    settles="final",
    uncertainty=0.2,
    modalities=("CT",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: area of lung in the first or last slice per largest area; specification of image quality, 3.2",
    causes={
        "head": Advice(
            "positioning",
            "扫描未达肺尖上方（首层肺面积 {value:.0f}%）",
            "The scan does not reach above the apices (lung in the end slice: {value:.0f} %)",
            "extend_scan",
            "technician",
            "请向头侧延长扫描范围并补扫",
            "Extend the scan towards the head and scan the rest",
            now=True,
        ),
        "foot": Advice(
            "positioning",
            "扫描未达肋膈角下方（末层肺面积 {value:.0f}%）",
            "The scan does not reach below the lungs (lung in the end slice: {value:.0f} %)",
            "extend_scan",
            "technician",
            "请向足侧延长扫描范围并补扫",
            "Extend the scan towards the feet and scan the rest",
            now=True,
        ),
    },
)
def coverage(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest share of lung in an end slice, per cent of the largest area of any slice."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    lungs = inputs.lungs
    if lungs is None or lungs.volume_cc < FEWEST_CC:
        return NotEvaluable("no_region")
    areas, p_mm = lungs.areas_mm2, inputs.volume.grid.plane_positions_mm
    ends = 100 * areas[[0, -1]] / float(areas.max())
    worst = int(ends.argmax())
    upwards = inputs.volume.grid.normal[2] > 0
    return Measured(
        float(ends[worst]),
        advice="head" if (worst == 1) == bool(upwards) else "foot",
        where=(Location("slices", {"p_mm": [float(p_mm[lungs.planes[-worst]])]}),),
        evidence={"first_percent": float(ends[0]), "last_percent": float(ends[1]), "volume_cc": lungs.volume_cc},
    )
