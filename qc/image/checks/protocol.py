"""Whether attributes say what the protocol expects."""

import re

from qc.image.inputs import Expected, Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "gen.protocol",
    version="1.0.0",
    title=("扫描协议", "Scan protocol"),
    unit="1",
    direction="higher_worse",
    settles="early",
    needs=("headers", "expect"),
    source="The profile's table `expect`",
    causes={
        "deviates": Advice(
            "protocol",
            "{value:.0f} 项参数与协议不符：{names}",
            "{value:.0f} attributes deviate from the protocol: {names}",
            "check_protocol",
            "technician",
            "请核对扫描协议；必要时按协议重扫或重建",
            "Check the protocol; if needed scan or reconstruct again",
            now=True,
        )
    },
)
def protocol(inputs: Inputs) -> Measured | NotEvaluable:
    """How many attributes deviate in any instance; an absent one is not counted as deviating."""
    present = {k: e for k, e in inputs.expect.items() if any(inputs.texts(k))}
    if not present:
        return NotEvaluable("missing_tag", {"expected": float(len(inputs.expect))})
    wrong = [
        k for k, e in sorted(present.items()) if not all(_fits(inputs, k, n, e) for n in range(len(inputs.headers)))
    ]
    evidence: dict[str, float | str] = {
        "expected": float(len(inputs.expect)),
        "present": float(len(present)),
        "wrong": ", ".join(wrong),
    }
    return Measured(float(len(wrong)), params={"names": ", ".join(wrong[:3])}, evidence=evidence)


def _fits(inputs: Inputs, keyword: str, header: int, expected: Expected) -> bool:
    text, number = inputs.text(keyword, header), inputs.number(keyword, header)
    if not text:
        return True
    if expected.range is not None:
        return number is not None and expected.range[0] <= number <= expected.range[1]
    if expected.regex:
        return re.search(expected.regex, text) is not None
    return text in {str(v) for v in expected.values} or number in {v for v in expected.values if not isinstance(v, str)}
