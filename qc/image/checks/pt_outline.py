"""Motion between PET and CT: body outlines that do not lie over each other."""

import numpy as np

from qc.image.companion import pair_of
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_VOXELS = 300


@check(
    "pt.outline",
    version="1.0.0",
    title=("PET-CT 轮廓不符", "Outlines of PET and CT"),
    unit="%",
    direction="higher_worse",
    settles="final",
    uncertainty=1,
    modalities=("PT",),
    needs=("headers", "pixels", "stack"),
    source="Specification of image quality, 3.4: area of one outline without the other, per area of both",
    causes={
        "moved": Advice(
            "patient_motion",
            "PET 与 CT 体表轮廓相差 {value:.0f}%",
            "The outlines of PET and CT differ by {value:.0f} %",
            "repeat_ct",
            "technician",
            "请核对手臂和躯干位置，必要时重扫 CT",
            "Check arms and trunk; repeat the CT if needed",
            now=True,
        ),
    },
)
def outline(inputs: Inputs) -> Measured | NotEvaluable:
    """Symmetric difference over union, per cent, where the CT has values."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    pair = None if inputs.companion is None else pair_of(inputs.volume, inputs.companion)
    if pair is None:
        return NotEvaluable("series_incomplete")
    pet, ct = pair.pet_body() & pair.covered, pair.ct_body() & pair.covered
    union = pet | ct
    if np.count_nonzero(union) < FEWEST_VOXELS:
        return NotEvaluable("no_region")
    apart = pet ^ ct
    per_plane = apart.sum(axis=(1, 2)) / np.maximum(union.sum(axis=(1, 2)), 1)
    p_mm = inputs.volume.grid.plane_positions_mm
    where = (Location("slices", {"p_mm": [float(p_mm[int(per_plane.argmax())])]}),)
    value = 100 * float(np.count_nonzero(apart)) / float(np.count_nonzero(union))
    return Measured(value, where=where, evidence={"voxels": float(np.count_nonzero(union))})
