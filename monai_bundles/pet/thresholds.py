"""Which SUV counts as a lesion's: fixed limits, a share of each lesion's maximum, or PERCIST's limit from the liver."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["METHODS", "Method", "delineated", "percist_limit"]

Method = Literal["fixed_2.5", "fixed_4.0", "share_41", "percist"]

METHODS: tuple[Method, ...] = ("fixed_2.5", "fixed_4.0", "share_41", "percist")

SHARE = 0.41
"""Of the maximum (Boellaard et al., Eur J Nucl Med Mol Imaging 2015;42:328)."""

SEED_SUV = 2.5
"""A share of the maximum outlines something, but does not find it: what never reaches this is not outlined."""

FIXED = {"fixed_2.5": 2.5, "fixed_4.0": 4.0}

STEPS = ndimage.generate_binary_structure(3, 1)


def percist_limit(liver_mean: float, liver_sd: float) -> float:
    """Least SUV of a measurable lesion: 1.5 times the liver's mean and 2 standard deviations.

    References
    ----------
    Wahl et al., J Nucl Med 2009;50 suppl 1:122S.
    """
    return 1.5 * liver_mean + 2.0 * liver_sd


def delineated(
    suv: NDArray[np.float32], method: Method, liver: tuple[float, float] | None
) -> tuple[NDArray[np.int32], int]:
    """Components (labels from 1, their number) of what a method counts as a lesion.

    Parameters
    ----------
    suv
        SUVbw, shape (Z, Y, X).
    method
        One of `METHODS`; "percist" needs the liver.
    liver
        Mean and standard deviation of its SUV.

    Raises
    ------
    ValueError
        "percist" without a liver.
    """
    if method == "percist":
        if liver is None:
            raise ValueError("PERCIST's limit needs the liver")
        labels, count = ndimage.label(suv >= percist_limit(*liver), STEPS)
        return labels, count
    if method != "share_41":
        labels, count = ndimage.label(suv >= FIXED[method], STEPS)
        return labels, count
    return _by_share(suv)


def _by_share(suv: NDArray[np.float32]) -> tuple[NDArray[np.int32], int]:
    """For each maximum in turn, from the highest, what is connected to it above the share and not yet taken."""
    labels = np.zeros(suv.shape, dtype=np.int32)
    count = 0
    found, islands = ndimage.label(suv >= SEED_SUV, STEPS)
    peaks = [int(n) for n in np.argsort(-ndimage.maximum(suv, found, range(1, islands + 1)))] if islands else []
    for index in peaks:
        island = found == index + 1
        limit = SHARE * float(suv[island].max())
        above, _ = ndimage.label((suv >= limit) & (labels == 0), STEPS)
        top = np.unravel_index(int(np.where(island & (labels == 0), suv, -np.inf).argmax()), suv.shape)
        if above[top]:
            count += 1
            labels[above == above[top]] = count
    return labels, count
