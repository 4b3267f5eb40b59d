"""Several instances at one position."""

import numpy as np

from qc.image.inputs import SAME_PLACE_MM, Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location


@check(
    "gen.geometry.duplicate",
    version="1.0.0",
    title=("同位置重复图像", "Images at the same position"),
    unit="1",
    direction="categorical",
    settles="early",
    needs=("headers", "stack"),
    source="DICOM PS3.3 C.7.6.2.1.1; origins nearer than 0.01 mm",
    causes={
        "repeated": Advice(
            "transfer",
            "{pairs:.0f} 个位置收到重复的相同图像",
            "The same image was received twice at {pairs:.0f} positions",
            "check_sender",
            "IT",
            "请检查发送端是否重复发送；重复层已忽略",
            "Check whether the sender repeats itself; the repeats were ignored",
        ),
        "conflict": Advice(
            "protocol",
            "{pairs:.0f} 个位置有不同的图像，可能混入多期或多次扫描",
            "Different images lie at {pairs:.0f} positions: several phases or scans may be mixed",
            "split_series",
            "technician",
            "请将各期或各次扫描分为单独序列后重新发送",
            "Send each phase or scan as a series of its own",
        ),
    },
    states={"none": "PASS", "repeated": "WARN", "conflict": "FAIL"},
)
def duplicate(inputs: Inputs) -> Measured | NotEvaluable:
    """Whether origins coincide, and whether the images there are the same one (by UID, or by pixels where known)."""
    planes = inputs.planes
    if planes is None:
        return NotEvaluable("missing_tag")
    same = np.flatnonzero(np.linalg.norm(np.diff(planes.origins_lps, axis=0), axis=1) < SAME_PLACE_MM)
    if not len(same):
        return Measured("none", evidence={"pairs": 0.0})
    uids = inputs.texts("SOPInstanceUID")
    marks = [(u, u) if inputs.pixel_digests is None else (u, inputs.pixel_digests[i]) for i, u in enumerate(uids)]
    conflict = False
    for first in same:
        a, b = marks[planes.order[first]], marks[planes.order[first + 1]]
        conflict |= a[0] != b[0] and a[1] != b[1]
    return Measured(
        "conflict" if conflict else "repeated",
        advice="conflict" if conflict else "repeated",
        where=(Location("slices", {"p_mm": [float(p) for p in planes.p_mm[same][:200]]}),),
        params={"pairs": float(len(same))},
        evidence={"pairs": float(len(same)), "pixels_known": float(inputs.pixel_digests is not None)},
    )
