"""Sharpness of a CT: the frequency at which the step from air to skin loses half of its modulation."""

import numpy as np

from qc.image.edges import EdgeSamples, half_frequency_per_mm, skin_edges
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

ONE_SIDE = 0.7
"""One side softer than this share of the others is motion rather than a kernel."""

SIDES_ZH = {"top": "上", "bottom": "下", "left": "左", "right": "右"}


@check(
    "ct.sharpness.f50",
    version="1.0.0",
    title=("锐利度 f50", "Sharpness f50"),
    unit="mm-1",
    direction="two_sided",
    settles="final",
    modalities=("CT",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: edge method on the skin (after IEC 62220-1-1 for the slanted edge); curvature radius above 30 mm",
    causes={
        "soft": Advice(
            "reconstruction",
            "锐利度 f50 为 {value:.2f}/mm，与协议的重建核不符",
            "The sharpness f50 is {value:.2f} per mm: not the kernel that the protocol needs",
            "reconstruct",
            "technician",
            "请用协议规定的重建核重新重建",
            "Reconstruct with the kernel of the protocol",
        ),
        "one_side": Advice(
            "patient_motion",
            "仅{side_zh}边缘模糊（f50 {value:.2f}/mm），可能为运动",
            "Only the {side_en} edge is soft (f50 {value:.2f} per mm): probably motion",
            "repeat_still",
            "technician",
            "请嘱患者静止，必要时重扫",
            "Repeat with the patient still, if needed",
            now=True,
        ),
    },
)
def sharpness(inputs: Inputs) -> Measured | NotEvaluable:
    """Frequency at half modulation of all sides together, per mm; sides are those of the picture."""
    volume = inputs.volume
    if volume is None or not inputs.body:
        return NotEvaluable("no_volume" if volume is None else "no_region")
    if inputs.text("LossyImageCompression") == "01":
        return NotEvaluable("lossy")
    pixel_mm = float(np.mean(volume.grid.pixel_spacing_mm))
    sides = skin_edges(volume, inputs.body)
    if not sides:
        return NotEvaluable("no_region")
    together = EdgeSamples(
        np.concatenate([s.distance_mm for s in sides.values()]), np.concatenate([s.value_hu for s in sides.values()])
    )
    value = half_frequency_per_mm(together, pixel_mm)
    if value is None:
        return NotEvaluable("too_few_pixels", {"samples": float(len(together.distance_mm))})
    each = {side: half_frequency_per_mm(s, pixel_mm) for side, s in sides.items()}
    known = {side: v for side, v in each.items() if v is not None}
    softest = min(known, key=known.__getitem__, default="")
    others = [v for side, v in known.items() if side != softest]
    is_one_side = len(others) > 1 and known[softest] < ONE_SIDE * float(np.median(others))
    return Measured(
        value,
        advice="one_side" if is_one_side else "soft",
        where=(Location("slices", {"p_mm": [float(volume.grid.plane_positions_mm[s.plane]) for s in inputs.body]}),),
        params={"side_zh": SIDES_ZH.get(softest, ""), "side_en": softest},
        evidence={"samples": float(len(together.distance_mm)), **{f"f50_{s}": v for s, v in known.items()}},
        uncertainty=0.05 * value,
    )
