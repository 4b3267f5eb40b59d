"""Change from frame to frame of a functional MR."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_FRAMES = 8


@check(
    "mr.dvars",
    version="1.0.0",
    title=("帧间变化 DVARS", "Change between frames (DVARS)"),
    unit="%",
    direction="higher_worse",
    settles="final",
    uncertainty=0.05,
    modalities=("MR",),
    needs=("headers", "frames", "stack"),
    source="Power et al., NeuroImage 59 (2012) 2142: root mean square of the difference of frames, per mean signal",
    causes={
        "jump": Advice(
            "patient_motion",
            "第 {frame:.0f} 帧信号突变 {value:.1f}%",
            "The signal jumps by {value:.1f} % at frame {frame:.0f}",
            "repeat_still",
            "technician",
            "请嘱患者静止；多处突变时重扫",
            "Ask the patient to lie still; repeat if there are many jumps",
            now=True,
        ),
    },
)
def dvars(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest over the frames, per cent of the object's mean."""
    shapes = {f.array.shape for f in inputs.frames}
    if len(inputs.frames) < FEWEST_FRAMES or len(shapes) > 1:
        return NotEvaluable("series_incomplete", {"frames": float(len(inputs.frames))})
    series = np.stack([f.array for f in inputs.frames]).astype(np.float32)
    mean = series.mean(axis=0)
    inside = mean > 0.4 * float(np.percentile(mean, 98))
    if np.count_nonzero(inside) < 100:
        return NotEvaluable("no_region")
    steps = np.sqrt(np.square(np.diff(series[:, inside], axis=0)).mean(axis=1)) / float(mean[inside].mean()) * 100
    worst = int(steps.argmax())
    return Measured(
        float(steps[worst]),
        where=(Location("time", {"frames": [worst + 1, worst + 2]}),),
        params={"frame": float(worst + 2)},
        evidence={"frames": float(len(series)), "median": float(np.median(steps))},
    )
