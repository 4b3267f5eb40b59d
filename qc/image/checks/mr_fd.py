"""Displacement of the head between frames of a functional MR."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_FRAMES = 2


@check(
    "mr.fd",
    version="1.0.0",
    title=("帧间位移", "Displacement between frames"),
    unit="mm",
    direction="higher_worse",
    settles="final",
    uncertainty=0.1,
    modalities=("MR",),
    needs=("headers", "frames", "stack"),
    source="Radgate: displacement by cross-correlation of neighbouring frames; translations only, turns are not in it",
    causes={
        "moved": Advice(
            "patient_motion",
            "第 {frame:.0f} 帧头部移动 {value:.1f} mm",
            "The head moves by {value:.1f} mm at frame {frame:.0f}",
            "repeat_still",
            "technician",
            "请固定头部并嘱患者静止；必要时重扫",
            "Fix the head; repeat if needed",
            now=True,
        ),
    },
)
def displacement(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest displacement between neighbouring frames, mm."""
    shapes = {f.array.shape for f in inputs.frames}
    if len(inputs.frames) < FEWEST_FRAMES or len(shapes) > 1:
        return NotEvaluable("series_incomplete", {"frames": float(len(inputs.frames))})
    spacing = np.array(inputs.frames[0].spacing_mm)
    transforms = []
    for frame in inputs.frames:
        values = frame.array.astype(np.float32)
        transforms.append(np.fft.fftn(values - values.mean()))
    steps = np.array([np.linalg.norm(_shift(a, b) * spacing) for a, b in pairwise(transforms)])
    worst = int(steps.argmax())
    return Measured(
        float(steps[worst]),
        where=(Location("time", {"frames": [worst + 1, worst + 2]}),),
        params={"frame": float(worst + 2)},
        evidence={"frames": float(len(transforms)), "mean_mm": float(steps.mean())},
    )


def _shift(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Displacement in voxels of the second frame, from the peak of the cross-correlation and its neighbours."""
    correlation = np.real(np.fft.ifftn(second * np.conj(first)))
    peak = np.array(np.unravel_index(int(correlation.argmax()), correlation.shape))
    found = []
    for axis, size in enumerate(correlation.shape):
        index = [np.array([p]) for p in peak]
        index[axis] = np.array([peak[axis] - 1, peak[axis], peak[axis] + 1]) % size
        before, here, after = correlation[np.ix_(*index)].ravel()
        bend = before - 2 * here + after
        place = peak[axis] + (0.5 * (before - after) / bend if bend < 0 and size > 2 else 0.0)
        found.append((place + size / 2) % size - size / 2)
    return np.array(found)
