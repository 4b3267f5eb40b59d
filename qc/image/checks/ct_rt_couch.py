"""The couch of a planning CT is in the picture: its attenuation belongs to the plan."""

from qc.image.couch import find_couch
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

WHOLE_WIDTH_MM = 250.0


@check(
    "ct.rt.couch",
    version="1.0.0",
    title=("床面可见", "Couch in the picture"),
    unit="1",
    direction="categorical",
    settles="final",
    modalities=("CT",),
    needs=("headers", "pixels", "stack"),
    source="Specification of image quality, 3.2",
    causes={
        "absent": Advice(
            "positioning",
            "图像中未见床面，无法计入床的衰减",
            "The couch is not in the picture, so that its attenuation cannot be planned",
            "extended_field",
            "technician",
            "请用包含床面的重建视野重新重建",
            "Reconstruct with a field that holds the couch",
        ),
        "narrow": Advice(
            "positioning",
            "床面仅显示 {width_mm:.0f} mm 宽",
            "Only {width_mm:.0f} mm of the couch's width are in the picture",
            "extended_field",
            "technician",
            "请用包含整个床面的重建视野重新重建",
            "Reconstruct with a field that holds the whole couch",
        ),
    },
    states={"found": "PASS", "narrow": "PASS", "absent": "WARN"},
)
def couch(inputs: Inputs) -> Measured | NotEvaluable:
    """State: found, narrow (less than 250 mm of its width), or absent."""
    if inputs.volume is None or not inputs.body:
        return NotEvaluable("no_volume" if inputs.volume is None else "no_region")
    found = find_couch(inputs.volume, inputs.body)
    p_mm = inputs.volume.grid.plane_positions_mm
    where = (Location("slices", {"p_mm": [float(p_mm[0]), float(p_mm[-1])]}),)
    if found is None:
        return Measured("absent", "absent", where)
    state = "found" if found.width_mm >= WHOLE_WIDTH_MM else "narrow"
    advice = "" if state == "found" else "narrow"
    evidence = {"width_mm": found.width_mm, "planes_share": found.share}
    return Measured(state, advice, where, {"width_mm": found.width_mm}, evidence)
