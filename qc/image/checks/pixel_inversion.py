"""Grey scale of a CT turned over, bright air and dark bone, or shifted, as without its intercept."""

from qc.image.inputs import Inputs
from qc.image.pixels import state_of_scale
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location


@check(
    "gen.pixel.inversion",
    version="1.2.0",
    title=("灰度反转", "Inverted grey scale"),
    unit="1",
    direction="categorical",
    settles="early",
    by_plane="run",
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="Radgate: shares of pixels above 700 and 1500 HU; DICOM PS3.3 C.7.6.3.1.2 (Photometric Interpretation)",
    causes={
        "inverted": Advice(
            "transfer",
            "灰度反转：空气比组织亮",
            "The grey scale is turned over: air is brighter than tissue",
            "export_original",
            "IT",
            "请从原设备重新导出，勿使用反转显示后的图像",
            "Export again from the scanner, not from an inverted display",
        ),
        "shifted": Advice(
            "transfer",
            "{dense:.0f}% 的像素高于 700 HU：CT 值整体偏移，可能丢失换算截距",
            "{dense:.0f} % of the pixels lie above 700 HU: the CT numbers are shifted, as without their intercept",
            "export_original",
            "IT",
            "请从原设备重新导出原始序列，并核对 RescaleIntercept",
            "Export the original series again from its scanner, and check RescaleIntercept",
        ),
    },
    states={"upright": "PASS", "inverted": "FAIL", "shifted": "FAIL"},
)
def inversion(inputs: Inputs) -> Measured | NotEvaluable:
    """Whether CT numbers are where matter has them."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    state, evidence = state_of_scale(inputs.volume)
    p_mm = inputs.volume.grid.plane_positions_mm
    return Measured(
        state,
        advice="" if state == "upright" else state,
        where=(Location("slices", {"p_mm": [float(p_mm[0]), float(p_mm[-1])]}),),
        params={"dense": 100 * evidence["share_dense"]},
        evidence=evidence,
    )
