"""Spikes in k-space of an MR: stripes over the whole image."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qc.image.inputs import Inputs
from qc.image.pixels import evenly_chosen
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

INNERMOST = 0.25
"""Share of the largest frequency below which the object itself makes peaks."""

AXIS_LINES = 4
"""Lines beside the axes of k-space that hold the object's straight edges and the cut of the field."""

MOST_PLANES = 12


@check(
    "mr.spike",
    version="1.0.0",
    title=("k 空间尖峰", "Spikes in k-space"),
    unit="1",
    direction="higher_worse",
    settles="early",
    uncertainty=0.5,
    modalities=("MR",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: largest deviation of the spectrum from that of its distance from the centre, in robust units",
    causes={
        "spike": Advice(
            "detector",
            "k 空间有尖峰（{value:.0f} 倍离散），图像有条纹",
            "A spike in k-space ({value:.0f} robust units): stripes over the image",
            "find_sparks",
            "service",
            "请检查扫描间松动金属和静电源，重扫；反复出现请报修",
            "Look for loose metal and static in the room and repeat; call service if it returns",
            now=True,
        ),
    },
)
def spike(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest over the planes."""
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    if min(inputs.volume.array.shape[1:]) < 48:
        return NotEvaluable("too_few_pixels")
    values, planes = [], []
    for plane in evenly_chosen(len(inputs.volume.array), MOST_PLANES):
        pixels = inputs.volume.array[plane].astype(np.float32)
        if not np.ptp(pixels):
            continue
        values.append(_largest(pixels))
        planes.append(int(plane))
    if not values:
        return NotEvaluable("no_region")
    worst = int(np.argmax(values))
    p_mm = inputs.volume.grid.plane_positions_mm
    where = (Location("slices", {"p_mm": [float(p_mm[planes[worst]])]}),)
    return Measured(
        values[worst], where=where, evidence={"planes_used": float(len(values)), "median": float(np.median(values))}
    )


def _largest(pixels: NDArray[np.float32]) -> float:
    window = np.hanning(pixels.shape[0])[:, None] * np.hanning(pixels.shape[1])[None, :]
    spectrum = np.log(np.abs(np.fft.fftshift(np.fft.fft2((pixels - pixels.mean()) * window))) + 1e-6)
    y, x = (np.abs(np.arange(n) - n // 2) / (n / 2) for n in pixels.shape)
    radius = np.hypot(y[:, None], x[None, :])
    ring = np.minimum((radius * 40).astype(np.intp), 60)
    rows, columns = pixels.shape
    usable = radius > INNERMOST
    usable[rows // 2 - AXIS_LINES : rows // 2 + AXIS_LINES + 1] = False
    usable[:, columns // 2 - AXIS_LINES : columns // 2 + AXIS_LINES + 1] = False
    medians = ndimage.median(spectrum, ring, index=np.arange(61))
    rest = spectrum - np.nan_to_num(medians)[ring]
    spread = 1.4826 * float(np.median(np.abs(rest[usable])))
    return float(rest[usable].max()) / spread if spread > 0 else 0.0
