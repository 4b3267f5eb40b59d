"""What stays of a plane that has arrived, and how the values of single planes become one for the series so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.profile import Limits
from qc.image.registry import CheckSpec, Measured, NotEvaluable
from qc.image.result import Grade, Location

__all__ = ["ArrivedPlane", "SlimHeaders", "is_in_order", "joined", "scout_row"]

LONGEST_VALUE_BYTES = 1024
"""Longer values (pictures of the scanner's own, private blobs) are no matter of any check."""

SCOUT_COLUMNS = 256
RUN = 3
"""Neighbouring planes of which the middle value counts, so that one odd plane raises no alarm."""

FEWEST_FOR_MEDIAN = 3
MOST_POSITIONS = 200


@dataclass(eq=False)
class ArrivedPlane:
    """One plane: where it lies, its header, and what the checks found on it alone."""

    file: Path
    frame_number: int | None
    header: Dataset
    p_mm: float
    scout: NDArray[np.int16] | None = None
    found: dict[str, Measured | NotEvaluable] = field(default_factory=dict)


class SlimHeaders:
    """Headers without long values; what is equal in many of them is kept once."""

    def __init__(self) -> None:
        self._kept: dict[Any, RawDataElement | DataElement] = {}

    def of(self, header: Dataset) -> Dataset:
        """A header that shares its elements with those before."""
        elements = {}
        for tag in header.keys():  # noqa: SIM118 - iterating a data set would parse every element
            element = header.get_item(tag)
            if element is None or tag.is_private:
                continue
            value = element.value
            if isinstance(value, bytes) and len(value) > LONGEST_VALUE_BYTES:
                continue
            elements[tag] = self._shared(tag, element)
        slim = Dataset(elements, parent_encoding=header.original_character_set)
        implicit, little = header.original_encoding[:2]
        slim.set_original_encoding(implicit, little, header.original_character_set)
        return slim

    def _shared(self, tag: Any, element: RawDataElement | DataElement) -> RawDataElement | DataElement:
        """The element of an earlier header with the same value, else this one."""
        value = element.value
        if isinstance(element, RawDataElement):
            # Where a value stood in its file is nobody's matter any more, and would tell equal ones apart.
            element = element._replace(value_tell=0)
            key = (tag, element.VR, value)
        elif element.VR == "SQ":
            key = (tag, "SQ", str(value))
        else:
            key = (tag, element.VR, str(value))
        return self._kept.setdefault(key, element)


def scout_row(plane: NDArray[Any]) -> NDArray[np.int16]:
    """One plane as a row of a scout: the brightest value down each column, on at most 256 columns."""
    step = max(1, math.ceil(plane.shape[1] / SCOUT_COLUMNS))
    row = plane[::4, ::step].max(axis=0)
    return np.asarray(np.clip(row, -32768, 32767), dtype=np.int16)


def is_in_order(p_mm: Sequence[float]) -> bool:
    """Whether planes came one after the other in one direction."""
    steps = np.diff(p_mm)
    return bool(np.all(steps > 0) or np.all(steps < 0))


def joined(spec: CheckSpec, limits: Limits, planes: Sequence[tuple[float, Measured | NotEvaluable]]) -> Measured | None:
    """One value for the planes so far (position in mm, what was found there); None where they are too few to tell."""
    measured = sorted(((p, m) for p, m in planes if isinstance(m, Measured)), key=lambda pair: pair[0])
    if not measured:
        return None
    if spec.direction == "categorical":
        return _worst_state(spec, limits, measured)
    values = np.array([float(m.value) for _, m in measured])
    if spec.by_plane == "sum":
        hit = [p for (p, _), v in zip(measured, values, strict=True) if v > 0]
        return _like(measured[int(values.argmax())][1], float(values.sum()), hit)
    if len(values) < FEWEST_FOR_MEDIAN:
        return None
    if spec.by_plane == "median":
        value = float(np.median(values))
        middle = int(np.abs(values - value).argmin())
        return _like(measured[middle][1], value, [measured[middle][0]])
    smooth = ndimage.median_filter(values, RUN, mode="nearest")
    place = int(smooth.argmin() if spec.direction == "lower_worse" else smooth.argmax())
    low, high = limits.warn or (-math.inf, math.inf)
    hit = [p for (p, _), v in zip(measured, smooth, strict=True) if not low <= v <= high]
    # The numbers of the text come from a plane with that very value: the median is one of its neighbours' values.
    near = range(max(0, place - 1), min(len(values), place + 2))
    source = min(near, key=lambda n: abs(values[n] - smooth[place]))
    return _like(measured[source][1], float(smooth[place]), hit or [measured[place][0]])


def _like(found: Measured, value: float, p_mm: Sequence[float]) -> Measured:
    """What was found on one plane, with the value of all and their places."""
    others = tuple(w for w in found.where if w.kind != "slices")
    places = (Location("slices", {"p_mm": [float(p) for p in p_mm[:MOST_POSITIONS]]}),) if len(p_mm) else ()
    return Measured(value, found.advice, (*places, *others), found.params, found.evidence, found.uncertainty)


def _worst_state(spec: CheckSpec, limits: Limits, measured: Sequence[tuple[float, Measured]]) -> Measured | None:
    """The worst state that three neighbouring planes agree in."""
    order = [Grade.PASS, Grade.WARN, Grade.FAIL]
    best: Measured | None = None
    rank = -1
    for start in range(len(measured) - RUN + 1):
        run = measured[start : start + RUN]
        states = {str(m.value) for _, m in run}
        if len(states) > 1:
            continue
        state = states.pop()
        grade = Grade(limits.grades.get(state, spec.states[state]))
        if grade in order and order.index(grade) > rank:
            rank = order.index(grade)
            found = run[1][1]
            places = (Location("slices", {"p_mm": [p for p, _ in run]}),)
            best = Measured(found.value, found.advice, places, found.params, found.evidence, found.uncertainty)
    return best
