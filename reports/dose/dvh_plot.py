"""The plot of dose-volume curves on a page: sum in full line, courses dashed, each structure in its colour."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from reportlab.pdfgen.canvas import Canvas

from reports.document.palette import INK, MUTED, RULE, Colour
from reports.document.sheets import MARGIN_PT, SMALL_PT, Sheets, draw_text
from reports.document.typeset import width_pt
from reports.dose.curves import StructureCurves

__all__ = ["dvh_section"]

HEIGHT_PT = 230.0
LEFT_PT, BOTTOM_PT, NAMES_PT = 30.0, 24.0, 118.0
DASHES: dict[str, tuple[float, ...]] = {"A": (5, 2.4), "B": (1.4, 2), "C": (6, 2, 1.4, 2), "D": (3, 3)}
WIDTHS = {"sum": 1.5}


def dvh_section(sheets: Sheets, curves: Sequence[StructureCurves], letters: Sequence[str]) -> None:
    """Draws the curves of physical dose, with the names beside them."""
    if not curves:
        return
    sheets.need(HEIGHT_PT + 60)
    sheets.heading("剂量体积直方图", "Dose-volume histogram (physical dose)")
    top, right = sheets.y - 18, MARGIN_PT + sheets.width - NAMES_PT
    left, bottom = MARGIN_PT + LEFT_PT, top - HEIGHT_PT + BOTTOM_PT
    end = _end_gy(curves, letters)
    plot = _Plot(left, bottom, right, top, end)
    sheets.pages[-1].append(lambda canvas: _axes(canvas, plot))
    for c in curves:
        for key in (*letters, "sum"):
            points = plot.points(c.dose_gy, c.percent[key])
            sheets.pages[-1].append(_line(points, dark(c.rgb), DASHES.get(key, ()), WIDTHS.get(key, 0.8)))
    _names(sheets, curves, letters, right + 12, top)
    sheets.y = bottom - BOTTOM_PT - 4


class _Plot:
    """Where doses and volumes lie on the page."""

    def __init__(self, left: float, bottom: float, right: float, top: float, end_gy: float) -> None:
        self.left, self.bottom, self.right, self.top, self.end_gy = left, bottom, right, top, end_gy

    def x(self, dose_gy: float) -> float:
        """Place of a dose."""
        return self.left + (self.right - self.left) * dose_gy / self.end_gy

    def y(self, percent: float) -> float:
        """Place of a volume."""
        return self.bottom + (self.top - self.bottom) * percent / 100

    def points(self, dose_gy: NDArray[np.float64], percent: NDArray[np.float64]) -> list[tuple[float, float]]:
        """Places of a curve up to where it reaches zero."""
        last = int(np.flatnonzero(percent > 0)[-1]) + 1 if (percent > 0).any() else 0
        return [
            (self.x(d), self.y(v))
            for d, v in zip(dose_gy[: last + 1].tolist(), percent[: last + 1].tolist(), strict=True)
            if d <= self.end_gy
        ]


def _end_gy(curves: Sequence[StructureCurves], letters: Sequence[str]) -> float:
    """End of the axis: the next ten above the last dose with volume."""
    reached = 1.0
    for c in curves:
        for key in (*letters, "sum"):
            filled = np.flatnonzero(c.percent[key] > 0)
            reached = max(reached, float(c.dose_gy[filled[-1]]) if filled.size else 0.0)
    return float(np.ceil(reached / 10) * 10)


def _axes(canvas: Canvas, plot: _Plot) -> None:
    canvas.setLineWidth(0.4)
    step = 10.0 if plot.end_gy <= 120 else 20.0
    for dose in np.arange(0, plot.end_gy + 1e-6, step).tolist():
        canvas.setStrokeColorRGB(*RULE)
        canvas.line(plot.x(dose), plot.bottom, plot.x(dose), plot.top)
        label = f"{dose:g}"
        draw_text(canvas, plot.x(dose) - width_pt(label, SMALL_PT) / 2, plot.bottom - 10, label, SMALL_PT, MUTED)
    for percent in (0, 20, 40, 60, 80, 100):
        canvas.setStrokeColorRGB(*RULE)
        canvas.line(plot.left, plot.y(percent), plot.right, plot.y(percent))
        label = f"{percent}"
        draw_text(canvas, plot.left - 5 - width_pt(label, SMALL_PT), plot.y(percent) - 2.5, label, SMALL_PT, MUTED)
    draw_text(canvas, plot.right - 44, plot.bottom - 20, "剂量 Dose / Gy", SMALL_PT, INK)
    draw_text(canvas, plot.left - 28, plot.top + 5, "体积 Volume / %", SMALL_PT, INK)


def _line(
    points: list[tuple[float, float]], colour: Colour, dash: tuple[float, ...], width: float
) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        canvas.setStrokeColorRGB(*colour)
        canvas.setLineWidth(width)
        canvas.setDash(list(dash))
        path = canvas.beginPath()
        path.moveTo(*points[0])
        for point in points[1:]:
            path.lineTo(*point)
        canvas.drawPath(path)
        canvas.setDash([])

    return draw


def _names(sheets: Sheets, curves: Sequence[StructureCurves], letters: Sequence[str], x: float, top: float) -> None:
    """The structures in their colours, and what the dashes mean."""
    y = top - 6
    for key in ("sum", *letters):
        points = [(x, y + 2.5), (x + 22, y + 2.5)]
        sheets.pages[-1].append(_line(points, INK, DASHES.get(key, ()), WIDTHS.get(key, 0.8)))
        sheets.text_at(x + 28, y, "累加 sum" if key == "sum" else f"计划 plan {key}", SMALL_PT, MUTED)
        y -= 11
    y -= 5
    for c in curves:
        if y < top - HEIGHT_PT + 6:
            break
        sheets.rectangle(x, y, 9, 6, dark(c.rgb), 1)
        sheets.text_at(x + 14, y, c.name[:20], SMALL_PT, INK)
        y -= 10.5


def dark(rgb: tuple[int, int, int]) -> Colour:
    """A colour that was chosen for a black ground, fit for white paper."""
    red, green, blue = (part / 255 for part in rgb)
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    factor = min(1.0, 0.55 / max(light, 0.01))
    return red * factor, green * factor, blue * factor
