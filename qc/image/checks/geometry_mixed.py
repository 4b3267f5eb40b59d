"""What changes inside a series although it should not: geometry, or the technique of the scan."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check

PARALLEL_COSINE = 0.9999
"""Two directions with a smaller cosine (0.8 degrees) are not parallel (specification, 3.1)."""

GEOMETRY = ("PixelSpacing", "Rows", "Columns", "FrameOfReferenceUID")
TECHNIQUE = (
    "KVP",
    "ConvolutionKernel",
    "FilterType",
    "EchoTime",
    "RepetitionTime",
    "FlipAngle",
    "ReconstructionDiameter",
)
NUMERIC_TOLERANCE = 1e-4
"""Relative; the last digits of decimal strings are text noise."""


@check(
    "gen.geometry.mixed",
    version="1.0.0",
    title=("序列内参数不一致", "Mixed series"),
    unit="1",
    direction="categorical",
    settles="early",
    needs=("headers", "stack"),
    source="DICOM PS3.3 A.1.2.3 (one series, one frame of reference); cosine of directions below 0.9999",
    causes={
        "geometry": Advice(
            "protocol",
            "序列内几何参数不一致：{names}",
            "The geometry changes inside the series: {names}",
            "split_series",
            "technician",
            "请按该参数拆分序列后重新发送",
            "Split the series by this attribute and send again",
        ),
        "technique": Advice(
            "protocol",
            "序列内扫描参数不一致：{names}",
            "The technique changes inside the series: {names}",
            "check_protocol",
            "technician",
            "请确认是否混入另一次扫描或重建",
            "Check whether another scan or reconstruction was mixed in",
        ),
    },
    states={"uniform": "PASS", "technique": "WARN", "geometry": "FAIL"},
)
def mixed(inputs: Inputs) -> Measured | NotEvaluable:
    """Names of the attributes that take more than one value, geometry before technique."""
    if not inputs.headers:
        return NotEvaluable("missing_tag")
    geometry = [name for name in GEOMETRY if _values(inputs, name) > 1]
    planes = inputs.planes
    if planes is not None:
        rows, columns = planes.orientation[:, :3], planes.orientation[:, 3:]
        cosine = float(min((rows @ rows[0]).min(), (columns @ columns[0]).min()))
        if cosine < PARALLEL_COSINE:
            geometry.insert(0, "ImageOrientationPatient")
    technique = [name for name in TECHNIQUE if _values(inputs, name) > 1]
    evidence: dict[str, float | str] = {name: float(_values(inputs, name)) for name in (*GEOMETRY, *TECHNIQUE)}
    state = "geometry" if geometry else "technique" if technique else "uniform"
    names = ", ".join((geometry or technique)[:3])
    return Measured(state, advice="" if state == "uniform" else state, params={"names": names}, evidence=evidence)


def _values(inputs: Inputs, keyword: str) -> int:
    """How many different values an attribute takes; numbers that differ by rounding only count as one."""
    numbers = inputs.numbers(keyword)
    if all(numbers) and len({len(n) for n in numbers}) == 1:
        table = np.array(numbers)
        spread = np.abs(table - table[0]) > NUMERIC_TOLERANCE * np.maximum(np.abs(table[0]), 1e-9)
        return 1 if not spread.any() else len(np.unique(table.round(6), axis=0))
    return len(set(inputs.texts(keyword)))
