"""Limits that are scaled to a site: from what its own accepted series of one scanner and protocol usually read.

Raw limits of most measures of MR do not travel from one scanner to the next. Where enough accepted series were judged,
the fences of Tukey are limits: WARN beyond 1.5 times the distance of the quartiles, FAIL beyond 3 times.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from qc.errors import TooFewSeries
from qc.image.profile import Profile
from qc.image.registry import CheckSpec, discover

__all__ = ["FEWEST_SERIES", "ScaledLimits", "scaled_limits", "site_profile_text"]

FEWEST_SERIES = 50
WARN_IQR, FAIL_IQR = 1.5, 3.0
SITE = "to be set by the site"
DIGITS = 4


@dataclass(frozen=True)
class ScaledLimits:
    """Intervals of one check in its unit, and the series that they come from."""

    check_id: str
    warn: tuple[float, float]
    fail: tuple[float, float]
    series: int


def scaled_limits(profile: Profile, values: Mapping[str, Sequence[float]]) -> list[ScaledLimits]:
    """Limits of the checks that the profile leaves to the site: those without any, and those that say so.

    A check whose quartiles are equal has no spread to scale by and gets none.

    Parameters
    ----------
    profile
        What the series were judged with.
    values
        Of accepted series, by check.

    Raises
    ------
    TooFewSeries
        No check has the values of 50 series.
    """
    if max((len(v) for v in values.values()), default=0) < FEWEST_SERIES:
        most = max((len(v) for v in values.values()), default=0)
        raise TooFewSeries(
            f"{most} accepted series of this scanner and profile; limits need {FEWEST_SERIES}: wait for more."
        )
    found = []
    for check_id, numbers in sorted(values.items()):
        spec = discover().get(check_id)
        set_already = check_id in profile.limits and SITE not in profile.limits[check_id].limit_source
        if spec is None or spec.direction == "categorical" or set_already or len(numbers) < FEWEST_SERIES:
            continue
        low, high = (float(q) for q in np.percentile(np.asarray(numbers, dtype=np.float64), [25, 75]))
        if high > low:
            warn, fail = (_interval(spec, low, high, share) for share in (WARN_IQR, FAIL_IQR))
            found.append(ScaledLimits(check_id, warn, fail, len(numbers)))
    return found


def _interval(spec: CheckSpec, low: float, high: float, share: float) -> tuple[float, float]:
    below, above = low - share * (high - low), high + share * (high - low)
    lower = -math.inf if spec.direction == "higher_worse" else _rounded(below)
    return lower, math.inf if spec.direction == "lower_worse" else _rounded(above)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def site_profile_text(profile_id: str, profile: Profile, limits: Sequence[ScaledLimits], day: date) -> str:
    """A profile of the site with these limits as notes; who trusts them makes them gates.

    Nothing but an intent of its own name matches it: a peer or a route names it, because it holds for one scanner only.
    """
    modalities = ", ".join(f'"{m}"' for m in profile.match.modality)
    lines = [
        f'id = "{profile_id}"',
        f'extends = "{profile.id}"',
        f'match = {{ modality = [{modalities}], intent = ["{profile_id}"] }}',
        "",
    ]
    for one in limits:
        lines += [
            f'[limits."{one.check_id}"]',
            f"warn = [{one.warn[0]:g}, {one.warn[1]:g}]",
            f"fail = [{one.fail[0]:g}, {one.fail[1]:g}]",
            'role = "note"',
            f'limit_source = "quartiles of {one.series} accepted series until {day.isoformat()}, 1.5 and 3 distances"',
            "",
        ]
    return "\n".join(lines)
