"""Compression of the breast: force as the header states it."""

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

USUAL_N = 110.0


@check(
    "mg.compression",
    version="1.0.0",
    title=("压迫力", "Compression"),
    unit="N",
    direction="two_sided",
    settles="early",
    modalities=("MG",),
    source="DICOM (0018,11A2) Compression Force, (0018,11A0) Body Part Thickness",
    causes={
        "off": Advice(
            "positioning",
            "压迫力 {value:.0f} N，超出规定范围",
            "Compression of {value:.0f} N is outside of the protocol",
            "compress",
            "technician",
            "请按协议压迫后摄片",
            "Compress as the protocol says",
        ),
    },
)
def compression(inputs: Inputs) -> Measured | NotEvaluable:
    """The force farthest from the usual among the instances."""
    found = [(abs(v[0] - USUAL_N), v[0], n) for n, v in enumerate(inputs.numbers("CompressionForce")) if v and v[0] > 0]
    if not found:
        return NotEvaluable("missing_tag")
    _, value, index = max(found)
    thickness = inputs.number("BodyPartThickness", index)
    evidence = {"instances": float(len(found)), **({} if thickness is None else {"thickness_mm": thickness})}
    return Measured(
        value,
        where=(Location("instances", {"sop_instance_uid": [inputs.text("SOPInstanceUID", index)]}),),
        evidence=evidence,
    )
