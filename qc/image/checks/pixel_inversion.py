"""Grey scale turned over: bright air and dark bone."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

MATTER_HU = (-1100.0, 1500.0)
"""In a CT nearly all pixels lie here (air, fat, tissue); bone and metal above are a few per cent."""

MOST_ABOVE = 0.5
"""Turned over at the end of its range, a CT has air above 1500 HU: more than half of its pixels."""


@check(
    "gen.pixel.inversion",
    version="1.1.0",
    title=("灰度反转", "Inverted grey scale"),
    unit="1",
    direction="categorical",
    settles="early",
    by_plane="run",
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="Radgate: share of pixels above 1500 HU; DICOM PS3.3 C.7.6.3.1.2 (Photometric Interpretation)",
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
    },
    states={"upright": "PASS", "inverted": "FAIL"},
)
def inversion(inputs: Inputs) -> Measured | NotEvaluable:
    """Whether CT numbers are where matter has them."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    array = inputs.volume.array
    sample = array[evenly_chosen(len(array), 32), ::4, ::4]
    above = float(np.count_nonzero(sample > MATTER_HU[1])) / sample.size
    state = "inverted" if above > MOST_ABOVE else "upright"
    p_mm = inputs.volume.grid.plane_positions_mm
    return Measured(
        state,
        advice="inverted" if state == "inverted" else "",
        where=(Location("slices", {"p_mm": [float(p_mm[0]), float(p_mm[-1])]}),),
        evidence={"share_above": above, "median": float(np.median(sample))},
    )
