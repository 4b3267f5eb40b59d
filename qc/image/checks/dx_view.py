"""View of a chest radiograph: frontal or lateral as the picture shows it, against the tag."""

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs, text_of
from qc.image.picture import Picture
from qc.image.radiograph import chest_film, dark_valleys
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.worst import worst_state

FRONTAL, LATERAL = frozenset({"AP", "PA"}), frozenset({"LL", "RL", "LLD", "RLD", "LAT", "LATERAL"})
CHEST = frozenset({"CHEST", "THORAX", "LUNG", "RIBS"})
WHOLE = 0.08
"""In a lateral view both lungs are one valley across the middle, of at least this share of the field."""

SEVERITY = {"agrees": 0.0, "disagrees": 1.0}


@check(
    "dx.view",
    version="1.0.0",
    title=("投照体位", "View"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("CR", "DX"),
    needs=("headers", "pictures"),
    source="Radgate: two valleys of air side by side, or one across the middle",
    causes={
        "disagrees": Advice(
            "labelling",
            "标签为 {tag}，图像像是{seen_zh}",
            "The tag says {tag}, the picture looks {seen_en}",
            "set_view",
            "technician",
            "请更正投照体位后重新发送",
            "Correct the view and send again",
        ),
    },
    states={"agrees": "PASS", "disagrees": "FAIL"},
)
def view(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the worst picture; only of chests, whose two views differ that much."""
    return worst_state(inputs, _state, SEVERITY)


def _state(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    tag = text_of(header, "ViewPosition").upper()
    if tag not in FRONTAL | LATERAL or text_of(header, "BodyPartExamined").upper() not in CHEST:
        return NotEvaluable("missing_tag")
    found = dark_valleys(picture)
    if found is None:
        return NotEvaluable("no_region")
    labels, body, field = found
    area = (field.bottom - field.top) * (field.right - field.left)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    evidence: dict[str, float | str] = {"largest": float(sizes.max()) / area, "tag": tag}
    is_frontal = chest_film(picture) is not None
    columns = np.flatnonzero(np.any(labels == int(sizes.argmax()), axis=0))
    middle = float(np.average(np.arange(body.shape[1]), weights=body.sum(axis=0)))
    is_lateral = sizes.max() >= WHOLE * area and columns[0] < middle < columns[-1]
    if not is_frontal and not is_lateral:
        return NotEvaluable("no_region", evidence)
    if is_frontal == (tag in FRONTAL):
        return Measured("agrees", evidence=evidence)
    seen = ("正位", "frontal") if is_frontal else ("侧位", "lateral")
    return Measured(
        "disagrees", "disagrees", params={"tag": tag, "seen_zh": seen[0], "seen_en": seen[1]}, evidence=evidence
    )
