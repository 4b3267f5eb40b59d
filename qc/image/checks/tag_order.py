"""Whether the series is what was ordered: patient, accession, body part, side."""

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

IDENTITY = ("PatientID", "AccessionNumber", "PatientSex", "PatientBirthDate")


@check(
    "gen.tag.order",
    version="1.0.0",
    title=("与申请单一致", "As ordered"),
    unit="1",
    direction="categorical",
    settles="early",
    needs=("headers", "order"),
    source="Radgate: equality of the attributes that the order gives",
    causes={
        "patient": Advice(
            "labelling",
            "与申请单的患者信息不符：{names}",
            "The patient differs from the order: {names}",
            "verify_patient",
            "technician",
            "请立即核对患者身份，确认前勿使用该图像",
            "Verify the patient's identity at once; do not use the images before",
            now=True,
        ),
        "examination": Advice(
            "labelling",
            "与申请单的检查项目不符：{names}",
            "The examination differs from the order: {names}",
            "verify_order",
            "technician",
            "请核对申请单的部位和侧别",
            "Compare body part and side with the order",
            now=True,
        ),
    },
    states={"as_ordered": "PASS", "examination": "WARN", "patient": "FAIL"},
)
def order(inputs: Inputs) -> Measured | NotEvaluable:
    """Which attributes differ from the order; those that the header leaves empty are not compared."""
    differing = [name for name, wanted in sorted(inputs.order.items()) if {*inputs.texts(name)} - {"", wanted.strip()}]
    compared = [name for name in inputs.order if any(inputs.texts(name))]
    if not compared:
        return NotEvaluable("missing_tag")
    identity = [name for name in differing if name in IDENTITY]
    state = "patient" if identity else "examination" if differing else "as_ordered"
    names = ", ".join((identity or differing)[:3])
    evidence: dict[str, float | str] = {"compared": float(len(compared)), "differing": float(len(differing))}
    return Measured(state, "" if state == "as_ordered" else state, params={"names": names}, evidence=evidence)
