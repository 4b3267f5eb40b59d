"""Steps of a four-dimensional CT where the couch moved on: slices of one phase that do not fit together."""

import numpy as np
from numpy.typing import NDArray

from imaging.volume import Volume
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_SLICES = 8
WINDOW_HU = (-1000.0, 200.0)


@check(
    "ct.rt.junction",
    version="1.0.0",
    title=("4D-CT 床位衔接", "Junctions of a 4-D CT"),
    unit="1",
    direction="higher_worse",
    settles="final",
    uncertainty=0.2,
    modalities=("CT",),
    needs=("headers", "frames", "stack"),
    source="Radgate: step between slices of a phase less the median of all phases, per typical step",
    causes={
        "step": Advice(
            "breathing",
            "第 {phase:.0f} 时相在 {p_mm:.0f} mm 处有衔接台阶（{value:.1f} 倍）",
            "Phase {phase:.0f} has a step at {p_mm:.0f} mm ({value:.1f} times the usual)",
            "resort",
            "technician",
            "请按振幅重新分相；必要时训练呼吸后重扫",
            "Sort again by amplitude; coach the breathing and repeat if needed",
            now=True,
        ),
    },
)
def junction(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest ratio over all phases and steps."""
    shapes = {f.array.shape for f in inputs.frames}
    if len(inputs.frames) < 2 or len(shapes) > 1:
        return NotEvaluable("series_incomplete")
    if len(inputs.frames[0].array) < FEWEST_SLICES:
        return NotEvaluable("too_few_slices")
    steps = np.array([_steps(f) for f in inputs.frames])
    # What all phases share is anatomy; the rest is what this phase does at this place.
    rest = steps - np.median(steps, axis=0)
    usual = 1.4826 * float(np.median(np.abs(rest))) + 0.05 * float(np.median(steps)) + 1e-6
    ratio = np.maximum(rest, 0) / usual
    phase, place = (int(v) for v in np.unravel_index(int(ratio.argmax()), ratio.shape))
    at = float(inputs.frames[0].grid.plane_positions_mm[place])
    return Measured(
        float(ratio[phase, place]),
        where=(Location("slices", {"p_mm": [at], "phase": phase}),),
        params={"phase": float(phase), "p_mm": at},
        evidence={"phases": float(len(steps)), "usual_step_hu": usual},
    )


def _steps(frame: Volume) -> NDArray[np.float64]:
    """Mean absolute difference of each plane to the next on every second pixel, HU."""
    thin = np.clip(frame.array[:, ::2, ::2], *WINDOW_HU).astype(np.float32)
    return np.asarray(np.abs(np.diff(thin, axis=0)).mean(axis=(1, 2)), dtype=np.float64)
