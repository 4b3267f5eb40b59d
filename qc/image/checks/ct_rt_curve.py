"""The tube voltage of a planning CT has a density curve."""

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "ct.rt.curve",
    version="1.0.0",
    title=("密度曲线", "Density curve"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("CT",),
    needs=("headers", "expect"),
    source="Specification of image quality, 2.1: kVp in the list of HU-density curves (expect.KVP of the profile)",
    causes={
        "not_listed": Advice(
            "protocol",
            "管电压 {kvp:.0f} kV 没有 CT 值-密度曲线",
            "There is no density curve for {kvp:.0f} kV",
            "rescan_protocol",
            "physicist",
            "请按定位协议重扫，或先测定该电压的密度曲线",
            "Repeat with the planning protocol, or measure a curve for this voltage first",
            now=True,
        ),
        "several": Advice(
            "protocol",
            "序列内管电压不同（含 {kvp:.0f} kV）",
            "The tube voltage changes within the series (one is {kvp:.0f} kV)",
            "split_series",
            "technician",
            "请重新导出单一电压的序列",
            "Export a series of one voltage",
        ),
    },
    states={"listed": "PASS", "not_listed": "FAIL", "several": "FAIL"},
)
def curve(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the tube voltage against the list of the profile."""
    expected = inputs.expect.get("KVP")
    stated = sorted({v[0] for v in inputs.numbers("KVP") if v})
    if expected is None or not expected.values or not stated:
        return NotEvaluable("missing_tag")
    listed = [float(v) for v in expected.values]
    evidence: dict[str, float | str] = {"kvp": stated[0], "curves": float(len(listed))}
    if len(stated) > 1:
        return Measured("several", "several", params={"kvp": stated[-1]}, evidence=evidence)
    if stated[0] not in listed:
        return Measured("not_listed", "not_listed", params={"kvp": stated[0]}, evidence=evidence)
    return Measured("listed", evidence=evidence)
