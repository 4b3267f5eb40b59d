"""Simple numbers of every plane of a volume, computed once for all checks that need them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.volume import Volume

__all__ = ["PlaneStatistics", "evenly_chosen", "plane_statistics", "state_of_scale"]

SIGNAL_HU = -500.0
"""In CT, more than this is matter and not air."""

SIGNAL_SHARE_OF_TOP = 0.05
"""In other modalities, more than this share of the series' 99.9th percentile (above its minimum) is signal."""

DENSE_HU = 700.0
"""Of a CT a few per cent are denser: compact bone and metal."""

TOP_HU = 1500.0
MOST_DENSE, MOST_AT_TOP = 0.08, 0.5
"""Shares of pixels above them that no patient has who is shown with air."""

AIRY_HU = (-900.0, -200.0)
"""Lung, and the partial volumes between air and skin; padding lies below."""

LEAST_AIRY = 0.001

IN_PLANE_STEP = 4
"""Every fourth row and column is enough to see whether a plane holds anything."""


@dataclass(frozen=True, eq=False)
class PlaneStatistics:
    """Per plane: smallest and largest value, and the share of pixels that hold signal."""

    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    signal_share: NDArray[np.float64]
    signal_level: float


def plane_statistics(volume: Volume, modality: str) -> PlaneStatistics:
    """Statistics of every plane; the share of signal is taken on every fourth row and column."""
    array = volume.array
    thin = array[:, ::IN_PLANE_STEP, ::IN_PLANE_STEP]
    if modality == "CT":
        level = SIGNAL_HU
    else:
        sample = thin[evenly_chosen(len(thin), 64)]
        low, top = float(sample.min()), float(np.percentile(sample, 99.9))
        level = low + SIGNAL_SHARE_OF_TOP * (top - low)
    return PlaneStatistics(
        lowest=np.array([float(p.min()) for p in array]),
        highest=np.array([float(p.max()) for p in array]),
        signal_share=np.array([float(np.count_nonzero(p > level)) / p.size for p in thin]),
        signal_level=level,
    )


def evenly_chosen(count: int, at_most: int) -> NDArray[np.intp]:
    """Indices of at most so many of `count` things, evenly spread; all where there are no more."""
    if count <= at_most:
        return np.arange(count)
    return np.unique(np.round(np.linspace(0, count - 1, at_most)).astype(np.intp))


def state_of_scale(volume: Volume) -> tuple[str, dict[str, float]]:
    """Whether the numbers of a CT are where matter has them: upright, inverted or shifted; and the shares that say so.

    Turned over, air is bright up to the border. Without its intercept, tissue lies at 1000 HU and nothing is left
    between air and water.
    """
    sample = volume.array[evenly_chosen(len(volume.array), 32), ::IN_PLANE_STEP, ::IN_PLANE_STEP]
    at_top = float(np.count_nonzero(sample > TOP_HU)) / sample.size
    dense = float(np.count_nonzero(sample > DENSE_HU)) / sample.size
    airy = float(np.count_nonzero((sample > AIRY_HU[0]) & (sample < AIRY_HU[1]))) / sample.size
    sides = (sample[:, 0], sample[:, -1], sample[:, :, 0], sample[:, :, -1])
    border = float(np.median(np.concatenate([side.ravel() for side in sides])))
    evidence = {"share_above": at_top, "share_dense": dense, "share_airy": airy, "border": border}
    if at_top > MOST_AT_TOP or (dense > MOST_DENSE and border > DENSE_HU):
        return "inverted", evidence
    return "shifted" if dense > MOST_DENSE and airy < LEAST_AIRY else "upright", evidence
