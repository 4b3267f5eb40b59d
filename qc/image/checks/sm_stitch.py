"""Seams of a whole slide: brightness that jumps at even distances."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_picture


@check(
    "sm.stitch",
    version="1.0.0",
    title=("拼接缝", "Seams"),
    unit="1",
    direction="higher_worse",
    settles="early",
    uncertainty=0.3,
    modalities=("SM",),
    needs=("headers", "pictures"),
    source="Radgate: lines along which the brightness jumps all the way, in units of the usual jump",
    causes={
        "seam": Advice(
            "reconstruction",
            "有拼接缝（跳变为常值的 {value:.0f} 倍）",
            "There are seams ({value:.0f} times the usual jump)",
            "calibrate_stage",
            "service",
            "请做平场和平台校准后重新扫描",
            "Calibrate shading and stage, and scan again",
        ),
    },
)
def stitch(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest ratio over rows and columns; of the worst picture."""
    return worst_picture(inputs, _ratio, badness=lambda v: v)


def _ratio(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    if not picture.is_colour or min(picture.array.shape[:2]) < 128:
        return NotEvaluable("unsupported" if not picture.is_colour else "too_few_pixels")
    grey = picture.grey()
    found = []
    for axis in (0, 1):
        # The median along a line: tissue jumps up and down, a seam always the same way.
        jumps = np.abs(np.median(np.diff(grey, axis=axis), axis=1 - axis))
        means = np.abs(np.mean(np.diff(grey, axis=axis), axis=1 - axis))
        both = np.minimum(jumps + 0.25, means)
        usual = 1.4826 * float(np.median(np.abs(means - np.median(means)))) + 0.05
        found.append((float(both.max()) / usual, int(both.argmax()), ("rows", "columns")[axis]))
    value, line, along = max(found)
    return Measured(
        value, where=(Location("box_px", {along: [line, line + 1]}),), evidence={"line": float(line), "along": along}
    )
