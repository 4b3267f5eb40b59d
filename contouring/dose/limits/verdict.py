"""Met, near, broken, or not to be said: histograms of one structure against the limits that are about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from contouring.dose.dvh import Dvh
from contouring.dose.limits.load import Limit, LimitSet
from contouring.dose.metrics import unit_of
from contouring.errors import ContouringError

__all__ = ["Judged", "Status", "Verdict", "judge"]

NEAR_SHARE = 0.05
"""Within this share of the limit it is near (specification, section 8)."""

UNKNOWN_SHARE = 0.01
"""Share of a structure without dose above which nothing is said of it (specification, 5.2)."""

Status = Literal["met", "near", "broken", "not_evaluable"]


@dataclass(frozen=True, eq=False)
class Judged:
    """What limits are compared with.

    Parameters
    ----------
    physical, eqd2
        Histograms of the whole treatment; no EQD2 where a number of fractions is not known.
    dose_per_fraction_gy
        Prescribed dose per fraction of each course, None where it is not known.
    blocked
        Why nothing may be said of the structure, as a sentence; "" where it may.
    """

    physical: Dvh
    eqd2: Dvh | None
    dose_per_fraction_gy: tuple[float | None, ...]
    blocked: str = ""


@dataclass(frozen=True)
class Verdict:
    """How one limit stands.

    Parameters
    ----------
    limit, limit_set
        The limit, and the name of its set.
    status
        met, near (met, within 5 % of the limit), broken, or not_evaluable.
    value
        The number found, in `unit`; None where there is none.
    unit
        "Gy", "%", "cc" or "".
    judged_on
        Whether the number is of physical dose or of EQD2.
    reason
        Why nothing can be said, as a sentence.
    """

    limit: Limit
    limit_set: str
    status: Status
    value: float | None
    unit: str
    judged_on: Literal["physical", "EQD2"]
    reason: str = ""

    @property
    def is_verified(self) -> bool:
        """Whether somebody compared the limit with its source."""
        return bool(self.limit.verified_by)


def judge(sets: Sequence[LimitSet], structure: str, judged: Judged) -> tuple[Verdict, ...]:
    """Verdicts of all limits that are about one structure.

    Parameters
    ----------
    sets
        The chosen sets.
    structure
        TG-263 name.
    judged
        What the structure receives.
    """
    return tuple(
        _verdict(limit, chosen, judged) for chosen in sets for limit in chosen.limits if limit.structure == structure
    )


def _verdict(limit: Limit, chosen: LimitSet, judged: Judged) -> Verdict:
    found, judged_on, reason = _histogram(chosen, judged)
    reason = judged.blocked or reason
    value = None
    if found is not None and not reason:
        if found.curve.outside_share > UNKNOWN_SHARE:
            reason = f"{100 * found.curve.outside_share:.1f} % of the structure lies outside a dose grid"
        else:
            try:
                value = found.metric(limit.metric)
            except ContouringError as refusal:
                reason = refusal.message
    status: Status = "not_evaluable" if value is None else _status(value, limit)
    return Verdict(limit, chosen.name, status, value, unit_of(limit.metric), judged_on, reason)


def _histogram(chosen: LimitSet, judged: Judged) -> tuple[Dvh | None, Literal["physical", "EQD2"], str]:
    """The histogram that a set is compared with, what it is of, and why there is none."""
    misfit = _misfit(chosen, judged)
    if chosen.kind == "physical" or (chosen.kind == "conventional" and not misfit):
        return judged.physical, "physical", misfit
    if judged.eqd2 is None:
        return None, "EQD2", "there is no EQD2: the fractions are not known, or it was not asked for"
    return judged.eqd2, "EQD2", ""


def _misfit(chosen: LimitSet, judged: Judged) -> str:
    """Why the fractions are not those that a set is for; "" where they are."""
    if chosen.dose_per_fraction_gy is None:
        return ""
    low, high = chosen.dose_per_fraction_gy
    known = [d for d in judged.dose_per_fraction_gy if d is not None]
    if len(known) < len(judged.dose_per_fraction_gy):
        return "the dose per fraction is not known"
    return "" if all(low <= d <= high for d in known) else f"the limits are for {low:g} to {high:g} Gy per fraction"


def _status(value: float, limit: Limit) -> Status:
    room = limit.bound - value if limit.at_most is not None else value - limit.bound
    if room < 0:
        return "broken"
    return "near" if room <= NEAR_SHARE * abs(limit.bound) else "met"
