"""Names of dose-volume numbers, as people write them: Dmean, D95%, D0.03cc, V20Gy, V20Gy[cc], V95%, gEUD[8], HI."""

import re

from contouring.dose.curve import DoseCurve
from contouring.dose.errors import MetricRefused

__all__ = ["check_name", "evaluate", "unit_of"]

NUMBER = r"(?P<x>\d+(\.\d+)?)"
PATTERNS = {
    "dose_to_percent": re.compile(rf"D{NUMBER}%"),
    "dose_to_cc": re.compile(rf"D{NUMBER}cc"),
    "volume_of_gy": re.compile(rf"V{NUMBER}Gy(?P<unit>\[%\]|\[cc\])?"),
    "volume_of_percent": re.compile(rf"V{NUMBER}%(?P<unit>\[%\]|\[cc\])?"),
    "geud": re.compile(r"gEUD\[(?P<x>-?\d+(\.\d+)?)\]"),
}

PLAIN = frozenset({"Dmean", "Dmax", "Dmin", "HI", "volume"})

COLD_PERCENT = 90.0
"""From here on D_x% is about the coldest part, which a missing part of the dose grid may hold."""


def evaluate(
    name: str, curve: DoseCurve, *, prescription_gy: float | None = None, accept_outside: bool = False
) -> float:
    """A number of a curve by its name: doses in Gy, volumes in percent of the part with dose, or in cc where asked.

    Parameters
    ----------
    name
        `Dmean`, `Dmax`, `Dmin`, `D95%`, `D0.03cc`, `V20Gy` (percent), `V20Gy[cc]`, `V95%` (of the prescription),
        `gEUD[8]`, `HI` ((D2 - D98) / D50), `volume` (cc).
    curve
        The curve.
    prescription_gy
        Dose that is 100 %, for `V95%`.
    accept_outside
        Whether the part inside the dose grid may stand for the whole structure.

    Raises
    ------
    MetricRefused
        The name is not known, needs a prescription, or has no meaning for this structure.
    OutsideDoseGrid
        The number depends on the part of the structure outside the dose grid, and that is not accepted.
    """
    check_name(name)
    if name == "volume":
        return curve.total_mm3 / 1000
    if name == "Dmax":
        return curve.max_gy
    if match := PATTERNS["dose_to_cc"].fullmatch(name):
        return curve.dose_to_cc(float(match["x"]))
    match = PATTERNS["dose_to_percent"].fullmatch(name)
    if not accept_outside and (match is None or float(match["x"]) >= COLD_PERCENT):
        curve.check_cold_end(name)
    if match:
        return curve.dose_to_share(float(match["x"]))
    simple = {"Dmean": lambda: curve.mean_gy, "Dmin": lambda: curve.min_gy, "HI": lambda: _homogeneity(curve)}
    if name in simple:
        return simple[name]()
    if match := PATTERNS["volume_of_gy"].fullmatch(name):
        return _volume(curve, float(match["x"]), match["unit"])
    if match := PATTERNS["volume_of_percent"].fullmatch(name):
        if prescription_gy is None:
            raise MetricRefused(f"{name} is a share of a prescription; state the prescribed dose.", metric=name)
        return _volume(curve, float(match["x"]) / 100 * prescription_gy, match["unit"])
    return curve.generalised_eud(float(name[5:-1]))


def check_name(name: str) -> None:
    """Refuse a name that no number has.

    Raises
    ------
    MetricRefused
        The name is not known.
    """
    if name not in PLAIN and not any(p.fullmatch(name) for p in PATTERNS.values()):
        raise MetricRefused(
            "There is no dose-volume number of this name; write Dmean, D95%, D0.03cc, V20Gy, V20Gy[cc], V95%, gEUD[8] "
            "or HI."
        )


def unit_of(name: str) -> str:
    """Unit of a number: "Gy", "%", "cc", or "" for a ratio."""
    if name == "volume" or name.endswith("[cc]"):
        return "cc"
    if name == "HI":
        return ""
    return "%" if name.startswith("V") else "Gy"


def _volume(curve: DoseCurve, dose_gy: float, unit: str | None) -> float:
    volume = curve.volume_at(dose_gy)
    return volume / 1000 if unit == "[cc]" else 100 * volume / curve.known_mm3


def _homogeneity(curve: DoseCurve) -> float:
    middle = curve.dose_to_share(50)
    if middle <= 0:
        raise MetricRefused("The homogeneity index needs a median dose above 0 Gy.")
    return (curve.dose_to_share(2) - curve.dose_to_share(98)) / middle
