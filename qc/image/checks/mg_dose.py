"""Mean glandular dose of a mammogram as the header states it."""

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

MILLIGRAY_PER_DECIGRAY = 100.0


@check(
    "mg.dose",
    version="1.0.0",
    title=("平均腺体剂量", "Mean glandular dose"),
    unit="mGy",
    direction="higher_worse",
    settles="early",
    modalities=("MG",),
    source="DICOM (0040,0316) Organ Dose, in dGy",
    causes={
        "high": Advice(
            "exposure_high",
            "腺体剂量 {value:.1f} mGy，超过本机构限值",
            "A glandular dose of {value:.1f} mGy is above the limit of the site",
            "check_dose",
            "physicist",
            "请核对压迫厚度和自动曝光控制",
            "Check thickness and automatic exposure control",
        ),
    },
)
def dose(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest of the instances, mGy."""
    found = [(v[0] * MILLIGRAY_PER_DECIGRAY, n) for n, v in enumerate(inputs.numbers("OrganDose")) if v and v[0] > 0]
    if not found:
        return NotEvaluable("missing_tag")
    value, index = max(found)
    where = (Location("instances", {"sop_instance_uid": [inputs.text("SOPInstanceUID", index)]}),)
    return Measured(value, where=where, evidence={"instances": float(len(found))})
