"""Signal to noise in time of a functional MR."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable, check

FEWEST_FRAMES = 8


@check(
    "mr.tsnr",
    version="1.0.0",
    title=("时间信噪比", "Signal to noise in time"),
    unit="1",
    direction="lower_worse",
    settles="final",
    modalities=("MR",),
    needs=("headers", "frames", "stack"),
    source="Krueger and Glover, Magn Reson Med 46 (2001) 631: mean over standard deviation in time",
    causes={},
)
def tsnr(inputs: Inputs) -> Measured | NotEvaluable:
    """Median over the object."""
    shapes = {f.array.shape for f in inputs.frames}
    if len(inputs.frames) < FEWEST_FRAMES or len(shapes) > 1:
        return NotEvaluable("series_incomplete", {"frames": float(len(inputs.frames))})
    series = np.stack([f.array for f in inputs.frames]).astype(np.float32)
    mean, sigma = series.mean(axis=0), series.std(axis=0, ddof=1)
    inside = (mean > 0.4 * float(np.percentile(mean, 98))) & (sigma > 0)
    if np.count_nonzero(inside) < 100:
        return NotEvaluable("no_region")
    value = float(np.median(mean[inside] / sigma[inside]))
    return Measured(
        value,
        evidence={"frames": float(len(series)), "voxels": float(np.count_nonzero(inside))},
        uncertainty=0.03 * value,
    )
