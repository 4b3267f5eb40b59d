"""Landmarks of a fundus photograph: disc and macula are in the picture."""

from pydicom.dataset import Dataset

from qc.image.fundus import find_eye
from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.worst import worst_state

SEVERITY = {"found": 0.0, "no_macula": 1.0, "no_disc": 2.0}


@check(
    "op.landmarks",
    version="1.0.0",
    title=("视盘与黄斑", "Disc and macula"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("OP",),
    needs=("headers", "pictures"),
    source="Radgate: compact bright blob of a disc's size; dark hollow at 1.5 to 4 of its diameters beside it",
    causes={
        "no_disc": Advice(
            "positioning",
            "图中未找到视盘",
            "No optic disc was found",
            "realign",
            "technician",
            "请按方案重新取景后重拍",
            "Frame the picture as the protocol says, and repeat",
            now=True,
        ),
        "no_macula": Advice(
            "positioning",
            "图中未找到黄斑",
            "No macula was found",
            "realign",
            "technician",
            "请按方案重新取景后重拍",
            "Frame the picture as the protocol says, and repeat",
            now=True,
        ),
    },
    states={"found": "PASS", "no_disc": "WARN", "no_macula": "WARN"},
)
def landmarks(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the worst picture."""
    return worst_state(inputs, _state, SEVERITY)


def _state(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    eye = find_eye(picture)
    if eye is None:
        return NotEvaluable("no_region" if picture.is_colour else "unsupported")
    state = "no_disc" if eye.disc is None else "no_macula" if eye.macula is None else "found"
    return Measured(state, "" if state == "found" else state, evidence={"disc_diameter": eye.disc_diameter})
