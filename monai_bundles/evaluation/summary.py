"""Scores of patients as a table: mean with a bootstrap interval, median, and the worst patient, for each structure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "RESAMPLES",
    "SEED",
    "Difference",
    "Row",
    "Scores",
    "dice",
    "difference",
    "interval_of",
    "mean_of_rows",
    "summarised",
]

RESAMPLES = 2000
SEED = 1

Scores = Mapping[str, Mapping[str, float]]
"""By patient and structure."""


@dataclass(frozen=True)
class Row:
    """One structure over all patients who have it.

    Parameters
    ----------
    mean_dice, median_dice
        Over patients.
    interval
        95 % of the means of 2000 samples of the patients, drawn with replacement.
    patients
        Their number.
    worst, worst_dice
        The patient with the lowest score.
    mean_surface_dice, surface_interval
        The same of the surface Dice; None where it was not asked for.
    """

    mean_dice: float
    median_dice: float
    interval: tuple[float, float]
    patients: int
    worst: str
    worst_dice: float
    mean_surface_dice: float | None = None
    surface_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Difference:
    """How much higher the scores are than those of another way, patient by patient.

    Parameters
    ----------
    mean
        Over the patients who have both.
    interval
        95 % of the means of 2000 samples of these patients, drawn with replacement: the pairs stay together.
    patients, better
        Their number, and in how many the score is higher.
    """

    mean: float
    interval: tuple[float, float]
    patients: int
    better: int


def difference(scores: Mapping[str, float], others: Mapping[str, float]) -> Difference | None:
    """Of two ways by patient; None where no patient has both."""
    values = np.array([scores[patient] - others[patient] for patient in scores if patient in others])
    if not len(values):
        return None
    return Difference(round(float(values.mean()), 3), interval_of(values), len(values), int((values > 0).sum()))


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Overlap of two masks; 1 where both are empty."""
    total = np.count_nonzero(found) + np.count_nonzero(truth)
    return 2.0 * float(np.count_nonzero(found & truth)) / total if total else 1.0


def summarised(scores: Scores, surface: Scores | None = None) -> dict[str, Row]:
    """Rows by structure, from Dice and surface Dice; the same scores give the same intervals, in whichever row."""
    names = list(dict.fromkeys(name for by_name in scores.values() for name in by_name))
    rows = {}
    for name in names:
        by_patient = {patient: s[name] for patient, s in scores.items() if name in s}
        values = np.array(list(by_patient.values()))
        on_surface = np.array([s[name] for s in (surface or {}).values() if name in s])
        has_surface = len(on_surface) == len(values)
        rows[name] = Row(
            mean_dice=round(float(values.mean()), 3),
            median_dice=round(float(np.median(values)), 3),
            interval=interval_of(values),
            patients=len(values),
            worst=min(by_patient, key=lambda patient: by_patient[patient]),
            worst_dice=round(float(values.min()), 3),
            mean_surface_dice=round(float(on_surface.mean()), 3) if has_surface else None,
            surface_interval=interval_of(on_surface) if has_surface else None,
        )
    return rows


def interval_of(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % of the means of samples drawn with replacement; as many values are always sampled alike."""
    chosen = np.random.default_rng(SEED).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[chosen].mean(axis=1), [2.5, 97.5])
    return round(float(low), 3), round(float(high), 3)


def mean_of_rows(rows: Mapping[str, Row]) -> float:
    """Mean over structures of their mean scores."""
    return round(float(np.mean([row.mean_dice for row in rows.values()])), 3) if rows else 0.0
