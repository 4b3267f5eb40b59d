"""Why a stack went to a route, or did not: every clause with its fact, the first that failed, and the nearest route.

Explanations are values: the workflow stores them with its decision, the page shows them, and `radgate route explain`
prints them for files without any server. They repeat header texts such as descriptions (never names or ids), so they
belong where patient data belong.
"""

import datetime
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from dicom_gateway.route.clauses import Clause, Outcome
from dicom_gateway.route.facts import Facts, actual_text, actual_values, is_regular
from dicom_gateway.route.rules import Route
from imaging.cines import CineSeries
from imaging.labels import label_of
from imaging.pictures import PictureSeries
from imaging.planes import PlaneSeries
from imaging.series import Leftover, Stack

__all__ = [
    "Choice",
    "ClauseAnswer",
    "Decision",
    "RouteExplanation",
    "StackExplanation",
    "choose",
    "explain_stack",
    "render_text",
]


REGULARITY = {True: "regular", False: "irregular", None: "pictures"}


@dataclass(frozen=True)
class ClauseAnswer:
    """One clause, answered.

    Parameters
    ----------
    number
        From 1, counted through the route.
    group
        "all", "any", "none" or "active".
    subject, wanted, actual
        The fact's name, what the rule wants and what the stack has, for people.
    outcome
        What the clause itself says.
    holds
        Whether that is what its group needs; in "any", whether the group holds.
    """

    number: int
    group: str
    subject: str
    wanted: str
    actual: str
    outcome: Outcome
    holds: bool

    @property
    def sentence(self) -> str:
        """The clause in one line, such as "SliceThickness 5.0, wanted at most 3"."""
        wanted = f"not {self.wanted}" if self.group == "none" else self.wanted
        return f"{self.subject} {self.actual}, wanted {wanted}"


@dataclass(frozen=True)
class RouteExplanation:
    """One route asked about one stack.

    Parameters
    ----------
    route, bundle, profile, priority, select
        As in `rules.Route`.
    matches
        Whether every condition holds.
    clauses
        All of them; none is skipped after the first failure.
    clauses_away
        Conditions that do not hold; alternatives of "any" count as one condition.
    first_failing
        Number of the first clause that does not hold.
    chosen
        Whether a job follows; None until `choose` has looked at the whole study.
    not_chosen_because
        Why a match made no job.
    """

    route: str
    bundle: str
    profile: str
    priority: int
    select: str
    matches: bool
    clauses: tuple[ClauseAnswer, ...]
    clauses_away: int
    first_failing: int | None
    chosen: bool | None = None
    not_chosen_because: str = ""

    @property
    def conditions(self) -> int:
        """How many conditions the route has; alternatives of "any" count as one."""
        return sum(c.group != "any" for c in self.clauses) + any(c.group == "any" for c in self.clauses)


@dataclass(frozen=True)
class StackExplanation:
    """Every route asked about one stack; for a leftover, why no route was asked.

    Parameters
    ----------
    stack
        Id of the stack within the study version; empty for a leftover.
    series_uid, modality, description
        Of the series.
    shape
        (planes, rows, columns); None for a leftover.
    regular
        Whether the stack is one even volume; None for pictures, which are none.
    routes
        In the order of the settings.
    nearest
        Route with the fewest failed conditions, where none matches.
    leftover, message
        Code and sentence of the refusal of a leftover; empty for a stack.
    """

    stack: str
    series_uid: str
    modality: str
    description: str
    shape: tuple[int, int, int] | None
    regular: bool | None
    routes: tuple[RouteExplanation, ...] = ()
    nearest: str | None = None
    leftover: str = ""
    message: str = ""

    @property
    def voxels(self) -> int:
        """Number of voxels; 0 for a leftover."""
        return self.shape[0] * self.shape[1] * self.shape[2] if self.shape else 0

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON column."""
        return asdict(self)


@dataclass(frozen=True)
class Choice:
    """One job to be: a stack, by a route."""

    stack: str
    series_uid: str
    route: str


@dataclass(frozen=True)
class Decision:
    """What a study's explanations lead to: the jobs, most urgent first, and the explanations with that settled."""

    choices: tuple[Choice, ...]
    explanations: tuple[StackExplanation, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON column."""
        return {
            "choices": [asdict(c) for c in self.choices],
            "explanations": [e.to_json() for e in self.explanations],
        }


def explain_stack(
    item: Stack | PictureSeries | CineSeries | Leftover, facts: Facts, routes: Sequence[Route]
) -> StackExplanation:
    """Every clause of every route, answered for one stack; a leftover is explained by its own refusal."""
    if isinstance(item, Leftover):
        return _explain_leftover(item)
    with warnings.catch_warnings():
        # pydicom warns about values that break their VR, in words that may quote a patient's data.
        warnings.simplefilter("ignore")
        answers = tuple(_explain_route(item, facts, route) for route in routes)
    open_routes = [a for a in answers if not a.matches]
    none_matches = len(open_routes) == len(answers)
    nearest = min(open_routes, key=lambda a: (a.clauses_away, a.priority), default=None) if none_matches else None
    return StackExplanation(
        stack=item.id,
        series_uid=item.series_instance_uid,
        modality=item.modality,
        description=label_of(item.header, "SeriesDescription"),
        shape=item.shape,
        regular=None if isinstance(item, PictureSeries) else is_regular(item.grid),
        routes=answers,
        nearest=nearest.route if nearest else None,
    )


def choose(explanations: Sequence[StackExplanation]) -> Decision:
    """The jobs that follow for one study: independent of the order of stacks and of routes.

    A route that selects the "largest" keeps one of its matching stacks: of those that are regular where there is one,
    because a larger one with a gap would be refused, and nothing of the study would run. Where several routes match one
    stack with the same bundle, the most urgent runs (at equal priority the first by name); the others say so.
    """
    kept: set[tuple[str, str]] = set()
    reasons: dict[tuple[str, str], str] = {}
    matches = [(s, r) for s in explanations for r in s.routes if r.matches]
    for _, route in matches:
        rivals = [s for s, r in matches if r.route == route.route]
        largest = max(rivals, key=lambda s: (s.regular is not False, s.voxels, s.series_uid, s.stack))
        for rival in rivals:
            if route.select == "largest" and rival is not largest:
                is_larger = rival.voxels > largest.voxels
                which = "a regular stack" if is_larger else "a larger stack"
                reasons[rival.stack, route.route] = f"{which} of the study matches this route"
            else:
                kept.add((rival.stack, route.route))
    taken: dict[tuple[str, str], str] = {}
    choices: list[Choice] = []
    for stack, route in sorted(matches, key=lambda m: (m[1].priority, m[1].route, -m[0].voxels, m[0].stack)):
        if (stack.stack, route.route) not in kept:
            continue
        bundle = route.bundle.partition("@")[0]
        first = taken.setdefault((stack.stack, bundle), route.route)
        if first != route.route:
            reasons[stack.stack, route.route] = f"the route {first} already runs this bundle on this stack"
        else:
            choices.append(Choice(stack.stack, stack.series_uid, route.route))
    chosen = {(c.stack, c.route) for c in choices}
    return Decision(tuple(choices), tuple(_settled(s, chosen, reasons) for s in explanations))


def render_text(explanation: StackExplanation) -> str:
    """The explanation for a terminal: one line a route."""
    if explanation.shape is None:
        what = f"series {explanation.series_uid}" if explanation.series_uid else "file of no series"
        return f"{what}: {explanation.leftover}, used by no route: {explanation.message}"
    shape = " x ".join(str(n) for n in explanation.shape)
    lines = [f"stack {explanation.stack} ({shape}, {REGULARITY[explanation.regular]})"]
    width = max((len(r.route) for r in explanation.routes), default=0)
    for route in explanation.routes:
        away = f"({route.clauses_away} clause{'s' if route.clauses_away != 1 else ''} away)"
        if not route.matches:
            failing = route.clauses[(route.first_failing or 1) - 1]
            says = f"NO   clause {failing.number}: {failing.sentence}  {away}"
        else:
            says = (
                f"YES  {route.conditions} of {route.conditions} clauses; profile {route.profile}; bundle {route.bundle}"
            )
            says += f"; not run: {route.not_chosen_because}" if route.not_chosen_because else ""
        lines.append(f"  {route.route:<{width}}  {says}")
    if explanation.nearest:
        lines.append(f"  no route matches; nearest is {explanation.nearest}")
    return "\n".join(lines)


def _explain_leftover(item: Leftover) -> StackExplanation:
    return StackExplanation(
        stack="",
        series_uid=item.series_instance_uid,
        modality=item.modality,
        description="",
        shape=None,
        regular=False,
        leftover=item.reason.code,
        message=item.reason.message,
    )


def _explain_route(stack: PlaneSeries, facts: Facts, route: Route) -> RouteExplanation:
    clauses: list[ClauseAnswer] = []
    any_outcomes = [_outcome(c, stack, facts) for c in route.when_any]
    any_holds = Outcome.TRUE in any_outcomes
    for group, members in (("all", route.when_all), ("any", route.when_any), ("none", route.when_none)):
        for clause in members:
            outcome = _outcome(clause, stack, facts)
            holds = {"all": outcome is Outcome.TRUE, "any": any_holds, "none": outcome is not Outcome.TRUE}[group]
            clauses.append(_answer(len(clauses) + 1, group, clause, outcome, holds, stack, facts))
    if isinstance(stack, CineSeries) and not _asks_for_phases(route):
        phases = f"{stack.shape[0]}"
        clauses.append(
            ClauseAnswer(len(clauses) + 1, "all", "stack phases", "asked for", phases, Outcome.FALSE, holds=False)
        )
    if not route.active.always or not route.enabled:
        clauses.append(_active_answer(len(clauses) + 1, route, facts.now))
    failing = [c for c in clauses if not c.holds]
    away = sum(c.group != "any" for c in failing) + any(c.group == "any" for c in failing)
    return RouteExplanation(
        route=route.name,
        bundle=route.bundle,
        profile=route.profile,
        priority=route.priority,
        select=route.select,
        matches=not failing,
        clauses=tuple(clauses),
        clauses_away=away,
        first_failing=failing[0].number if failing else None,
    )


def _asks_for_phases(route: Route) -> bool:
    """Whether a route is meant for cines: what was written for volumes does not get one unasked."""
    return any((c.source, c.subject) == ("stack", "phases") for c in (*route.when_all, *route.when_any))


def _outcome(clause: Clause, stack: PlaneSeries, facts: Facts) -> Outcome:
    return clause.answer(actual_values(clause, stack, facts))


def _answer(
    number: int, group: str, clause: Clause, outcome: Outcome, holds: bool, stack: PlaneSeries, facts: Facts
) -> ClauseAnswer:
    values = actual_values(clause, stack, facts)
    actual = actual_text(clause, values, stack)
    return ClauseAnswer(number, group, clause.name, clause.wanted_text, actual, outcome, holds)


def _active_answer(number: int, route: Route, now: datetime.datetime | None) -> ClauseAnswer:
    if not route.enabled:
        return ClauseAnswer(number, "active", "route", "switched on", "switched off", Outcome.FALSE, False)
    outcome = Outcome.UNKNOWN
    if now is not None:
        outcome = Outcome.TRUE if route.active.holds(now) else Outcome.FALSE
    actual = now.strftime("%a %H:%M").lower() if now else "unknown"
    return ClauseAnswer(number, "active", "time", route.active.text, actual, outcome, outcome is Outcome.TRUE)


def _settled(
    stack: StackExplanation, chosen: set[tuple[str, str]], reasons: dict[tuple[str, str], str]
) -> StackExplanation:
    routes = tuple(
        replace(
            r,
            chosen=(stack.stack, r.route) in chosen,
            not_chosen_because=reasons.get((stack.stack, r.route), "") if r.matches else "",
        )
        for r in stack.routes
    )
    return replace(stack, routes=routes)
