"""What was measured on a phantom, or why nothing was: values with limits where a source states them."""

from dataclasses import dataclass
from typing import Any

from qc.image.grade import grade_value
from qc.image.profile import Interval, Limits
from qc.image.result import Grade, worst

__all__ = ["PhantomResult", "PhantomValue", "judged_value"]


@dataclass(frozen=True)
class PhantomValue:
    """One number: its dotted id ("phantom.water.mean"), UCUM unit, and its grade; NOT_EVALUABLE without limits.

    A number without limits is followed over time: constancy is what most phantoms are scanned for.
    """

    id: str
    value: float
    unit: str
    grade: Grade = Grade.NOT_EVALUABLE
    limits: tuple[Interval, Interval] | None = None
    limit_source: str = ""


@dataclass(frozen=True)
class PhantomResult:
    """A phantom as it was found.

    Parameters
    ----------
    kind
        water, acr_ct, catphan504, ...; "" where none was recognised.
    reason
        Why nothing was measured: worker_missing, error, no_region, too_few_slices; "" otherwise.
    detail
        Kind of the fault, without text of the worker.
    algorithm
        What measured it, with its version.
    """

    kind: str
    values: tuple[PhantomValue, ...] = ()
    reason: str = ""
    detail: str = ""
    algorithm: str = ""

    @property
    def grade(self) -> Grade:
        """Worst of the values with limits; NOT_EVALUABLE where there is none."""
        return worst([v.grade for v in self.values if v.limits is not None])

    def value(self, name: str) -> float:
        """One number by its id.

        Raises
        ------
        KeyError
            It was not measured.
        """
        for item in self.values:
            if item.id == name:
                return item.value
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": self.kind,
            "grade": str(self.grade),
            "reason": self.reason,
            "detail": self.detail,
            "algorithm": self.algorithm,
            "values": [{**vars(v), "grade": str(v.grade)} for v in self.values],
        }


def judged_value(name: str, value: float, unit: str, warn: Interval, fail: Interval, source: str) -> PhantomValue:
    """A number with its grade under two intervals."""
    limits = Limits(warn=warn, fail=fail, role="gate", limit_source=source)
    return PhantomValue(name, value, unit, grade_value(value, 0.0, limits), (warn, fail), source)
