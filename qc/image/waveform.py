"""A recorded signal, such as a 12-lead electrocardiogram."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIMB_LEADS", "TWELVE_LEADS", "Waveform"]

LIMB_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF")
TWELVE_LEADS = (*LIMB_LEADS, "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True, eq=False)
class Waveform:
    """Channels of one length and one rate.

    Parameters
    ----------
    values_mv
        Shape (channels, samples), millivolt.
    rate_hz
        Samples per second.
    leads
        Name of each channel: I, II, III, aVR, aVL, aVF, V1 to V6, or as the device calls it.
    lowest_mv, highest_mv
        Ends of the stored range; None where they are unknown.
    """

    values_mv: NDArray[np.float64]
    rate_hz: float
    leads: tuple[str, ...]
    lowest_mv: float | None = None
    highest_mv: float | None = None

    def lead(self, name: str) -> NDArray[np.float64] | None:
        """One channel, or None where it was not recorded."""
        return self.values_mv[self.leads.index(name)] if name in self.leads else None

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.values_mv.shape[1] / self.rate_hz
