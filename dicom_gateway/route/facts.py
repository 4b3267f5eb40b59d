"""What rules may ask about a stack: its header, its geometry, and what the gateway knows around it."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import tag_for_keyword

from dicom_gateway.route.clauses import Clause
from dicom_gateway.route.values import header_values
from imaging.cines import CineSeries
from imaging.geometry import UNIFORM_TOLERANCE_MM, Grid
from imaging.planes import PlaneSeries
from imaging.series import Stack

__all__ = ["Facts", "actual_text", "actual_values", "is_regular"]

IDENTIFYING = frozenset({
    "AccessionNumber",
    "AdditionalPatientHistory",
    "InstitutionName",
    "NameOfPhysiciansReadingStudy",
    "OperatorsName",
    "PerformingPhysicianName",
    "PhysiciansOfRecord",
    "ReferringPhysicianName",
    "RequestingPhysician",
    "StudyID",
})
"""Tags outside group 0010 whose values point to a person: rules may ask for them, explanations do not repeat them."""

LONGEST_SHOWN = 80


@dataclass(frozen=True)
class Facts:
    """What the gateway knows about a study besides its files; what is None or missing is unknown to the rules.

    Parameters
    ----------
    complete
        Whether the study was held to be complete.
    peers
        AE titles (or STOW-RS names) that sent it.
    qc_grades
        Grade of the image QC by stack id, where it has been measured before.
    now
        Local time, for routes with hours.
    """

    complete: bool | None = None
    peers: tuple[str, ...] = ()
    qc_grades: Mapping[str, str] = field(default_factory=dict)
    now: datetime.datetime | None = None


def actual_values(clause: Clause, stack: PlaneSeries, facts: Facts) -> tuple[Any, ...] | None:
    """Typed values of the fact that a clause asks for; None where nobody knows it."""
    match clause.source:
        case "tag":
            return header_values(stack.header, clause.subject, clause.kind)
        case "stack":
            value = _geometry(clause.subject, stack)
            return None if value is None else (value,)
        case "study":
            if facts.complete is None:
                return None
            return (facts.complete == (clause.subject == "complete"),)
        case "peer":
            return facts.peers or None
        case _:
            grade = facts.qc_grades.get(stack.id)
            return None if grade is None else (grade,)


def actual_text(clause: Clause, values: tuple[Any, ...] | None, stack: PlaneSeries) -> str:
    """The fact for people: as the header writes it, "missing", or "(hidden)" where it would name a person."""
    if values is None:
        return "missing" if clause.source == "tag" else "unknown"
    if clause.source == "tag":
        if names_a_person(clause.subject):
            return "(hidden)"
        raw = stack.header.get(clause.subject)
        several = raw if isinstance(raw, list | tuple) or type(raw).__name__ == "MultiValue" else [raw]
        return _shorten("\\".join(str(v) for v in several))
    if clause.subject in {"regular", "irregular"} and isinstance(stack, Stack):
        return _shape_of_steps(stack.grid)
    if clause.kind == "flag":
        return "yes" if values[0] else "no"
    return _shorten(", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values))


def names_a_person(keyword: str) -> bool:
    """Whether the value of a tag points to a person."""
    of_the_patient = (tag_for_keyword(keyword) or 0) >> 16 == 0x0010
    return keyword in IDENTIFYING or (of_the_patient and keyword not in {"PatientAge", "PatientSex"})


def is_regular(grid: Grid) -> bool:
    """Whether the stack is one even, unsheared volume of at least two planes."""
    return len(grid.positions_lps) > 1 and grid.is_even and grid.shear_mm <= UNIFORM_TOLERANCE_MM


def _shape_of_steps(grid: Grid) -> str:
    if len(grid.positions_lps) == 1:
        return "a single plane"
    if not grid.is_even:
        steps = grid.slice_steps_mm
        return f"slice distances from {steps.min():.2f} to {steps.max():.2f} mm"
    if grid.shear_mm > UNIFORM_TOLERANCE_MM:
        return f"tilted by {grid.tilt_deg:.1f} degrees"
    return "regular"


def _geometry(name: str, stack: PlaneSeries) -> Any:
    """A fact of the geometry; of pictures only their number and size are known, and only a cine has phases."""
    sizes: dict[str, int | None] = dict(zip(("planes", "rows", "columns"), stack.shape, strict=True))
    sizes["phases"] = None
    if isinstance(stack, CineSeries):
        sizes |= {"planes": 1, "phases": stack.shape[0]}
    if name in sizes:
        size = sizes[name]
        return None if size is None else float(size)
    return _in_patient(name, stack.grid) if isinstance(stack, Stack | CineSeries) else None


def _in_patient(name: str, grid: Grid) -> Any:
    match name:
        case "regular" | "irregular":
            return is_regular(grid) == (name == "regular")
        case "row_spacing_mm":
            return float(grid.pixel_spacing_mm[0])
        case "column_spacing_mm":
            return float(grid.pixel_spacing_mm[1])
        case "extent_mm":
            return float(grid.plane_positions_mm[-1] - grid.plane_positions_mm[0])
        case _:
            return float(grid.slice_spacing_mm) if grid.shape[0] > 1 and grid.is_even else None


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
