"""Numbers that people type for a sum, on the page or on the command line: one check for both."""

import re

from dicom_gateway.errors import DoseChoiceRefused

__all__ = [
    "LARGEST_PRESCRIPTION_GY",
    "LARGEST_RATIO_GY",
    "LEAST_PRESCRIPTION_GY",
    "MOST_FRACTIONS",
    "fractions_of",
    "prescription_gy_of",
    "ratio_gy_of",
]

MOST_FRACTIONS = 200
LARGEST_RATIO_GY = 100.0
LEAST_PRESCRIPTION_GY, LARGEST_PRESCRIPTION_GY = 0.01, 200.0
DECIMAL = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")
"""Digits of ASCII and a point; what else Python's `float` takes (1e300, nan, other digits) is a slip here."""


def fractions_of(text: str) -> int:
    """A number of fractions.

    Raises
    ------
    DoseChoiceRefused
        It is no whole number from 1 to 200.
    """
    given = text.strip()
    if not re.fullmatch(r"[0-9]{1,3}", given) or not 1 <= int(given) <= MOST_FRACTIONS:
        raise DoseChoiceRefused(f"Fractions are a whole number from 1 to {MOST_FRACTIONS}; correct the field.")
    return int(given)


def ratio_gy_of(text: str) -> float:
    """Alpha/beta in Gy.

    Raises
    ------
    DoseChoiceRefused
        It is no number above 0, or too large to be one of Gy.
    """
    given = text.strip()
    # thousandths are finer than any alpha/beta is known, and less than one is a slip
    if not DECIMAL.fullmatch(given) or not 0.001 <= float(given) <= LARGEST_RATIO_GY:
        raise DoseChoiceRefused(f"Alpha/beta is a number above 0 and up to {LARGEST_RATIO_GY:g}; correct the field.")
    return float(given)


def prescription_gy_of(text: str) -> float:
    """A prescribed dose in Gy.

    Raises
    ------
    DoseChoiceRefused
        It is no number, or no dose that a plan prescribes.
    """
    given = text.strip()
    if not DECIMAL.fullmatch(given) or not LEAST_PRESCRIPTION_GY <= float(given) <= LARGEST_PRESCRIPTION_GY:
        raise DoseChoiceRefused(
            f"A prescription is a dose from {LEAST_PRESCRIPTION_GY:g} to {LARGEST_PRESCRIPTION_GY:g} Gy; correct it."
        )
    return float(given)
