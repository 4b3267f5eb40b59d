"""The statistic of the analytic suite, as the issue and the specification promise it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.contouring.dose.suite import SHAPES, Statistic, joined, run_suite, table


def broken_promises(found: Statistic) -> list[str]:
    """What of the promises a statistic does not keep."""
    relative = found.relative_percent
    kept = {
        "at most 1 % of the endpoints off by more than 3 %": np.mean(relative > 3) <= 0.01,
        "at most 4 % of the endpoints off by more than 1 %": np.mean(relative > 1) <= 0.04,
        "median at most 0.1 %": np.median(relative) <= 0.1,
        "volume off by at most 0.5 %": found.volume_percent.max() <= 0.5,
        "volume off by at most 0.15 % in the mean": found.volume_percent.mean() <= 0.15,
        "D95 and D5 within 0.1 Gy": found.d95_d5_gy.max() <= 0.1,
    }
    return [promise for promise, is_kept in kept.items() if not is_kept]


@pytest.mark.slow
def test_the_suite_is_as_good_as_promised() -> None:
    by_shape = {name: run_suite(name) for name in SHAPES}
    print("\n" + table(by_shape))  # noqa: T201 - shown with -s
    found = joined(by_shape.values())

    assert len(found.relative_percent) == 756
    assert broken_promises(found) == []


def test_each_promise_can_be_broken() -> None:
    good = Statistic(np.full(100, 0.05), np.full(20, 0.1), np.full(40, 0.05))
    assert broken_promises(good) == []

    worse = np.where(np.arange(100) < 2, 3.1, 0.05)
    assert len(broken_promises(replace(good, relative_percent=worse))) == 1
    assert len(broken_promises(replace(good, relative_percent=np.where(np.arange(100) < 5, 1.1, 0.05)))) == 1
    assert len(broken_promises(replace(good, relative_percent=np.full(100, 0.11)))) == 1
    assert len(broken_promises(replace(good, volume_percent=np.array([0.51, *[0.1] * 19])))) == 1
    assert len(broken_promises(replace(good, volume_percent=np.full(20, 0.16)))) == 1
    assert len(broken_promises(replace(good, d95_d5_gy=np.array([0.11])))) == 1
