"""Grey scale of a radiograph: dense has to be bright."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.radiograph import chest_film, exposed_field
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.worst import worst_state

RIM = 0.05
"""Share of the field's size that its rim takes."""

NEAR_END = 0.1
LEAST_BACKGROUND = 0.05
SEVERITY = {"upright": 0.0, "inverted": 1.0}


@check(
    "dx.inversion",
    version="1.1.0",
    title=("灰度反转", "Inverted grey scale"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("CR", "DX", "MG"),
    needs=("headers", "pictures"),
    source="Radgate: free background against the anatomy; DICOM PS3.3 C.7.6.3.1.2 (Photometric Interpretation)",
    causes={
        "inverted": Advice(
            "labelling",
            "灰度反转：背景比骨亮",
            "The grey scale is turned over: the background is brighter than bone",
            "export_original",
            "IT",
            "请核对光度解释标签后重新发送",
            "Correct PhotometricInterpretation and send again",
        ),
    },
    states={"upright": "PASS", "inverted": "FAIL"},
)
def inversion(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the worst picture."""
    return worst_state(inputs, _state, SEVERITY)


def _state(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    field = exposed_field(picture)
    if field is None:
        return NotEvaluable("no_region")
    grey = picture.coarse[field.box]
    low, high = (float(v) for v in np.percentile(grey, [2, 98]))
    if high <= low:
        return NotEvaluable("no_region")
    depth = [max(2, round(RIM * n)) for n in grey.shape]
    rim = np.ones(grey.shape, dtype=np.bool_)
    rim[depth[0] : -depth[0], depth[1] : -depth[1]] = False
    # Background is flat, lies at the rim, and is an end of the grey scale.
    margin = NEAR_END * (high - low)
    at_low, at_high = (float(np.mean(part)) for part in (grey[rim] < low + margin, grey[rim] > high - margin))
    evidence: dict[str, float | str] = {"rim_low": at_low, "rim_high": at_high}
    if max(at_low, at_high) < LEAST_BACKGROUND or (at_high > at_low and chest_film(picture) is not None):
        found = chest_film(picture) is not None
        return Measured("upright", evidence=evidence) if found else NotEvaluable("no_region", evidence)
    state = "upright" if at_low >= at_high else "inverted"
    return Measured(state, "" if state == "upright" else state, evidence=evidence)
