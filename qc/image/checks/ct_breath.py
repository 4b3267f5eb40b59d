"""Inspiration: how much air the lungs of a CT hold."""

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_CC = 1000.0
"""Less than a litre is not both lungs of an adult, so that nothing can be said about the breath."""


@check(
    "ct.breath",
    version="1.0.0",
    title=("吸气程度", "Inspiration"),
    unit="[hnsf'U]",
    direction="higher_worse",
    settles="final",
    uncertainty=8,
    modalities=("CT",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: mean CT number of the lungs found without a model; specification of image quality, 2.1",
    causes={
        "shallow": Advice(
            "breathing",
            "肺平均 {value:.0f} HU，吸气不足",
            "The lungs read {value:.0f} HU on average: too little air",
            "coach_breath",
            "technician",
            "请在充分吸气末屏气后重扫",
            "Repeat at full inspiration",
            now=True,
        ),
    },
)
def breath(inputs: Inputs) -> Measured | NotEvaluable:
    """Mean CT number of both lungs."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    lungs = inputs.lungs
    if lungs is None or lungs.volume_cc < FEWEST_CC:
        return NotEvaluable("no_region", {} if lungs is None else {"volume_cc": lungs.volume_cc})
    p_mm = inputs.volume.grid.plane_positions_mm
    held = [float(p_mm[k]) for k, area in zip(lungs.planes, lungs.areas_mm2, strict=True) if area > 0]
    return Measured(
        lungs.mean_hu,
        where=(Location("slices", {"p_mm": [held[0], held[-1]]}),),
        evidence={"volume_cc": lungs.volume_cc, "slices": float(len(held))},
    )
