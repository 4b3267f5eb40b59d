"""Heart beats in an electrocardiogram, and power in bands of its spectrum."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from qc.image.inputs import Inputs
from qc.image.registry import Measured, NotEvaluable
from qc.image.result import Location

__all__ = ["SHORTEST_S", "band_power", "beat_times", "usable_rows", "worst_lead"]

SHORTEST_S = 4.0
"""A recording shorter than this holds too few beats to be judged."""

QRS_HZ = (5.0, 15.0)
REFRACTORY_S = 0.3
WINDOW_S = 0.12


def beat_times(values: NDArray[np.float64], rate_hz: float) -> NDArray[np.intp]:
    """Samples of the R peaks: energy from 5 to 15 Hz in windows of 120 ms, peaks above a third of the usual."""
    if values.size < 2 * rate_hz:
        return np.empty(0, dtype=np.intp)
    b, a = signal.butter(2, [f / (rate_hz / 2) for f in QRS_HZ], "band")
    energy = np.square(signal.filtfilt(b, a, values))
    width = max(1, round(WINDOW_S * rate_hz))
    smooth = np.convolve(energy, np.ones(width) / width, "same")
    peaks, _ = signal.find_peaks(smooth, distance=max(1, round(REFRACTORY_S * rate_hz)))
    if not len(peaks):
        return peaks
    usual = float(np.percentile(smooth[peaks], 75))
    return peaks[smooth[peaks] > usual / 3]


def band_power(values: NDArray[np.float64], rate_hz: float, low_hz: float, high_hz: float) -> float:
    """Power between two frequencies (Welch, segments of 4 s)."""
    frequencies, power = signal.welch(values - values.mean(), rate_hz, nperseg=min(values.size, round(4 * rate_hz)))
    held = (frequencies >= low_hz) & (frequencies <= high_hz)
    return float(power[held].sum())


def usable_rows(values: NDArray[np.float64]) -> list[int]:
    """Indices of the channels that are not flat from end to end."""
    return [n for n, row in enumerate(values) if float(np.ptp(row)) > 0]


def worst_lead(
    inputs: Inputs, value: Callable[[NDArray[np.float64], float], float], *, is_worst: Callable[..., int]
) -> Measured | NotEvaluable:
    """The lead with the lowest (`min`) or highest (`max`) value, and the median of all.

    `value` takes one lead in mV and its rate in Hz.
    """
    waveform = inputs.waveform
    if waveform is None:
        return NotEvaluable("no_volume")
    rows = usable_rows(waveform.values_mv)
    if not rows or waveform.seconds < SHORTEST_S:
        return NotEvaluable("too_few_pixels", {"seconds": waveform.seconds})
    each = {n: value(waveform.values_mv[n], waveform.rate_hz) for n in rows}
    worst = is_worst(sorted(each), key=each.__getitem__)
    lead = waveform.leads[worst]
    return Measured(
        each[worst],
        where=(Location("time", {"leads": [lead]}),),
        params={"lead": lead},
        evidence={"lead": lead, "median": float(np.median(list(each.values())))},
    )
