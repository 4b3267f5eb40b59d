"""Routing rules: from the settings to frozen values, with every check that can be made before a study arrives."""

import datetime
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from dicom_gateway.errors import SettingsError
from dicom_gateway.route.clauses import Clause, nearest, parse_clause
from dicom_gateway.route.contradictions import contradiction

__all__ = ["ActiveTime", "Route", "check_routes", "default_routes", "parse_route", "parse_routes"]

REVIEWS = ("required", "findings_only", "none")
SELECTS = ("each", "largest")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
KEYS = ("name", "priority", "when", "select", "profile", "bundle", "review", "deliver", "active")
MOST_CLAUSES = 50


@dataclass(frozen=True)
class ActiveTime:
    """When a route is in force, in local time; the end of the hours is excluded, and may lie after midnight.

    Parameters
    ----------
    start_min, end_min
        Minutes after midnight; 0 and 1440 are the whole day.
    days
        Weekdays on which a period begins, Monday is 0.
    """

    start_min: int = 0
    end_min: int = 24 * 60
    days: tuple[int, ...] = tuple(range(7))

    @property
    def always(self) -> bool:
        """Whether there is no restriction."""
        return self == ActiveTime()

    @property
    def text(self) -> str:
        """Days and hours for people."""
        hours = "-".join(f"{m // 60:02d}:{m % 60:02d}" for m in (self.start_min, self.end_min))
        return f"{hours} on {' '.join(DAYS[d] for d in self.days)}"

    def holds(self, now: datetime.datetime) -> bool:
        """Whether the route is in force at the local time `now`."""
        minute, day = now.hour * 60 + now.minute, now.weekday()
        if self.start_min < self.end_min:
            return day in self.days and self.start_min <= minute < self.end_min
        if minute >= self.start_min:
            return day in self.days
        return minute < self.end_min and (day - 1) % 7 in self.days


@dataclass(frozen=True)
class Route:
    """One rule: which stacks go to which bundle, and where the results go.

    Parameters
    ----------
    name
        Unique; letters, digits, ``_`` and ``-``.
    bundle
        ``name`` or ``name@version`` of a registered bundle.
    when_all, when_any, when_none
        Clauses: each of the first, at least one of the second (if there are any), none of the third must hold.
    priority
        0 urgent to 100 background.
    select
        Which of a study's matching stacks run: "each", or the "largest" by voxels.
    profile
        Protocol profile of the image QC; "auto" lets QC choose.
    review
        "required", "findings_only" or "none".
    deliver
        Names of destinations; none stands for every configured one.
    active
        When the route is in force.
    enabled
        A route that is switched off is explained but never chosen.
    """

    name: str
    bundle: str
    when_all: tuple[Clause, ...] = ()
    when_any: tuple[Clause, ...] = ()
    when_none: tuple[Clause, ...] = ()
    priority: int = 50
    select: str = "each"
    profile: str = "auto"
    review: str = "required"
    deliver: tuple[str, ...] = ()
    active: ActiveTime = ActiveTime()
    enabled: bool = True

    @property
    def bundle_name(self) -> str:
        """The bundle without its version."""
        return self.bundle.partition("@")[0]

    @property
    def bundle_version(self) -> str | None:
        """The version that the route asks for, if it does."""
        return self.bundle.partition("@")[2] or None

    def destinations(self, configured: Sequence[str]) -> tuple[str, ...]:
        """The destinations of this route among those `configured`, in their order there."""
        return tuple(d for d in configured if not self.deliver or d in self.deliver)


def parse_route(table: Mapping[str, Any], key: str) -> Route:
    """The route of one ``[[route]]`` table; `key` is its place in the file, such as ``route[0]``.

    Raises
    ------
    SettingsError
        With the dotted key: unknown or missing keys, a bad clause, a route that can never match.
    """
    _known_keys(table, KEYS, key)
    name, bundle = (_text(table, k, key) for k in ("name", "bundle"))
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise SettingsError("A route's name has 1 to 64 letters, digits, _ or -.", key=f"{key}.name")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}(@[A-Za-z0-9][A-Za-z0-9.+-]{0,40})?", bundle):
        raise SettingsError('A bundle is named "name" or "name@version".', key=f"{key}.bundle")
    priority = table.get("priority", 50)
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= 100:
        raise SettingsError("priority is a whole number from 0 (urgent) to 100 (background).", key=f"{key}.priority")
    groups = _when(table.get("when"), key)
    active, enabled = _active(table.get("active", True), f"{key}.active")
    route = Route(
        name=name,
        bundle=bundle,
        **groups,
        priority=priority,
        select=_select(table.get("select"), key),
        profile=_text(table, "profile", key, "auto"),
        review=_one_of(table.get("review", "required"), REVIEWS, f"{key}.review"),
        deliver=_deliver(table.get("deliver"), f"{key}.deliver"),
        active=active,
        enabled=enabled,
    )
    why = contradiction(route.when_all, route.when_any, route.when_none)
    if why:
        raise SettingsError(f"The route can never match: {why}.", key=f"{key}.when")
    return route


def parse_routes(tables: Any, key: str = "route") -> tuple[Route, ...]:
    """All routes of the settings, checked against each other.

    Raises
    ------
    SettingsError
        As `parse_route` and `check_routes`.
    """
    if not isinstance(tables, list):
        raise SettingsError("Routes are written as [[route]] tables.", key=key)
    routes = tuple(
        parse_route(t, f"{key}[{n}]") if isinstance(t, Mapping) else _no_table(f"{key}[{n}]")
        for n, t in enumerate(tables)
    )
    check_routes(routes, key=key)
    return routes


def check_routes(
    routes: Sequence[Route],
    *,
    destinations: Collection[str] | None = None,
    bundles: Mapping[str, Collection[str]] | None = None,
    key: str = "route",
) -> None:
    """Check routes against each other and against what the site has.

    Parameters
    ----------
    routes
        In the order of the file.
    destinations
        Names of the configured destinations; None skips the check.
    bundles
        Modalities that each registered bundle accepts, by bundle name; None skips the check.
    key
        Where the routes stand in the file.

    Raises
    ------
    SettingsError
        Two routes of one name; two routes to one bundle of which one includes the other; an unknown destination or
        bundle; a bundle that cannot accept the modality the route asks for.
    """
    for n, route in enumerate(routes):
        place = f"{key}[{n}]"
        for m, other in enumerate(routes[:n]):
            if other.name == route.name:
                raise SettingsError(f"The name '{route.name}' is taken by {key}[{m}]; rename one.", key=f"{place}.name")
            if route.bundle_name == other.bundle_name and (_includes(route, other) or _includes(other, route)):
                raise SettingsError(
                    f"'{route.name}' and '{other.name}' send the same stacks to the bundle {route.bundle_name}; "
                    "remove one, or make their conditions exclude each other.",
                    key=place,
                )
        for d in route.deliver:
            if destinations is not None and d not in destinations:
                raise SettingsError(
                    f"'{d}' is no configured destination{nearest(d, list(destinations)) or '.'}", key=f"{place}.deliver"
                )
        if bundles is not None:
            _check_bundle(route, bundles, place)


def default_routes() -> tuple[Route, ...]:
    """The routes of an empty configuration: `default_routes.toml` beside this module."""
    text = resources.files("dicom_gateway.route").joinpath("default_routes.toml").read_text(encoding="utf-8")
    return parse_routes(tomllib.loads(text)["route"], "default route")


def _check_bundle(route: Route, bundles: Mapping[str, Collection[str]], place: str) -> None:
    if route.bundle_name not in bundles:
        hint = nearest(route.bundle_name, list(bundles))
        raise SettingsError(f"'{route.bundle_name}' is no registered bundle{hint or '.'}", key=f"{place}.bundle")
    accepted = bundles[route.bundle_name]
    for clause in route.when_all:
        named = clause.name == "Modality" and clause.comparator in {"equals", "one_of"}
        if named and accepted and not set(clause.wanted) & set(accepted):
            raise SettingsError(
                f"The bundle {route.bundle_name} accepts {', '.join(sorted(accepted))}, "
                f"but the route asks for {clause.wanted_text}.",
                key=f"{place}.when",
            )


def _includes(wide: Route, narrow: Route) -> bool:
    """Whether every stack of `narrow` certainly matches `wide`: its conditions are a part of narrow's."""
    any_kept = not wide.when_any or (bool(narrow.when_any) and set(narrow.when_any) <= set(wide.when_any))
    return (
        set(wide.when_all) <= set(narrow.when_all)
        and set(wide.when_none) <= set(narrow.when_none)
        and any_kept
        and wide.active.always
        and wide.enabled
        and narrow.enabled
    )


def _known_keys(table: Mapping[str, Any], known: Sequence[str], key: str) -> None:
    for k in table:
        if k not in known:
            raise SettingsError(f"'{k}' is not known here{nearest(k, known) or '.'}", key=f"{key}.{k}")


def _no_table(key: str) -> Route:
    raise SettingsError("A route is a [[route]] table.", key=key)


def _text(table: Mapping[str, Any], name: str, key: str, default: str | None = None) -> str:
    value = table.get(name, default)
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"A route needs {name}, a text in quotes.", key=f"{key}.{name}")
    return value


def _one_of(value: Any, known: Sequence[str], key: str) -> str:
    if value not in known:
        hint = nearest(value, known) if isinstance(value, str) else ""
        raise SettingsError(f"One of {', '.join(known)} is wanted{hint or '.'}", key=key)
    return str(value)


def _when(when: Any, key: str) -> dict[str, tuple[Clause, ...]]:
    if not isinstance(when, Mapping) or not when:
        raise SettingsError("A route needs when.all, when.any or when.none with clauses.", key=f"{key}.when")
    _known_keys(when, ("all", "any", "none"), f"{key}.when")
    groups: dict[str, tuple[Clause, ...]] = {}
    for group, clauses in when.items():
        place = f"{key}.when.{group}"
        if not isinstance(clauses, list) or not clauses or len(clauses) > MOST_CLAUSES:
            raise SettingsError(f"A list of 1 to {MOST_CLAUSES} clauses is wanted.", key=place)
        groups[f"when_{group}"] = tuple(parse_clause(c, f"{place}[{n}]") for n, c in enumerate(clauses))
    return groups


def _select(value: Any, key: str) -> str:
    if value is None:
        return "each"
    if not isinstance(value, Mapping):
        raise SettingsError('select is a table such as { input = "largest" }.', key=f"{key}.select")
    _known_keys(value, ("input",), f"{key}.select")
    return _one_of(value.get("input", "each"), SELECTS, f"{key}.select.input")


def _deliver(value: Any, key: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(v, str) for v in value)
        or len(set(value)) != len(value)
    ):
        raise SettingsError(
            "deliver is a list of different destination names; leave it out for every destination.", key=key
        )
    return tuple(value)


def _active(value: Any, key: str) -> tuple[ActiveTime, bool]:
    if isinstance(value, bool):
        return ActiveTime(), value
    if not isinstance(value, Mapping):
        raise SettingsError('active is true, false, or a table such as { hours = "07:00-19:00" }.', key=key)
    _known_keys(value, ("hours", "days"), key)
    hours = value.get("hours", "00:00-24:00")
    found = re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", hours) if isinstance(hours, str) else None
    numbers = [int(g) for g in found.groups()] if found else [99]
    if found is None or max(numbers[1::2]) > 59 or numbers[0] > 23 or numbers[2] * 60 + numbers[3] > 1440:
        raise SettingsError("hours are written HH:MM-HH:MM, from 00:00 to 24:00.", key=f"{key}.hours")
    start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if start == end:
        raise SettingsError("hours begin and end at the same minute: the route can never match.", key=f"{key}.hours")
    days = value.get("days", list(DAYS))
    if not isinstance(days, list) or not days:
        raise SettingsError("days is a list of mon, tue, wed, thu, fri, sat, sun.", key=f"{key}.days")
    indices = tuple(sorted({DAYS.index(_one_of(d, DAYS, f"{key}.days")) for d in days}))
    return ActiveTime(start, end, indices), True
