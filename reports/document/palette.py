"""Colours of the report: red, green, blue from 0 to 1."""

from qc.image.result import Grade
from reports.model import Status

__all__ = ["GRADE_INK", "INK", "MUTED", "RULE", "SHADE", "STATUS_COLOURS", "Colour"]

Colour = tuple[float, float, float]

INK: Colour = (0.11, 0.14, 0.18)
MUTED: Colour = (0.42, 0.46, 0.52)
RULE: Colour = (0.82, 0.85, 0.88)
SHADE: Colour = (0.955, 0.963, 0.972)

STATUS_COLOURS: dict[Status, tuple[Colour, Colour]] = {
    "findings": ((0.88, 0.95, 0.91), (0.08, 0.42, 0.25)),
    "none_found": ((0.90, 0.94, 0.98), (0.10, 0.34, 0.58)),
    "partial": ((1.0, 0.95, 0.80), (0.55, 0.37, 0.0)),
    "failed": ((0.99, 0.90, 0.89), (0.70, 0.10, 0.08)),
    "refused": ((1.0, 0.93, 0.84), (0.66, 0.27, 0.0)),
    "held": ((0.93, 0.93, 0.93), (0.3, 0.3, 0.3)),
}
"""Ground and ink of the banner."""

GRADE_INK: dict[Grade, Colour] = {
    Grade.PASS: (0.08, 0.42, 0.25),
    Grade.WARN: (0.62, 0.42, 0.0),
    Grade.FAIL: (0.72, 0.10, 0.08),
    Grade.NOT_EVALUABLE: (0.42, 0.46, 0.52),
}
