"""Rescale slope and intercept: without them stored numbers are no physical values."""

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "gen.pixel.rescale",
    version="1.0.0",
    title=("像素值换算", "Rescale of pixel values"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("CT", "PT"),
    source="DICOM PS3.3 C.8.2.1 (CT: Rescale required), C.8.9.4 (PET: one slope per slice)",
    causes={
        "absent": Advice(
            "transfer",
            "缺少 {keyword}，像素值无法换算",
            "{keyword} is missing: pixel values have no scale",
            "export_original",
            "IT",
            "请从原设备重新导出原始序列",
            "Export the original series again from its scanner",
        ),
        "zero": Advice(
            "transfer",
            "RescaleSlope 为零，像素值无意义",
            "RescaleSlope is zero: pixel values mean nothing",
            "export_original",
            "IT",
            "请从原设备重新导出原始序列",
            "Export the original series again from its scanner",
        ),
        "varying": Advice(
            "reconstruction",
            "CT 各层换算系数不同",
            "The rescale differs from slice to slice of a CT",
            "check_protocol",
            "physicist",
            "请核对是否混入其他重建；使用 CT 值前请确认",
            "Check whether another reconstruction was mixed in before using the CT numbers",
        ),
    },
    states={"ok": "PASS", "absent": "FAIL", "zero": "FAIL", "varying": "WARN"},
)
def rescale(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the rescale attributes; differing slopes are the rule in PET and unusual in CT."""
    if not inputs.headers:
        return NotEvaluable("missing_tag")
    slopes, intercepts = inputs.numbers("RescaleSlope"), inputs.numbers("RescaleIntercept")
    for keyword, found in (("RescaleSlope", slopes), ("RescaleIntercept", intercepts)):
        lacking = sum(not f for f in found)
        if lacking:
            return Measured("absent", "absent", params={"keyword": keyword}, evidence={"instances": float(lacking)})
    zero = sum(s[0] == 0 for s in slopes)
    if zero:
        return Measured("zero", "zero", evidence={"instances": float(zero)})
    pairs = len({(s[0], i[0]) for s, i in zip(slopes, intercepts, strict=True)})
    state = "varying" if pairs > 1 and inputs.modality == "CT" else "ok"
    evidence: dict[str, float | str] = {"pairs": float(pairs), "slope": slopes[0][0], "intercept": intercepts[0][0]}
    return Measured(state, "" if state == "ok" else state, evidence=evidence)
