"""Noise of an MR where there is signal: it needs neither air nor a certain tissue, and can nearly always be told."""

import numpy as np
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

OBJECT_SHARE = 0.4
"""Above this share of the median of bright pixels a smoothed pixel belongs to what is shown."""

SECOND_DIFFERENCES = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
"""Blind to slopes in rows and columns (Immerkaer, Computer Vision and Image Understanding 64 (1996) 300-302)."""

GAIN = 6.0
"""Its standard deviation for white noise of 1."""

FEWEST_PIXELS = 500
MOST_PLANES = 24


@check(
    "mr.noise",
    version="1.0.0",
    title=("噪声", "Noise"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.5,
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: robust spread of second differences over the mean signal, where there is signal; median of planes",
    causes={
        "noise": Advice(
            "detector",
            "噪声为信号的 {value:.0f}%，信噪比过低",
            "Noise is {value:.0f} % of the signal",
            "check_coil",
            "technician",
            "请检查线圈的放置与连接、接收增益和协议（层厚、平均次数）后重扫",
            "Check coil, its connection, the gain and the protocol (slice thickness, averages), and repeat",
            now=True,
        ),
    },
)
def noise(inputs: Inputs) -> Measured | NotEvaluable:
    """Standard deviation of white noise, in percent of the mean signal; noise that interpolation smoothed reads low."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    volume = inputs.volume
    planes = evenly_chosen(len(volume.array), MOST_PLANES)
    sample = volume.array[planes].astype(np.float32)
    bright = sample[sample > sample.mean()]
    if not bright.size:
        return NotEvaluable("no_region")
    level = OBJECT_SHARE * float(np.median(bright))
    shares, used = [], []
    for plane, pixels in zip(planes, sample, strict=True):
        inside = ndimage.binary_erosion(ndimage.uniform_filter(pixels, 5) > level, iterations=2)
        if np.count_nonzero(inside) < FEWEST_PIXELS:
            continue
        rest = ndimage.convolve(pixels, SECOND_DIFFERENCES)[inside]
        shares.append(1.4826 * float(np.median(np.abs(rest))) / GAIN / float(pixels[inside].mean()))
        used.append(int(plane))
    if not shares:
        return NotEvaluable("too_few_pixels")
    worst = int(np.argmax(shares))
    p_mm = volume.grid.plane_positions_mm
    return Measured(
        100 * float(np.median(shares)),
        where=(Location("slices", {"p_mm": [float(p_mm[used[worst]])]}),),
        evidence={"planes_used": float(len(used)), "largest": 100 * shares[worst]},
    )
