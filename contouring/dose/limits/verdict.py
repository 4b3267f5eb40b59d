"""Met, near, broken, or not to be said: a histogram against a limit."""

from dataclasses import dataclass
from typing import Literal

from contouring.dose.dvh import Dvh
from contouring.dose.limits.load import Limit, LimitSet
from contouring.dose.metrics import unit_of
from contouring.errors import ContouringError

__all__ = ["Verdict", "judge"]

CLOSE_SHARE = 0.05
"""Within this share of the limit it is near (specification, section 8)."""


@dataclass(frozen=True)
class Verdict:
    """How one limit stands.

    Parameters
    ----------
    limit
        The limit.
    status
        PASS, CLOSE (met, within 5 % of the limit), FAIL, or NOT_EVALUABLE.
    value
        The number found, in `unit`; None where there is none.
    unit
        "Gy", "%", "cc" or "".
    reason
        Why nothing can be said.
    is_verified
        Whether somebody compared the limit with its source.
    """

    limit: Limit
    status: Literal["PASS", "CLOSE", "FAIL", "NOT_EVALUABLE"]
    value: float | None
    unit: str
    reason: str = ""
    is_verified: bool = False


def judge(
    limits: LimitSet, structure: str, found: Dvh, *, kind: Literal["physical", "EQD2"],
    dose_per_fraction_gy: float | None = None,
) -> tuple[Verdict, ...]:  # fmt: skip
    """Verdicts of all limits of a set that are about one structure.

    Parameters
    ----------
    limits
        The set.
    structure
        TG-263 name.
    found
        Its histogram.
    kind
        Whether the histogram is of physical dose or of EQD2.
    dose_per_fraction_gy
        Prescribed dose per fraction of a physical dose.
    """
    verdicts = []
    for limit in (row for row in limits.limits if row.structure == structure):
        unit, verified = unit_of(limit.metric), bool(limits.verified_by)
        reason = _misfit(limits, kind, dose_per_fraction_gy)
        value = None
        if not reason:
            try:
                value = found.metric(limit.metric)
            except ContouringError as refusal:
                reason = refusal.message
        status = "NOT_EVALUABLE" if value is None else _status(value, limit)
        verdicts.append(Verdict(limit, status, value, unit, reason, verified))
    return tuple(verdicts)


def _misfit(limits: LimitSet, kind: str, dose_per_fraction_gy: float | None) -> str:
    """Why a set does not apply; "" where it does."""
    if kind != limits.kind:
        return f"the limits are of {limits.kind} dose and this is {kind} dose"
    if limits.kind == "EQD2" or limits.dose_per_fraction_gy is None:
        return ""
    low, high = limits.dose_per_fraction_gy
    if dose_per_fraction_gy is None:
        return "the dose per fraction is not known"
    return "" if low <= dose_per_fraction_gy <= high else f"the limits are for {low:g} to {high:g} Gy per fraction"


def _status(value: float, limit: Limit) -> Literal["PASS", "CLOSE", "FAIL"]:
    bound = limit.at_most if limit.at_most is not None else limit.at_least or 0.0
    room = bound - value if limit.at_most is not None else value - bound
    if room < 0:
        return "FAIL"
    return "CLOSE" if room <= CLOSE_SHARE * abs(bound) else "PASS"
