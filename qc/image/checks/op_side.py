"""Side of a fundus photograph: the eye that disc and macula show, against the tag."""

from pydicom.dataset import Dataset

from qc.image.fundus import find_eye
from qc.image.inputs import Inputs, text_of
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.worst import worst_state

SEVERITY = {"agrees": 0.0, "contradicts": 1.0}


@check(
    "op.side",
    version="1.0.0",
    title=("眼别", "Side of the eye"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("OP",),
    needs=("headers", "pictures"),
    source="Radgate: the disc lies on the nasal side of the macula, in a right eye on the right of the picture",
    causes={
        "contradicts": Advice(
            "labelling",
            "图像像是{seen_zh}眼，标签为 {tag}",
            "The picture looks like the {seen_en} eye, the tag says {tag}",
            "verify_side",
            "technician",
            "请核对眼别，更正后重新发送",
            "Verify the side of the eye, correct it and send again",
            now=True,
        ),
    },
    states={"agrees": "PASS", "contradicts": "FAIL"},
)
def side(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the worst picture."""
    return worst_state(inputs, _state, SEVERITY)


def _state(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    tag = (text_of(header, "ImageLaterality") or text_of(header, "Laterality")).upper()[:1]
    if tag not in {"L", "R"}:
        return NotEvaluable("missing_tag")
    eye = find_eye(picture)
    if eye is None or eye.disc is None or eye.macula is None:
        return NotEvaluable("no_region")
    seen = "R" if eye.disc[1] > eye.macula[1] else "L"
    evidence: dict[str, float | str] = {"seen": seen, "tag": tag}
    if seen == tag:
        return Measured("agrees", evidence=evidence)
    names = ("右", "right") if seen == "R" else ("左", "left")
    return Measured(
        "contradicts", "contradicts", params={"tag": tag, "seen_zh": names[0], "seen_en": names[1]}, evidence=evidence
    )
