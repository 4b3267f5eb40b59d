"""Landmarks that a run found: a point on one picture of the series, and its place in the patient."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.errors import InvalidResult

__all__ = ["Landmark", "by_label", "landmark_of"]

LPS = 3


@dataclass(frozen=True)
class Landmark:
    """A point.

    Parameters
    ----------
    run
        Id of the run.
    label
        What it is, in the algorithm's words.
    picture
        On which plane of the series, or on which phase of a cine (from 1).
    column, row
        Where on it, in pixels that may be fractional; (0, 0) is the centre of the first pixel.
    position_lps
        Where in the patient, mm.

    Raises
    ------
    InvalidResult
        It lies nowhere.
    """

    run: str
    label: str
    picture: int
    column: float
    row: float
    position_lps: tuple[float, ...]

    def __post_init__(self) -> None:
        values = (self.column, self.row, *self.position_lps)
        if self.picture < 1 or len(self.position_lps) != LPS or not all(map(math.isfinite, values)):
            raise InvalidResult("A landmark needs a picture, a place on it and a position.", label=self.label)


def landmark_of(run: str, entry: Mapping[str, Any]) -> Landmark:
    """The landmark of a step's record."""
    return Landmark(
        run=run,
        label=str(entry["label"]),
        picture=int(entry["plane"]) + 1,
        column=float(entry["column"]),
        row=float(entry["row"]),
        position_lps=tuple(float(v) for v in entry["position_lps"]),
    )


def by_label(landmarks: Sequence[Landmark]) -> tuple[tuple[Landmark, ...], ...]:
    """The landmarks of each run and label, in the order in which they were named first; each in order of pictures."""
    groups: dict[tuple[str, str], list[Landmark]] = {}
    for landmark in landmarks:
        groups.setdefault((landmark.run, landmark.label), []).append(landmark)
    return tuple(tuple(sorted(group, key=lambda item: item.picture)) for group in groups.values())
