"""The set of MR sequences: all that were ordered are there."""

from qc.image.inputs import Inputs, number_of, text_of
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "mr.set",
    version="1.0.0",
    title=("序列完整性", "Set of sequences"),
    unit="1",
    direction="categorical",
    settles="final",
    modalities=("MR",),
    needs=("headers", "siblings", "order"),
    source="Specification of image quality, 3.3",
    causes={
        "missing_sequence": Advice(
            "protocol",
            "缺少序列：{missing}",
            "Sequences are missing: {missing}",
            "scan_rest",
            "technician",
            "请在患者离开前补扫缺少的序列",
            "Scan the missing sequences before the patient leaves",
            now=True,
        ),
        "missing_b": Advice(
            "protocol",
            "扩散序列缺少 b 值：{missing}",
            "The diffusion series lacks b-values: {missing}",
            "scan_rest",
            "technician",
            "请补扫缺少的 b 值",
            "Scan the missing b-values",
            now=True,
        ),
    },
    states={"complete": "PASS", "missing_sequence": "FAIL", "missing_b": "FAIL"},
)
def sequences(inputs: Inputs) -> Measured | NotEvaluable:
    """State against the order (`Sequences` and `BValues`, words with commas between them)."""
    wanted = [w.strip() for w in inputs.order.get("Sequences", "").split(",") if w.strip()]
    wanted_b = {float(b) for b in inputs.order.get("BValues", "").split(",") if b.strip().isdigit()}
    if not inputs.headers or not (wanted or wanted_b):
        return NotEvaluable("missing_tag")
    all_headers = (*inputs.headers, *inputs.siblings)
    names = " ".join(f"{text_of(h, 'SeriesDescription')} {text_of(h, 'ProtocolName')}" for h in all_headers).casefold()
    missing = [w for w in wanted if w.casefold() not in names]
    evidence = {"series": float(1 + len(inputs.siblings)), "ordered": float(len(wanted))}
    if missing:
        return Measured(
            "missing_sequence", "missing_sequence", params={"missing": ", ".join(missing)}, evidence=evidence
        )
    there = {value for h in all_headers if (value := number_of(h, "DiffusionBValue")) is not None}
    lacking = sorted(wanted_b - there)
    if lacking:
        return Measured(
            "missing_b", "missing_b", params={"missing": ", ".join(f"{b:g}" for b in lacking)}, evidence=evidence
        )
    return Measured("complete", evidence=evidence)
