"""Dose-volume curves as points to be drawn: the same for the PDF and the page."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contouring.dose.assessment import DoseAssessment
from contouring.dose.dvh import Dvh
from reports.dose.table import colour_of

__all__ = ["StructureCurves", "structure_curves"]

POINTS = 201


@dataclass(frozen=True, eq=False)
class StructureCurves:
    """The curves of one structure.

    Parameters
    ----------
    name, rgb
        Of the structure.
    dose_gy
        Doses from 0, evenly spaced, shape (P,).
    percent
        Volume in percent of the part with dose that receives at least that dose, by the name of the curve: the letter
        of each course, "sum", "eqd2", and "low" and "high" where there are bounds.
    """

    name: str
    rgb: tuple[int, int, int]
    dose_gy: NDArray[np.float64]
    percent: dict[str, NDArray[np.float64]]

    def to_json(self) -> dict[str, Any]:
        """Plain values; percent to two decimals."""
        return {
            "name": self.name,
            "rgb": list(self.rgb),
            "step_gy": float(self.dose_gy[1]),
            "percent": {key: np.round(values, 2).tolist() for key, values in self.percent.items()},
        }


def structure_curves(assessment: DoseAssessment) -> tuple[StructureCurves, ...]:
    """Curves of all structures over one range of dose."""
    found: list[tuple[str, tuple[int, int, int], dict[str, Dvh]]] = []
    for number, s in enumerate(assessment.structures):
        curves = {c.letter: d for c, d in zip(assessment.courses, s.courses, strict=True)} | {"sum": s.physical}
        if s.eqd2 is not None:
            curves["eqd2"] = s.eqd2
        if s.bounds is not None and s.bounds.low is not None and s.bounds.high is not None:
            curves |= {"low": s.bounds.low, "high": s.bounds.high}
        found.append((s.name, colour_of(s, number), curves))
    end = max((float(d.curve.dose_gy[-1]) for _, _, curves in found for d in curves.values()), default=1.0)
    dose = np.linspace(0, max(end, 0.1) * 1.02, POINTS)
    return tuple(
        StructureCurves(name, rgb, dose, {key: _percent(d, dose) for key, d in curves.items()})
        for name, rgb, curves in found
    )


def _percent(found: Dvh, dose: NDArray[np.float64]) -> NDArray[np.float64]:
    curve = found.curve
    volume = np.interp(dose, curve.dose_gy, curve.volume_mm3, left=curve.known_mm3, right=0.0)
    return np.asarray(100 * volume / curve.known_mm3)
