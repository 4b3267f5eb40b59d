"""What a check says, and what all checks say about a series: the values that leave image quality control.

Every value turns into JSON and back without loss. None carries a name, an id of a patient or free text of a header.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

__all__ = [
    "Action",
    "Cause",
    "CheckResult",
    "Grade",
    "LimitsUsed",
    "Location",
    "Measurement",
    "SeriesVerdict",
    "Subject",
    "worst",
]


class Grade(StrEnum):
    """How good: PASS, WARN, FAIL; or NOT_EVALUABLE, which is never a silent pass."""

    PASS = "PASS"  # noqa: S105 - a grade, not a password
    WARN = "WARN"
    FAIL = "FAIL"
    NOT_EVALUABLE = "NOT_EVALUABLE"


SEVERITY = {Grade.NOT_EVALUABLE: -1, Grade.PASS: 0, Grade.WARN: 1, Grade.FAIL: 2}


def worst(grades: list[Grade]) -> Grade:
    """The worst of several grades; NOT_EVALUABLE only where nothing could be evaluated."""
    return max(grades, key=SEVERITY.__getitem__, default=Grade.NOT_EVALUABLE)


@dataclass(frozen=True)
class Subject:
    """What was looked at: a study, a series, and the number of planes."""

    study_instance_uid: str = ""
    series_instance_uid: str = ""
    modality: str = ""
    planes: int = 0


@dataclass(frozen=True)
class Location:
    """Where the finding is.

    Parameters
    ----------
    kind
        One of slices, box_mm, box_px, side, heatmap, instances, time, tiles.
    data
        Numbers of that kind: `p_mm` (positions along the normal), `lps_mm` (a box), `side` (L, R, A, P, H, F), ...
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)

    KINDS = ("slices", "box_mm", "box_px", "side", "heatmap", "instances", "time", "tiles")

    def __post_init__(self) -> None:
        if self.kind not in self.KINDS:
            raise ValueError(f"location of kind '{self.kind}'; allowed: {', '.join(self.KINDS)}")


@dataclass(frozen=True)
class Cause:
    """Why, as a code of the closed list and a sentence in Chinese and English."""

    code: str
    zh: str
    en: str


@dataclass(frozen=True)
class Action:
    """What a person should do: who, and whether it helps only while the patient is still on the table (`now`)."""

    code: str
    operator: str
    now: bool
    zh: str
    en: str
    params: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class LimitsUsed:
    """The limits that a grade was made with; None stands for an open end."""

    warn: tuple[float | None, float | None] | None
    fail: tuple[float | None, float | None] | None
    grades: Mapping[str, str]
    role: str
    limit_source: str
    profile: str
    profile_sha256: str


@dataclass(frozen=True)
class CheckResult:
    """One check on one series.

    Parameters
    ----------
    value
        The number, or the state of a categorical check; None only where the check is NOT_EVALUABLE.
    unit
        UCUM code.
    uncertainty
        Half-width of the 95 % interval of the value.
    limits
        What the grade was made with; None for a plain measurement.
    reason
        Code why the check is NOT_EVALUABLE; "" otherwise.
    where
        Places; at least one for a WARN or FAIL that comes from pixels.
    evidence
        Numbers from which the grade can be redone by hand.
    provisional
        True while the series is still arriving.
    """

    check_id: str
    check_version: str
    subject: Subject
    value: float | str | None
    unit: str
    uncertainty: float | None
    limits: LimitsUsed | None
    grade: Grade
    reason: str = ""
    where: tuple[Location, ...] = ()
    cause: Cause | None = None
    action: Action | None = None
    evidence: Mapping[str, float | str] = field(default_factory=dict)
    source: str = ""
    elapsed_ms: float = 0.0
    provisional: bool = False

    @property
    def is_gate(self) -> bool:
        """Whether this result counts for the grade of the series."""
        return self.limits is not None and self.limits.role == "gate"

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON: numbers, text, lists; keys in a fixed order."""
        return {
            "check_id": self.check_id,
            "check_version": self.check_version,
            "subject": _plain(vars(self.subject)),
            "value": _plain(self.value),
            "unit": self.unit,
            "uncertainty": _plain(self.uncertainty),
            "limits": None if self.limits is None else _plain(vars(self.limits)),
            "grade": str(self.grade),
            "reason": self.reason,
            "where": [{"kind": w.kind, **_plain(w.data)} for w in self.where],
            "cause": None if self.cause is None else _plain(vars(self.cause)),
            "action": None if self.action is None else _plain(vars(self.action)),
            "evidence": _plain(self.evidence),
            "source": self.source,
            "elapsed_ms": round(self.elapsed_ms, 3),
            "provisional": self.provisional,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CheckResult":
        """The result that `to_json` wrote."""
        limits = data["limits"]
        return cls(
            check_id=data["check_id"],
            check_version=data["check_version"],
            subject=Subject(**data["subject"]),
            value=data["value"],
            unit=data["unit"],
            uncertainty=data["uncertainty"],
            limits=None
            if limits is None
            else LimitsUsed(**{**limits, "warn": _interval(limits["warn"]), "fail": _interval(limits["fail"])}),
            grade=Grade(data["grade"]),
            reason=data["reason"],
            where=tuple(Location(w["kind"], {k: v for k, v in w.items() if k != "kind"}) for w in data["where"]),
            cause=None if data["cause"] is None else Cause(**data["cause"]),
            action=None if data["action"] is None else Action(**data["action"]),
            evidence=data["evidence"],
            source=data["source"],
            elapsed_ms=data["elapsed_ms"],
            provisional=data["provisional"],
        )


@dataclass(frozen=True)
class Measurement:
    """A number without a limit: it never changes a grade."""

    check_id: str
    value: float | str
    unit: str
    uncertainty: float | None = None
    evidence: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class SeriesVerdict:
    """All results on one series.

    Parameters
    ----------
    grade
        Worst grade of the results whose role is gate; a required check that could not be evaluated makes it WARN, or
        FAIL under a strict profile. NOT_EVALUABLE where no gate could be evaluated.
    profile_id, profile_sha256
        The profile with everything that it inherits.
    results
        Graded checks, ordered by id.
    measurements
        Numbers without limits.
    skipped
        Ids of the checks that do not apply to this modality.
    required
        Ids of the checks that the profile requires.
    """

    series_instance_uid: str
    grade: Grade
    profile_id: str
    profile_sha256: str
    results: tuple[CheckResult, ...]
    measurements: tuple[Measurement, ...] = ()
    skipped: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    provisional: bool = False

    def result(self, check_id: str) -> CheckResult | None:
        """The result of one check, or None where it was not graded."""
        return next((r for r in self.results if r.check_id == check_id), None)

    def findings(self) -> tuple[CheckResult, ...]:
        """Results that a person should see (WARN and FAIL), the worst first."""
        bad = [r for r in self.results if r.grade in {Grade.WARN, Grade.FAIL}]
        return tuple(sorted(bad, key=lambda r: (-SEVERITY[r.grade], not r.is_gate, r.check_id)))

    def unjudged(self) -> tuple[CheckResult, ...]:
        """Required checks that could not be evaluated, for which the series is WARN or FAIL without a finding."""
        return tuple(r for r in self.results if r.grade is Grade.NOT_EVALUABLE and r.check_id in self.required)

    def untimed(self) -> "SeriesVerdict":
        """The same verdict without durations, so that two runs compare equal."""
        return replace(self, results=tuple(replace(r, elapsed_ms=0.0) for r in self.results))

    def as_provisional(self) -> "SeriesVerdict":
        """The same verdict on a series of which more may come."""
        return replace(self, provisional=True, results=tuple(replace(r, provisional=True) for r in self.results))

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "series_instance_uid": self.series_instance_uid,
            "grade": str(self.grade),
            "profile_id": self.profile_id,
            "profile_sha256": self.profile_sha256,
            "provisional": self.provisional,
            "results": [r.to_json() for r in self.results],
            "measurements": [_plain(vars(m)) for m in self.measurements],
            "skipped": list(self.skipped),
            "required": list(self.required),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SeriesVerdict":
        """The verdict that `to_json` wrote."""
        return cls(
            series_instance_uid=data["series_instance_uid"],
            grade=Grade(data["grade"]),
            profile_id=data["profile_id"],
            profile_sha256=data["profile_sha256"],
            results=tuple(CheckResult.from_json(r) for r in data["results"]),
            measurements=tuple(Measurement(**m) for m in data["measurements"]),
            skipped=tuple(data["skipped"]),
            required=tuple(data["required"]),
            provisional=data["provisional"],
        )


def _interval(pair: list[float | None] | None) -> tuple[float | None, float | None] | None:
    return None if pair is None else (pair[0], pair[1])


def _plain(value: Any) -> Any:
    """Values that JSON can hold: numpy numbers become Python's, open ends None, floats nine significant digits."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (bool, str)) or value is None:
        return str(value) if isinstance(value, StrEnum) else value
    if isinstance(value, int):
        return value
    number = float(value)
    return float(f"{number:.9g}") if math.isfinite(number) else None
