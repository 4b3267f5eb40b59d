"""PatientPosition: present, legal, and in agreement with the orientation of the slices."""

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

CODES = frozenset({
    "HFP", "HFS", "HFDR", "HFDL", "FFDR", "FFDL", "FFP", "FFS",
    "LFP", "LFS", "RFP", "RFS", "AFDR", "AFDL", "PFDR", "PFDL",
})  # fmt: skip
"""DICOM PS3.3 C.7.3.1.1.2."""

AXIAL_COSINE = 0.9
"""Only slices whose columns run close to front-back (within 26 degrees) say how the patient lay."""


@check(
    "gen.tag.position",
    version="1.0.0",
    title=("患者体位标签", "Patient position tag"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("CT", "MR", "PT"),
    source="DICOM PS3.3 C.7.3.1.1.2 (Patient Position), C.7.6.2.1.1",
    causes={
        "absent": Advice(
            "labelling",
            "缺少患者体位（0018,5100）",
            "PatientPosition (0018,5100) is missing",
            "set_position",
            "technician",
            "请在设备上登记体位后重新发送",
            "Enter the position at the scanner and send again",
        ),
        "unknown_code": Advice(
            "labelling",
            "患者体位（0018,5100）不是标准代码",
            "PatientPosition (0018,5100) is no standard code",
            "set_position",
            "technician",
            "请在设备上更正体位后重新发送",
            "Correct the position at the scanner and send again",
        ),
        "disagrees": Advice(
            "labelling",
            "体位标签 {code} 与图像方向不符",
            "The position {code} disagrees with the orientation of the slices",
            "verify_side",
            "technician",
            "请核对患者左右及前后方向后再使用",
            "Verify left, right, front and back before use",
            now=True,
        ),
    },
    states={"consistent": "PASS", "absent": "WARN", "unknown_code": "WARN", "disagrees": "WARN"},
)
def position(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the tag.

    A scanner writes rows from top to bottom of the gantry: towards the back of a patient on the back, towards the
    front of a patient on the belly. Software may turn pictures, so a disagreement is a question, not a proof.
    """
    if not inputs.headers:
        return NotEvaluable("missing_tag")
    codes = {c.upper() for c in inputs.texts("PatientPosition")}
    if codes == {""}:
        # PET states the same in code sequences of its own (C.8.9.5).
        coded = inputs.modality == "PT" and "PatientGantryRelationshipCodeSequence" in inputs.headers[0]
        return Measured("consistent") if coded else Measured("absent", "absent")
    code = sorted(codes)[-1]
    if len(codes) > 1 or code not in CODES:
        return Measured("unknown_code", "unknown_code", evidence={"codes": float(len(codes))})
    planes = inputs.planes
    if planes is None:
        return NotEvaluable("missing_tag")
    downwards = float(planes.orientation[0, 4])
    evidence: dict[str, float | str] = {"code": code, "column_direction_y": downwards}
    supine, prone = code in {"HFS", "FFS"}, code in {"HFP", "FFP"}
    if (supine and downwards < -AXIAL_COSINE) or (prone and downwards > AXIAL_COSINE):
        return Measured("disagrees", "disagrees", params={"code": code}, evidence=evidence)
    return Measured("consistent", evidence=evidence)
