"""Planes that hold nothing."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

SIGNAL_SHARE = 0.01
"""A plane with less than 1 % of its pixels above the background is empty (specification, 3.1)."""


@check(
    "gen.pixel.empty",
    version="1.0.0",
    title=("空白层面", "Empty slices"),
    unit="{slices}",
    direction="higher_worse",
    settles="early",
    needs=("headers", "pixels", "stack"),
    source="Radgate: constant planes, and planes with less than 1 % signal between planes with signal",
    causes={
        "empty": Advice(
            "transfer",
            "{value:.0f} 个层面没有图像内容",
            "{value:.0f} slices hold no image",
            "resend_slices",
            "technician",
            "请在设备上核对这些层面并重新发送",
            "Look at these slices on the scanner and send them again",
        )
    },
)
def empty(inputs: Inputs) -> Measured | NotEvaluable:
    """Number of empty planes.

    A plane without signal is empty between planes with signal, and everywhere where no plane has any; beyond the ends
    of the body it is only air, and evidence. A constant plane of a CT is empty there too, because a scanner's air is
    never without noise; other modalities write zeros beyond the ends.
    """
    statistics = inputs.plane_statistics
    if statistics is None or inputs.volume is None:
        return NotEvaluable("no_volume")
    constant = statistics.lowest == statistics.highest
    without = statistics.signal_share < SIGNAL_SHARE
    with_signal = np.flatnonzero(~without)
    inner = np.zeros_like(without)
    if len(with_signal):
        inner[with_signal[0] : with_signal[-1] + 1] = True
    else:
        inner[:] = True
    bad = np.flatnonzero((constant | without) & inner | constant & (inputs.modality == "CT"))
    p_mm = inputs.volume.grid.plane_positions_mm
    return Measured(
        float(len(bad)),
        where=(Location("slices", {"p_mm": [float(p) for p in p_mm[bad][:200]]}),) if len(bad) else (),
        evidence={
            "constant": float(constant.sum()),
            "air_at_ends": float((without & ~inner).sum()),
            "signal_level": statistics.signal_level,
        },
    )
