"""A number of one scanner and protocol over weeks: has it changed, by how much, and since when.

Pure functions on points; where points are kept is the caller's matter. Two rules raise an alarm, because they see
different changes: a jump (Shewhart) and a drift (EWMA). Two of three points beyond two sigma are a note.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Baseline", "Chart", "Point", "Signal", "baseline_of", "chart_of"]

BASELINE_POINTS = 20
"""Points of a baseline that nobody named; fewer tell too little of the spread."""

SHEWHART_SIGMA = 3.1
EWMA_WEIGHT = 0.2
EWMA_SIGMA = 2.95
"""Limits of the two rules. At 3 and 2.86 each rule alone gives a false alarm in about 370 points, both together in 212
(simulated); at these values both together give one in more than 250, and still find a change of one sigma within 20
points in more than 90 % of cases (the simulation is a test)."""

SHEWHART_SHORT = 7.0
EWMA_SHORT = 11.0
"""A baseline of n points is itself uncertain: limits are wider by the share 7 / n and 11 / n. Without that 20 points
give a false alarm in 78, with it in more than 270, as any other number of points from 20 to 400 (simulated). The price:
a change of one sigma after a baseline of 20 is found within 20 points in 45 % of cases, of two sigma in 95 %."""

NOTE_SIGMA = 2.0
MAD_TO_SIGMA = 1.4826
"""Median absolute deviation of a normal distribution to its standard deviation."""


@dataclass(frozen=True, order=True)
class Point:
    """One value of one series: when (UTC seconds), what, and how sure; `digest` stands for the series."""

    time_s: float
    digest: str
    value: float
    uncertainty: float | None = None


@dataclass(frozen=True)
class Baseline:
    """What is usual: robust centre and spread of some points, in the unit of the values."""

    centre: float
    spread: float
    first_s: float
    last_s: float
    points: int

    @property
    def limit(self) -> float:
        """Distance from the centre at which a single value alarms, in the unit of the values."""
        return SHEWHART_SIGMA * (1 + SHEWHART_SHORT / self.points) * self.spread


@dataclass(frozen=True)
class Signal:
    """A rule that was broken.

    Parameters
    ----------
    rule
        "shewhart", "ewma" (alarms), or "two_of_three" (a note).
    index
        Point at which it was noticed, in the chart's order.
    since_s
        Time of the first point of the change: for a drift, where the smoothed value left the centre.
    change
        How far the values since then lie from the centre on average, in their unit.
    """

    rule: str
    index: int
    since_s: float
    change: float

    @property
    def is_alarm(self) -> bool:
        """Whether a person has to act; a note is only shown."""
        return self.rule != "two_of_three"


@dataclass(frozen=True, eq=False)
class Chart:
    """The points in their order, what is usual, and what was noticed.

    Parameters
    ----------
    smoothed
        Exponentially weighted mean after each point; equal to the value within the baseline.
    limit
        Distance from the centre at which the smoothed value alarms, at each point.
    """

    points: tuple[Point, ...]
    baseline: Baseline | None
    smoothed: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    limit: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    signals: tuple[Signal, ...] = ()

    def alarms(self) -> tuple[Signal, ...]:
        """The signals that are alarms."""
        return tuple(s for s in self.signals if s.is_alarm)

    def sentence(self, unit: str, language: str = "zh") -> str:
        """The newest alarm in words: the change in units and since when; empty without one."""
        found = self.alarms()
        if not found or self.baseline is None:
            return ""
        signal = found[-1]
        day = np.datetime64(int(signal.since_s), "s").astype("datetime64[D]")
        size = f"{signal.change:+.3g} {unit if unit != '1' else ''}".strip()
        if language == "zh":
            return f"自 {day} 起变化 {size}（基线 {self.baseline.centre:.4g}）"
        return f"Changed by {size} since {day} (baseline {self.baseline.centre:.4g})"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "points": [vars(p) for p in self.points],
            "baseline": None if self.baseline is None else vars(self.baseline),
            "smoothed": [float(v) for v in self.smoothed],
            "limit": [float(v) for v in self.limit],
            "signals": [vars(s) for s in self.signals],
        }


def baseline_of(points: Sequence[Point], *, since_s: float = -math.inf, until_s: float = math.inf) -> Baseline | None:
    """Median and spread of the first 20 points since a time, or of all points of a named interval.

    Parameters
    ----------
    since_s
        Points before this time are left out: after a new tube another value is usual.
    until_s
        End of a named interval; where it is left out the first 20 points count.

    Returns
    -------
    Baseline or None
        None where there are fewer than 20 points.
    """
    chosen = sorted(p for p in points if since_s <= p.time_s <= until_s)
    if not math.isfinite(until_s):
        chosen = chosen[:BASELINE_POINTS]
    if len(chosen) < BASELINE_POINTS:
        return None
    values = np.array([p.value for p in chosen])
    centre = float(np.median(values))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(values - centre)))
    # Values that never change (a thickness, a count) would alarm at the last digit: no change below what we can tell.
    least = max((p.uncertainty or 0.0) / 2 for p in chosen)
    spread = max(spread, least, 1e-6 * abs(centre), 1e-12)
    return Baseline(centre, spread, chosen[0].time_s, chosen[-1].time_s, len(chosen))


def chart_of(points: Sequence[Point], baseline: Baseline | None) -> Chart:
    """The chart of points against a baseline; points up to the baseline's end are not judged.

    The order of points of the same time does not matter: they are sorted by time and digest.
    """
    ordered = tuple(sorted(points))
    values = np.array([p.value for p in ordered], dtype=np.float64)
    if baseline is None:
        return Chart(ordered, None, values, np.full(len(values), math.inf))
    smoothed, limit = values.copy(), np.full(len(values), math.inf)
    signals: list[Signal] = []
    level, beyond = baseline.centre, [0, 0]
    start = next((n for n, p in enumerate(ordered) if p.time_s > baseline.last_s), len(ordered))
    left_at = start
    for n in range(start, len(ordered)):
        offset = (values[n] - baseline.centre) / baseline.spread
        before = level - baseline.centre
        level = EWMA_WEIGHT * values[n] + (1 - EWMA_WEIGHT) * level
        smoothed[n], limit[n] = level, baseline.spread * ewma_limit(n - start + 1, baseline.points)
        if before * (level - baseline.centre) <= 0:
            left_at = n  # the smoothed value crossed the centre: a drift begins here
        if abs(values[n] - baseline.centre) > baseline.limit:
            signals.append(Signal("shewhart", n, ordered[n].time_s, float(values[n] - baseline.centre)))
        if abs(level - baseline.centre) > limit[n]:
            change = float(values[left_at : n + 1].mean() - baseline.centre)
            signals.append(Signal("ewma", n, ordered[left_at].time_s, change))
        side = 1 if offset > NOTE_SIGMA else -1 if offset < -NOTE_SIGMA else 0
        if side and side in beyond[-2:]:
            signals.append(Signal("two_of_three", n, ordered[n].time_s, float(values[n] - baseline.centre)))
        beyond.append(side)
    return Chart(ordered, baseline, smoothed, limit, tuple(signals))


def ewma_limit(count: int, baseline_points: int) -> float:
    """Distance in sigma at which the smoothed value alarms after so many points; it settles at 0.98 and more."""
    settled = EWMA_WEIGHT / (2 - EWMA_WEIGHT)
    wider = 1 + EWMA_SHORT / baseline_points
    return EWMA_SIGMA * wider * math.sqrt(settled * (1 - (1 - EWMA_WEIGHT) ** (2 * count)))
