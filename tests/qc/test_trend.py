"""Trends: a planted change is found in time, chance is not, and the order of equal times does not matter."""

import json
import random

import numpy as np
import pytest

from qc.image.trend import Baseline, Point, baseline_of, chart_of

DAY_S = 86400.0
BEGIN_S = 1_760_000_000.0


def points(values: np.ndarray, begin: int = 0) -> list[Point]:
    return [Point(BEGIN_S + (begin + n) * DAY_S, f"{begin + n:05d}", float(v)) for n, v in enumerate(values)]


def usual(spread: float = 0.7) -> Baseline:
    """A baseline that is known well, as of a named interval of many points."""
    return Baseline(21.5, spread, BEGIN_S - 900 * DAY_S, BEGIN_S - DAY_S, 400)


def test_a_drift_of_one_sigma_is_found_within_20_points_in_at_least_90_percent() -> None:
    rng = np.random.default_rng(20261)
    found = 0
    for _ in range(1000):
        chart = chart_of(points(rng.normal(22.2, 0.7, 20)), usual())
        found += bool(chart.alarms())

    assert found / 1000 >= 0.90


def test_false_alarms_are_at_most_one_in_250_points() -> None:
    rng = np.random.default_rng(20262)
    alarms = 0
    for _ in range(100):
        chart = chart_of(points(rng.normal(21.5, 0.7, 500)), usual())
        hits = [s.index for s in chart.alarms()]
        # One departure of the smoothed value is one alarm, however many points it lasts.
        alarms += sum(n == 0 or hits[n] - hits[n - 1] > 10 for n in range(len(hits)))

    assert 100 * 500 / alarms >= 250


@pytest.mark.parametrize("baseline_points", [20, 45])
def test_a_short_baseline_gives_no_more_false_alarms_than_a_known_one(baseline_points: int) -> None:
    rng = np.random.default_rng(20264)
    alarms = 0
    for _ in range(150):
        series = points(rng.normal(21.5, 0.7, baseline_points + 300))
        until_s = series[baseline_points - 1].time_s
        hits = [s.index for s in chart_of(series, baseline_of(series, until_s=until_s)).alarms()]
        alarms += sum(n == 0 or hits[n] - hits[n - 1] > 10 for n in range(len(hits)))

    assert 150 * 300 / alarms >= 250


def test_a_baseline_of_20_points_still_finds_a_change_of_two_sigma() -> None:
    rng = np.random.default_rng(20263)
    found = 0
    for _ in range(300):
        values = np.concatenate([rng.normal(21.5, 0.7, 20), rng.normal(22.9, 0.7, 20)])
        series = points(values)
        found += bool(chart_of(series, baseline_of(series)).alarms())

    assert found / 300 >= 0.93


def test_a_jump_is_named_in_units_and_with_its_day() -> None:
    rng = np.random.default_rng(5)
    series = points(np.concatenate([rng.normal(21.5, 0.5, 30), rng.normal(25.5, 0.5, 5)]))

    chart = chart_of(series, baseline_of(series))

    first = chart.alarms()[0]
    assert first.rule == "shewhart" and first.index == 30
    assert "since 2025-11-08" in chart_of(series[:31], baseline_of(series)).sentence("[hnsf'U]", "en")
    assert "基线" in chart.sentence("[hnsf'U]")
    assert chart.alarms()[-1].change == pytest.approx(4.0, abs=0.8)
    assert json.dumps(chart.to_json(), allow_nan=True)


def test_a_slow_drift_is_dated_to_where_it_began() -> None:
    rng = np.random.default_rng(6)
    drift = 21.5 + np.maximum(0, np.arange(60) - 30) * 0.12
    series = points(drift + rng.normal(0, 0.4, 60))

    chart = chart_of(series, usual(spread=0.4))

    began = BEGIN_S + 30 * DAY_S
    ewma = next(s for s in chart.signals if s.rule == "ewma")
    assert abs(ewma.since_s - began) < 8 * DAY_S


def test_points_of_the_same_time_may_come_in_any_order() -> None:
    rng = np.random.default_rng(7)
    series = [Point(BEGIN_S + (n // 4) * DAY_S, f"{n:03d}", float(v)) for n, v in enumerate(rng.normal(5, 1, 64))]
    wanted = chart_of(series, baseline_of(series)).to_json()

    for seed in range(20):
        mixed = list(series)
        random.Random(seed).shuffle(mixed)
        assert chart_of(mixed, baseline_of(mixed)).to_json() == wanted


def test_fewer_than_20_points_make_no_baseline_and_no_alarm() -> None:
    series = points(np.arange(19.0) ** 2)

    assert baseline_of(series) is None
    assert chart_of(series, None).signals == ()


def test_one_wild_point_in_the_baseline_does_not_hide_a_change() -> None:
    values = np.concatenate([np.tile([21.0, 21.4, 21.7, 22.0], 5), np.full(6, 24.5)])
    values[3] = 400.0
    series = points(values)

    assert baseline_of(series).centre == pytest.approx(21.55, abs=0.2)  # type: ignore[union-attr]
    assert chart_of(series, baseline_of(series)).alarms()


def test_a_new_baseline_begins_where_it_is_said_and_a_constant_value_may_stay_constant() -> None:
    values = np.concatenate([np.full(30, 5.0), np.full(30, 7.0)])
    series = points(values)

    assert chart_of(series, baseline_of(series)).alarms()
    assert not chart_of(series, baseline_of(series, since_s=BEGIN_S + 29.5 * DAY_S)).alarms()
    named = baseline_of(series, since_s=BEGIN_S, until_s=BEGIN_S + 24.5 * DAY_S)
    assert named is not None and named.points == 25


def test_two_of_three_is_a_note_and_no_alarm() -> None:
    series = points(np.array([2.3, 0.1, 2.4, 0.0, -0.2]), begin=1)

    chart = chart_of(series, Baseline(0.0, 1.0, 0.0, BEGIN_S, 100))

    assert [s.rule for s in chart.signals if not s.is_alarm] == ["two_of_three"]
    assert chart.alarms() == ()
