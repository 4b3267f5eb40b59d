"""Pixels at the end of the stored range: values beyond it are lost."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

MOST_PLANES = 100
PROJECTIONS = frozenset({"CR", "DX", "MG", "XA", "RF"})
"""Images in which black and white both mean lost detail."""


@check(
    "gen.pixel.clipped",
    version="1.0.0",
    title=("像素饱和", "Clipped pixels"),
    unit="%",
    direction="higher_worse",
    settles="early",
    by_plane="median",
    needs=("headers", "pixels", "stack"),
    source="Radgate: share of pixels at or beyond the end of the range that BitsStored allows",
    causes={
        "clipped": Advice(
            "metal",
            "{value:.2f}% 的像素达到存储上限，可能有金属或窗位截断",
            "{value:.2f} % of the pixels are at the end of the stored range: metal, or values cut off",
            "extended_scale",
            "technician",
            "请以扩展 CT 值范围重新重建；剂量计算前请核对",
            "Reconstruct with the extended scale; check before calculating dose",
        ),
        "range": Advice(
            "reconstruction",
            "{value:.2f}% 的像素达到存储上限或下限",
            "{value:.2f} % of the pixels are at an end of the stored range",
            "rescale",
            "technician",
            "请检查重建的灰度范围后重新发送",
            "Check the grey-scale range of the reconstruction and send again",
        ),
    },
)
def clipped(inputs: Inputs) -> Measured | NotEvaluable:
    """Share in per cent, on at most 100 planes; of slices only the top counts, because zero is their background."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    bits, sign = inputs.number("BitsStored"), inputs.number("PixelRepresentation")
    if bits is None or sign is None or len(inputs.headers) != len(inputs.volume.array):
        return NotEvaluable("missing_tag")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if sign else (0.0, 2**bits - 1)
    slopes = [v[0] if v else 1.0 for v in inputs.numbers("RescaleSlope")]
    intercepts = [v[0] if v else 0.0 for v in inputs.numbers("RescaleIntercept")]
    chosen = evenly_chosen(len(inputs.volume.array), MOST_PLANES)
    both_ends = inputs.modality in PROJECTIONS
    shares = []
    order = np.arange(len(inputs.headers)) if inputs.planes is None else inputs.planes.order
    for plane in chosen:
        pixels, header = inputs.volume.array[plane], order[plane]
        top = high * slopes[header] + intercepts[header]
        bottom = low * slopes[header] + intercepts[header]
        count = np.count_nonzero(pixels >= top) + (np.count_nonzero(pixels <= bottom) if both_ends else 0)
        shares.append(count / pixels.size)
    value = float(np.mean(shares)) * 100
    hit = [float(inputs.volume.grid.plane_positions_mm[k]) for k, s in zip(chosen, shares, strict=True) if s > 0]
    return Measured(
        value,
        advice="clipped" if inputs.modality == "CT" else "range",
        where=(Location("slices", {"p_mm": hit[:200]}),) if hit else (),
        evidence={
            "stored_top": float(high),
            "planes_used": float(len(chosen)),
            "largest_share": float(np.max(shares)) * 100,
        },
    )
