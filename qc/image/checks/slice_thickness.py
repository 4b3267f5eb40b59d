"""Slice thickness."""

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "gen.slice.thickness",
    version="1.0.0",
    title=("层厚", "Slice thickness"),
    unit="mm",
    direction="two_sided",
    settles="early",
    uncertainty=0.01,
    modalities=("CT", "MR", "PT", "NM"),
    needs=("headers", "stack"),
    source="DICOM PS3.3 C.7.6.2 (Slice Thickness)",
    causes={
        "thickness": Advice(
            "protocol",
            "层厚 {value:.1f} mm 不在协议范围内",
            "The slice thickness of {value:.1f} mm is outside the protocol",
            "reconstruct_thickness",
            "technician",
            "请按协议层厚重新重建后发送",
            "Reconstruct with the protocol's thickness and send again",
        )
    },
)
def slice_thickness(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest thickness that a header states."""
    stated = [t[0] for t in inputs.numbers("SliceThickness") if t and t[0] > 0]
    if not stated:
        return NotEvaluable("missing_tag")
    return Measured(max(stated), evidence={"smallest_mm": min(stated), "largest_mm": max(stated)})
