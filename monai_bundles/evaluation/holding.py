"""How much of what physicians drew lies in a structure that must hold it, where nobody drew that structure itself."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monai_bundles.evaluation.cases import Case
from monai_bundles.evaluation.summary import interval_of

__all__ = ["Holding", "Share", "held", "shares_of"]

BoolArray = NDArray[np.bool_]

WHOLE = 0.999


@dataclass(frozen=True)
class Share:
    """One relation over all patients in whom it can be judged.

    Parameters
    ----------
    mean, interval
        Of the patients' shares; 95 % of the means of samples drawn with replacement.
    patients
        Their number.
    whole
        Number of patients with at least 99.9 %.
    worst, worst_share
        The patient with the least.
    """

    mean: float
    interval: tuple[float, float]
    patients: int
    whole: int
    worst: str
    worst_share: float


@dataclass(frozen=True, eq=False)
class Holding:
    """What was drawn, what must hold it, and the share of the first in the second."""

    part: BoolArray
    holder: BoolArray
    share: float


def held(found: Mapping[str, BoolArray], case: Case) -> dict[str, Holding]:
    """How one patient's reference masks are held, by a sentence.

    The cord is asked for within the canal on those slices (of axis 0) on which a canal was found, and how many of its
    slices these are.
    """
    counted = np.ones(case.volume.array.shape, dtype=bool) if case.counted is None else case.counted
    truth = {name: mask & counted for name, mask in case.truth.items() if (mask & counted).any()}
    holdings = {}
    if "Body" in found and truth:
        organs = np.logical_or.reduce(list(truth.values()))
        holdings["organs in Body"] = Holding(organs, found["Body"], _share(organs, found["Body"]))
    if "Bone" in found and "Bone_Mandible" in truth:
        jaw = truth["Bone_Mandible"]
        holdings["Bone_Mandible in Bone"] = Holding(jaw, found["Bone"], _share(jaw, found["Bone"]))
    if "SpinalCanal" in found and "SpinalCord" in truth:
        cord, canal = truth["SpinalCord"], found["SpinalCanal"]
        seen = np.asarray(canal.any(axis=(1, 2)))
        slices = _share(np.asarray(cord.any(axis=(1, 2))), seen)
        holdings["slices of SpinalCord with SpinalCanal"] = Holding(cord, canal, slices)
        if cord[seen].any():
            inside = Holding(cord, canal, _share(cord[seen], canal[seen]))
            holdings["SpinalCord in SpinalCanal, on these"] = inside
    return holdings


def shares_of(patients: Mapping[str, Mapping[str, float]]) -> dict[str, Share]:
    """The shares of all patients, by the same sentences; the same shares give the same intervals, in whichever row."""
    rows = {}
    for name in dict.fromkeys(name for shares in patients.values() for name in shares):
        by_patient = {patient: shares[name] for patient, shares in patients.items() if name in shares}
        values = np.array(list(by_patient.values()))
        worst = min(by_patient, key=lambda patient: by_patient[patient])
        rows[name] = Share(
            mean=round(float(values.mean()), 4),
            interval=interval_of(values),
            patients=len(values),
            whole=int((values >= WHOLE).sum()),
            worst=worst,
            worst_share=round(by_patient[worst], 4),
        )
    return rows


def _share(part: BoolArray, holder: BoolArray) -> float:
    return float(np.count_nonzero(part & holder) / np.count_nonzero(part))
