"""Biological dose by the linear-quadratic model: per voxel, from the voxel's own fraction dose."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contouring.dose.errors import FractionCountUnknown

__all__ = ["Course", "bed", "bed_per_eqd2", "eqd2", "eqd2_slope", "equivalent_in_fractions"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Course:
    """How a dose was given.

    Parameters
    ----------
    fractions
        Fractions that the dose is the sum of.
    label
        What to call the course in a table.
    recovery
        Share of the biological dose that the tissue has recovered from, 0 to 1.
    recovery_reason
        Why; a recovery without a reason is not accepted.
    prescription_gy
        Prescribed dose, where it is known.
    """

    fractions: int
    label: str = ""
    recovery: float = 0.0
    recovery_reason: str = ""
    prescription_gy: float | None = None

    def __post_init__(self) -> None:
        if self.fractions < 1:
            raise FractionCountUnknown(
                "A course needs at least one fraction; state how many were given.", fractions=self.fractions
            )
        if not 0 <= self.recovery <= 1:
            raise ValueError("recovery is a share from 0 to 1")
        if self.recovery and not self.recovery_reason:
            raise ValueError("recovery needs a reason, which the report prints")


def eqd2(dose_gy: ArrayLike, fractions: int, alpha_beta_gy: float) -> FloatArray:
    """Dose in fractions of 2 Gy with the same effect: D (d + ab) / (2 + ab), d = D / n.

    Raises
    ------
    ValueError
        alpha/beta or the number of fractions is not positive.
    """
    _check(fractions, alpha_beta_gy)
    dose = np.asarray(dose_gy, dtype=np.float64)
    return np.asarray(dose * (dose / fractions + alpha_beta_gy) / (2 + alpha_beta_gy))


def eqd2_slope(dose_gy: ArrayLike, fractions: int, alpha_beta_gy: float) -> FloatArray:
    """Change of EQD2 with dose: (2 d + ab) / (2 + ab).

    Raises
    ------
    ValueError
        alpha/beta or the number of fractions is not positive.
    """
    _check(fractions, alpha_beta_gy)
    dose = np.asarray(dose_gy, dtype=np.float64)
    return np.asarray((2 * dose / fractions + alpha_beta_gy) / (2 + alpha_beta_gy))


def bed(dose_gy: ArrayLike, fractions: int, alpha_beta_gy: float) -> FloatArray:
    """Biologically effective dose: D (1 + d / ab), d = D / n.

    Raises
    ------
    ValueError
        alpha/beta or the number of fractions is not positive.
    """
    _check(fractions, alpha_beta_gy)
    dose = np.asarray(dose_gy, dtype=np.float64)
    return np.asarray(dose * (1 + dose / fractions / alpha_beta_gy))


def bed_per_eqd2(alpha_beta_gy: float) -> float:
    """BED of 1 Gy of EQD2, which is given in fractions of 2 Gy.

    Raises
    ------
    ValueError
        alpha/beta is not positive.
    """
    return float(bed(2.0, 1, alpha_beta_gy)) / 2


def equivalent_in_fractions(
    dose_gy: ArrayLike, fractions: int, other_fractions: int, alpha_beta_gy: float
) -> FloatArray:
    """Dose in another number of fractions with the same effect.

    Raises
    ------
    ValueError
        alpha/beta or a number of fractions is not positive.
    """
    _check(fractions, alpha_beta_gy)
    _check(other_fractions, alpha_beta_gy)
    dose = np.asarray(dose_gy, dtype=np.float64)
    n_ab = fractions * other_fractions * alpha_beta_gy
    root = np.sqrt(n_ab**2 + 4 * fractions * dose * other_fractions * (fractions * alpha_beta_gy + dose))
    return np.asarray((root - n_ab) / (2 * fractions))


def _check(fractions: int, alpha_beta_gy: float) -> None:
    if fractions < 1 or alpha_beta_gy <= 0:
        raise ValueError("alpha/beta and the number of fractions are positive")
