"""Electrocardiograms of twelve leads from a turning dipole, with defects of known severity."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from qc.image.inputs import Inputs
from qc.image.waveform import TWELVE_LEADS, Waveform
from tests.qc.bodies import edited, header_inputs

__all__ = ["RATE_HZ", "recording"]

RATE_HZ = 400.0
SECONDS = 10.0

WAVES = (
    (-0.17, 0.025, 0.13, 0.07),
    (-0.025, 0.010, -0.12, -0.1),
    (0.0, 0.011, 1.15, 0.75),
    (0.03, 0.010, -0.22, -0.2),
    (0.24, 0.05, 0.32, 0.18),
)
"""P, Q, R, S, T: time from R and width in s, height in lead II and in lead I in mV."""

CHEST_GAIN = (-0.6, -0.3, 0.3, 0.9, 1.1, 0.9)


def recording(
    seed: int = 1,
    muscle_mv: float = 0.0,
    mains_percent: float = 0.0,
    drift_mv: float = 0.0,
    off_s: float = 0.0,
    rail_mv: float = 0.0,
    swapped: bool = False,
    drop: int = 0,
    wrong_gain: float = 1.0,
    seconds: float = SECONDS,
) -> Inputs:
    """Twelve leads; noise and mains are the same share in all of them."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    one, two = np.zeros_like(t), np.zeros_like(t)
    for beat in np.arange(0.4, seconds, 0.83):
        for offset, width, height_two, height_one in WAVES:
            shape = np.exp(-(((t - beat - offset) / width) ** 2) / 2)
            two += height_two * shape
            one += height_one * shape
    if swapped:
        one, two = -one, two - one
    leads = limb_leads(one, two) + [gain * two for gain in CHEST_GAIN]
    values = np.array(leads)
    if muscle_mv:
        b, a = signal.butter(2, [15 / (RATE_HZ / 2), 60 / (RATE_HZ / 2)], "band")
        noise = signal.lfilter(b, a, rng.normal(0, 1, (2, len(t))), axis=1)
        noise = noise / noise.std() * muscle_mv
        values[:6] += np.array(limb_leads(noise[0], noise[1]))
        extra = signal.lfilter(b, a, rng.normal(0, 1, (6, len(t))), axis=1)
        values[6:] += extra / extra.std() * muscle_mv
    if mains_percent:
        hum = np.sin(2 * np.pi * 50 * t)
        share = np.sqrt(2 * mains_percent / max(1e-6, 100 - mains_percent))
        values[6:] += share * values[6:].std(axis=1)[:, None] * hum
    if drift_mv:
        slow = drift_mv * np.sin(2 * np.pi * 0.23 * t + seed)
        values[:6] += np.array(limb_leads(slow, 1.3 * slow))
        values[6:] += slow
    values[:6] += np.array(limb_leads(*rng.normal(0, 0.004, (2, len(t)))))
    values[6:] += rng.normal(0, 0.004, (6, len(t)))
    if off_s:
        start = round(2.2 * RATE_HZ)
        values[8, start : start + round(off_s * RATE_HZ)] = 0.11
    if rail_mv:
        values[9] = np.clip(values[9], -rail_mv, rail_mv)
    values[2] *= wrong_gain
    count = 12 - drop
    waveform = Waveform(values[:count], RATE_HZ, TWELVE_LEADS[:count])
    removed = {"ImagePositionPatient": None, "SliceThickness": None, "PatientPosition": None}
    headers = edited(header_inputs(planes=1), Modality="ECG", **removed).headers
    return replace(Inputs(headers), waveform=waveform)


def limb_leads(one: NDArray[np.float64], two: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """I, II, III, aVR, aVL, aVF of the first two."""
    return [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
