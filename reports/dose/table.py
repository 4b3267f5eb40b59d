"""The table of a dose report: one row for each structure and number, which PDF, SR, JSON and the page all print.

No outlet reads a number anywhere else, and none rounds for itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contouring.dose.assessment import Bounds, DoseAssessment, StructureAssessment
from contouring.dose.dvh import Dvh
from contouring.dose.limits import Verdict
from contouring.errors import ContouringError, UnknownStructure
from contouring.names import lookup
from reports.numbers import format_number

__all__ = ["STATUS_ORDER", "DoseTable", "Entry", "LimitRow", "TableRow", "colour_of", "dose_table", "is_target"]

TARGET_TYPES = frozenset({"GTV", "CTV", "PTV"})
ORGAN_METRICS, TARGET_METRICS = ("Dmean", "D0.03cc"), ("D95%", "Dmean", "D2%")
DECIMALS = 2

COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (90, 140, 255), (213, 94, 0), (204, 121, 167),
    (180, 220, 120), (255, 150, 150), (150, 130, 220),
)  # fmt: skip
"""For structures without a colour of their own: the palette of Okabe and Ito, lightened for a dark ground, and more."""


@dataclass(frozen=True)
class Entry:
    """A number with its unit, or why there is none."""

    value: float | None
    unit: str = "Gy"
    reason: str = ""

    @property
    def text(self) -> str:
        """The number as it is printed, without its unit; a dash where there is none."""
        return "—" if self.value is None else format_number(self.value, DECIMALS)

    def to_json(self) -> dict[str, Any]:
        """Number, printed form, unit and reason."""
        return {"value": self.value, "text": self.text, "unit": self.unit, "reason": self.reason}


@dataclass(frozen=True)
class TableRow:
    """One number of one structure: from each course, from the sum, as EQD2, and within which bounds.

    Parameters
    ----------
    structure, tg263, zh
        Name in the structure set; TG-263 name and Chinese name where they are known.
    metric
        Such as "Dmean".
    alpha_beta_gy
        Of the structure.
    courses, total
        Physical dose.
    course_eqd2, eqd2, bed
        EQD2, and biologically effective dose of the sum; empty and a dash where fractions are not known.
    low, high
        Bounds of the EQD2 sum (of the physical sum where there is no EQD2) by the search within reach.
    maxima
        Sum of the courses' maxima (of the most that they can be), in rows of a maximum.
    """

    structure: str
    tg263: str
    zh: str
    metric: str
    alpha_beta_gy: float
    courses: tuple[Entry, ...]
    total: Entry
    course_eqd2: tuple[Entry, ...]
    eqd2: Entry
    bed: Entry
    low: Entry
    high: Entry
    maxima: Entry

    def entries(self) -> dict[str, Entry]:
        """Every number by the name of its column."""
        letters = [chr(ord("A") + n) for n in range(len(self.courses))]
        return {
            **dict(zip(letters, self.courses, strict=True)),
            "sum": self.total,
            **{f"eqd2_{letter}": e for letter, e in zip(letters, self.course_eqd2, strict=False)},
            "eqd2": self.eqd2,
            "bed": self.bed,
            "low": self.low,
            "high": self.high,
            "maxima": self.maxima,
        }

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "structure": self.structure,
            "tg263": self.tg263,
            "zh": self.zh,
            "metric": self.metric,
            "alpha_beta_gy": self.alpha_beta_gy,
            "entries": {name: entry.to_json() for name, entry in self.entries().items()},
        }


@dataclass(frozen=True)
class LimitRow:
    """One limit and how it stands."""

    structure: str
    text: str
    bound: float
    found: Entry
    judged_on: str
    status: str
    reason: str
    limit_set: str
    citation: str
    is_verified: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "structure": self.structure,
            "limit": self.text,
            "bound": self.bound,
            "found": self.found.to_json(),
            "judged_on": self.judged_on,
            "status": self.status,
            "reason": self.reason,
            "limit_set": self.limit_set,
            "citation": self.citation,
            "is_verified": self.is_verified,
        }


@dataclass(frozen=True)
class DoseTable:
    """All rows."""

    rows: tuple[TableRow, ...]
    limits: tuple[LimitRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"rows": [r.to_json() for r in self.rows], "limits": [r.to_json() for r in self.limits]}


STATUS_ORDER = ("broken", "near", "not_evaluable", "met")


def dose_table(assessment: DoseAssessment) -> DoseTable:
    """The rows of an assessment, structures in their order, limits with the broken ones first."""
    rows = [_row(s, metric) for s in assessment.structures for metric in _metrics(s)]
    limits = [_limit(s, v) for s in assessment.structures for v in s.verdicts]
    return DoseTable(tuple(rows), tuple(sorted(limits, key=lambda r: STATUS_ORDER.index(r.status))))


def is_target(structure: StructureAssessment) -> bool:
    """Whether a structure is to be treated, not spared."""
    name = (structure.tg263 or structure.name).upper()
    return structure.interpreted_type in TARGET_TYPES or name.startswith(("GTV", "CTV", "PTV", "ITV"))


def colour_of(structure: StructureAssessment, number: int) -> tuple[int, int, int]:
    """Colour of a structure: its own, where it can be seen on black, else one of ten by its place in the list."""
    own = structure.colour_rgb
    if own is not None and max(own) >= 110:
        return own
    return COLOURS[number % len(COLOURS)]


def _metrics(structure: StructureAssessment) -> tuple[str, ...]:
    return TARGET_METRICS if is_target(structure) else ORGAN_METRICS


def _row(s: StructureAssessment, metric: str) -> TableRow:
    bounds = s.bounds
    absent = Entry(None, reason=bounds.reason if bounds else "one dose alone has no bounds")
    no_eqd2 = Entry(None, reason="the fractions are not known, so there is no EQD2")
    bed = s.bed
    return TableRow(
        structure=s.name,
        tg263=s.tg263,
        zh=_chinese(s.tg263),
        metric=metric,
        alpha_beta_gy=s.alpha_beta.gy,
        courses=tuple(_entry(d, metric) for d in s.courses),
        total=_entry(s.physical, metric),
        course_eqd2=tuple(_entry(d, metric) for d in s.course_eqd2),
        eqd2=_entry(s.eqd2, metric) if s.eqd2 is not None else no_eqd2,
        bed=_entry(bed, metric) if bed is not None else no_eqd2,
        low=_entry(bounds.low, metric) if bounds and bounds.low is not None else absent,
        high=_entry(bounds.high, metric) if bounds and bounds.high is not None else absent,
        maxima=_maxima(bounds) if metric == "D0.03cc" else Entry(None, reason="only of a maximum"),
    )


def _maxima(bounds: Bounds | None) -> Entry:
    if bounds is None:
        return Entry(None, reason="one dose alone has no bounds")
    if not bounds.maxima_are_known:
        return Entry(None, reason="part of the structure lies outside a dose grid, and may hold more")
    return Entry(bounds.sum_of_ceilings_gy)


def _chinese(tg263: str) -> str:
    try:
        return lookup(tg263).zh if tg263 else ""
    except UnknownStructure:
        return ""


def _entry(found: Dvh, metric: str) -> Entry:
    return _asked(lambda: found.metric(metric))


def _asked(ask: Callable[[], float]) -> Entry:
    try:
        return Entry(ask())
    except ContouringError as refusal:
        return Entry(None, reason=refusal.message)


def _limit(s: StructureAssessment, verdict: Verdict) -> LimitRow:
    limit = verdict.limit
    return LimitRow(
        structure=s.name,
        text=f"{limit.text} {verdict.unit}".strip(),
        bound=limit.bound,
        found=Entry(verdict.value, verdict.unit, verdict.reason),
        judged_on=verdict.judged_on,
        status=verdict.status,
        reason=verdict.reason,
        limit_set=verdict.limit_set,
        citation=limit.citation,
        is_verified=verdict.is_verified,
    )
