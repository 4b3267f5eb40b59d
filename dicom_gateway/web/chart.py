"""The drawing of a trend as numbers for an SVG template: no script, no inline style."""

from dataclasses import dataclass
from datetime import UTC, datetime

from dicom_gateway.quality.history import Trend

__all__ = ["Drawing", "drawing_of"]

WIDTH, HEIGHT = 560, 150
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 22


@dataclass(frozen=True)
class Drawing:
    """One chart: coordinates in a box of 560 x 150.

    Parameters
    ----------
    dots
        (x, y, kind, title) with kind usual, alarm or note.
    line
        Points of the smoothed line.
    centre, low, high
        Heights of the baseline and of the limits; None without a baseline.
    ticks_y, ticks_x
        (position, label).
    """

    check_id: str
    unit: str
    dots: tuple[tuple[float, float, str, str], ...]
    line: str
    centre: float | None
    low: float | None
    high: float | None
    ticks_y: tuple[tuple[float, str], ...]
    ticks_x: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT


def drawing_of(trend: Trend) -> Drawing:
    """Where everything of a trend lies on the paper."""
    chart = trend.chart
    values = [p.value for p in chart.points]
    base = chart.baseline
    spread = base.limit if base else 0.0
    bounds = [*values, *([base.centre - spread, base.centre + spread] if base else [])]
    low, high = min(bounds), max(bounds)
    room = (high - low) * 0.08 or max(abs(high) * 0.1, 1e-9)
    low, high = low - room, high + room
    first, last = chart.points[0].time_s, chart.points[-1].time_s
    length = max(last - first, 1.0)

    def x(time_s: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (time_s - first) / length, 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    kinds = {s.index: "note" for s in chart.signals} | {s.index: "alarm" for s in chart.alarms()}
    dots = tuple(
        (x(p.time_s), y(p.value), kinds.get(n, "usual"), f"{_day(p.time_s)}: {p.value:.4g} {trend.unit}")
        for n, p in enumerate(chart.points)
    )
    line = " ".join(f"{x(p.time_s)},{y(v)}" for p, v in zip(chart.points, chart.smoothed, strict=True))
    middle = base.centre if base else (low + high) / 2
    return Drawing(
        trend.check_id,
        trend.unit,
        dots,
        line,
        y(base.centre) if base else None,
        y(base.centre - spread) if base else None,
        y(base.centre + spread) if base else None,
        tuple((y(v), f"{v:.4g}") for v in (low + room, middle, high - room)),
        tuple((x(t), _day(t)) for t in ((first, (first + last) / 2, last) if last > first else (first,))),
    )


def _day(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).astimezone().strftime("%Y-%m-%d")
