"""Whether the clauses of a route can hold together at all: the faults that a load-time check can prove."""

from collections import defaultdict
from collections.abc import Sequence

from dicom_gateway.route.clauses import Clause, Outcome
from dicom_gateway.route.values import tag_subject

__all__ = ["contradiction"]

OPPOSITES = {("stack", "regular"): "irregular", ("study", "complete"): "incomplete"}


def contradiction(when_all: Sequence[Clause], when_any: Sequence[Clause], when_none: Sequence[Clause]) -> str | None:
    """Why the clauses can never hold together, or None where no contradiction can be proven."""
    excluded = set(when_none)
    for clause in when_all:
        if clause in excluded:
            return f"{clause.name} {clause.wanted_text} is both wanted and excluded"
    if when_any and all(c in excluded for c in when_any):
        return "every clause of when.any is excluded by when.none"
    why = _against_each_other(when_all)
    if why or not when_any:
        return why
    reasons = [_against_each_other([*when_all, c]) for c in when_any]
    return reasons[0] if all(reasons) else None


def _against_each_other(clauses: Sequence[Clause]) -> str | None:
    by_subject: dict[tuple[str, str], list[Clause]] = defaultdict(list)
    flags: dict[tuple[str, str], bool] = {}
    for clause in clauses:
        if clause.kind == "flag":
            subject, value = _plain_flag(clause)
            if flags.setdefault(subject, value) != value:
                return f"{clause.name} is wanted both yes and no"
        else:
            by_subject[clause.source, clause.subject].append(clause)
    for same in by_subject.values():
        why = _one_subject(same)
        if why:
            return why
    return None


def _plain_flag(clause: Clause) -> tuple[tuple[str, str], bool]:
    for (source, positive), negative in OPPOSITES.items():
        if clause.source == source and clause.subject == negative:
            return (source, positive), not clause.wanted[0]
    return (clause.source, clause.subject), bool(clause.wanted[0])


def _one_subject(clauses: Sequence[Clause]) -> str | None:
    name = clauses[0].name
    absent = any(c.comparator == "present" and not c.wanted[0] for c in clauses)
    if absent and any(c.comparator != "present" or c.wanted[0] for c in clauses):
        return f"{name} is wanted both absent and with a value"
    if clauses[0].source == "tag":
        subject = tag_subject(clauses[0].subject)
        if subject is None or subject.several or clauses[0].kind.startswith("name"):
            return None  # several values, or components, may satisfy different clauses
    listed = [c for c in clauses if c.comparator in {"equals", "one_of"}]
    if listed:
        candidates = listed[0].wanted
        for value in candidates:
            if all(c.answer((value,)) is Outcome.TRUE for c in clauses):
                return None
        if len(clauses) > 1:
            return f"no value of {name} satisfies all clauses on it"
        return None
    low = max((c.wanted[0] for c in clauses if c.comparator in {"at_least", "between"}), default=None)
    high = min((c.wanted[-1] for c in clauses if c.comparator in {"at_most", "between"}), default=None)
    if low is not None and high is not None and low > high:
        return (
            f"{name} would have to be at least {low:g} and at most {high:g}"
            if isinstance(low, float)
            else (f"{name} would have to lie after {low} and before {high}")
        )
    return None
