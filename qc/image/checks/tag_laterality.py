"""Side: the laterality tags against each other, the body part and the words of the series."""

import re

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

PAIRED = frozenset({
    "HAND", "FOOT", "KNEE", "ELBOW", "SHOULDER", "HIP", "ANKLE", "WRIST", "FOREARM", "FEMUR", "HUMERUS", "BREAST",
    "EYE", "FINGER", "THUMB", "TOE", "LEG", "ARM", "CLAVICLE", "SCAPULA", "CALCANEUS", "PATELLA", "ULNA", "RADIUS",
    "TIBIA", "FIBULA", "EXTREMITY", "UPPERARM", "LOWERLEG", "UPPERLEG",
})  # fmt: skip
"""Paired parts of DICOM PS3.16 Annex L."""

PROJECTIONS = frozenset({"CR", "DX", "MG", "XA", "RF", "OP"})
"""Of these a side has to be stated; in slices the picture shows it."""

# A single L may as well mean lateral, or a lumbar vertebra.
WORDS = {
    "L": re.compile(r"左|(?<![a-z])left(?![a-z])", re.IGNORECASE),
    "R": re.compile(r"右|(?<![a-z])right(?![a-z])", re.IGNORECASE),
}

SHORT = {
    "L": re.compile(r"(?<![a-z])lt(?![a-z])", re.IGNORECASE),
    "R": re.compile(r"(?<![a-z])rt(?![a-z])", re.IGNORECASE),
}
"""Sides only in projections and beside the name of a paired part: RT is radiotherapy otherwise."""

PART = re.compile(
    r"[手足膝肘肩髋踝腕臂腿指趾乳眼]|锁骨|跟骨|股骨|肱骨|(?<![a-z])(" + "|".join(sorted(PAIRED)) + r")s?(?![a-z])",
    re.IGNORECASE,
)


@check(
    "gen.tag.laterality",
    version="1.1.0",
    title=("侧别标签", "Laterality tag"),
    unit="1",
    direction="categorical",
    settles="early",
    source="DICOM PS3.3 C.7.3.1 (Laterality), C.8.11.2 (Image Laterality)",
    causes={
        "contradictory": Advice(
            "labelling",
            "侧别标签为 {stated}，序列描述为 {described}",
            "The tag says side {stated}, the description side {described}",
            "verify_side",
            "technician",
            "请核对检查侧别，更正后重新发送",
            "Verify which side was examined, correct it and send again",
            now=True,
        ),
        "absent": Advice(
            "labelling",
            "成对部位缺少侧别标签",
            "A paired body part has no laterality tag",
            "set_side",
            "technician",
            "请登记左右侧后重新发送",
            "Enter the side and send again",
            now=True,
        ),
    },
    states={"consistent": "PASS", "not_needed": "PASS", "absent": "WARN", "contradictory": "FAIL"},
)
def laterality(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the side; a description that names both sides contradicts nothing."""
    if not inputs.headers:
        return NotEvaluable("missing_tag")
    stated: set[str] = set()
    for keyword in ("Laterality", "ImageLaterality", "FrameLaterality"):
        stated |= {t.upper() for t in inputs.texts(keyword) if t.upper() in {"L", "R", "B", "U"}}
    part = inputs.text("BodyPartExamined").upper().replace(" ", "")
    described = {
        side
        for keyword in ("SeriesDescription", "ProtocolName")
        for side in _described(inputs.text(keyword), inputs.modality in PROJECTIONS, part in PAIRED)
    }
    sides = stated & {"L", "R"}
    if len(sides) == 2 and inputs.modality not in {"MG", "OP"}:
        return Measured("contradictory", "contradictory", params={"stated": "L, R", "described": "?"})
    if len(sides) == 1 and len(described) == 1 and sides != described:
        names = {"stated": sides.copy().pop(), "described": described.copy().pop()}
        return Measured("contradictory", "contradictory", params=names, evidence=dict(names))
    if not stated:
        needed = inputs.modality in PROJECTIONS and part in PAIRED
        return Measured("absent", "absent") if needed else Measured("not_needed")
    return Measured("consistent", evidence={"stated": ",".join(sorted(stated))})


def _described(words: str, is_projection: bool, is_paired: bool) -> set[str]:
    """The sides that a description names; an RT that stands alone may be anything."""
    found = {side for side, pattern in WORDS.items() if pattern.search(words)}
    if is_projection and (PART.search(words) or (is_paired and len(words.split()) > 1)):
        found |= {side for side, pattern in SHORT.items() if pattern.search(words)}
    return found
