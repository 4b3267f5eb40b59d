"""What a check needs for its tests: a clean image, defects of known severity, and an image that it cannot judge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qc.image.inputs import Inputs

__all__ = ["NumberCase", "StateCase"]


@dataclass(frozen=True)
class NumberCase:
    """A check that gives a number.

    Parameters
    ----------
    planted
        Inputs with a defect of a severity and a seed.
    truth, tolerance
        The value that the severity must give, and how far it may be off; None where only the order is known.
    alarm
        A severity at which the grade must be WARN or worse under `profile`.
    """

    clean: Callable[[], Inputs]
    planted: Callable[[float, int], Inputs]
    severities: tuple[float, ...]
    alarm: float | None
    not_evaluable: Callable[[], Inputs]
    reason: str
    truth: Callable[[float], float] | None = None
    tolerance: float = 0.0
    profile: str = "ct_base"


@dataclass(frozen=True)
class StateCase:
    """A categorical check: inputs for each of its states."""

    clean: Callable[[], Inputs]
    states: Mapping[str, Callable[[], Inputs]]
    not_evaluable: Callable[[], Inputs]
    reason: str
    profile: str = "ct_base"
