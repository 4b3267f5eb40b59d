"""Motion in an MR: ringing and smear along phase outside the object."""

import numpy as np
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.phase import phase_planes
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

BAND_MM = (10.0, 30.0)
FEWEST_PIXELS = 400


@check(
    "mr.motion",
    version="1.0.0",
    title=("运动", "Motion"),
    unit="1",
    direction="higher_worse",
    settles="early",
    uncertainty=0.1,
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Specification of image quality, 3.3: energy of the air along phase over that along read, near the object",
    causes={
        "motion": Advice(
            "patient_motion",
            "相位方向运动伪影（能量比 {value:.1f}）",
            "Motion smears along phase (energy ratio {value:.1f})",
            "repeat_still",
            "technician",
            "请固定头部、嘱患者静止后重扫",
            "Fix the head and repeat with the patient still",
            now=True,
        ),
    },
)
def motion(inputs: Inputs) -> Measured | NotEvaluable:
    """Energy of the air beside the object along phase over that along read; median over the planes."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    if inputs.text("InPlanePhaseEncodingDirection").upper() not in {"ROW", "COL"}:
        return NotEvaluable("missing_tag")
    values, planes = [], []
    for p in phase_planes(inputs):
        distance = ndimage.distance_transform_edt(~p.mask, sampling=p.spacing_mm)
        band = (distance > BAND_MM[0]) & (distance < BAND_MM[1])
        rows, columns = np.atleast_1d(p.mask.any(axis=1)), np.atleast_1d(p.mask.any(axis=0))
        beside_phase = band & columns[None, :] & ~rows[:, None]
        beside_read = band & rows[:, None] & ~columns[None, :]
        if min(np.count_nonzero(beside_phase), np.count_nonzero(beside_read)) < FEWEST_PIXELS:
            continue
        energy = np.square(np.gradient(p.pixels, axis=0))
        along_read = np.square(np.gradient(p.pixels, axis=1))
        usual = float((energy + along_read)[beside_read].mean())
        values.append(float((energy + along_read)[beside_phase].mean()) / usual if usual > 0 else 1.0)
        planes.append(p.plane)
    if not values:
        return NotEvaluable("no_region")
    p_mm = inputs.volume.grid.plane_positions_mm
    where = (Location("slices", {"p_mm": [float(p_mm[planes[int(np.argmax(values))]])]}),)
    return Measured(
        float(np.median(values)), where=where, evidence={"planes_used": float(len(values)), "largest": max(values)}
    )
