"""What algorithms detected and classified: findings with their measurements, and scores of classes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.errors import InvalidResult

__all__ = ["MEASURED", "ClassScore", "Finding", "Quantity", "finding_of", "picture_scores"]


@dataclass(frozen=True)
class Quantity:
    """How a measurement is coded and called.

    Parameters
    ----------
    name, derivation, unit
        Keys of `codes.toml`; without a derivation it is empty.
    zh, en
        Short names.
    shown_unit
        As people write it.
    """

    name: str
    derivation: str
    unit: str
    zh: str
    en: str
    shown_unit: str


MEASURED: dict[str, Quantity] = {
    "long_axis_mm": Quantity("long_axis", "", "millimetre", "长径", "long axis", "mm"),
    "short_axis_mm": Quantity("short_axis", "", "millimetre", "短径", "short axis", "mm"),
    "largest_diameter_mm": Quantity("diameter", "maximum", "millimetre", "最大径", "largest diameter", "mm"),
    "mean_hu": Quantity("attenuation", "mean", "hounsfield", "平均密度", "mean density", "HU"),
    "suv_max": Quantity("suv", "maximum", "suvbw_unit", "SUV 最大", "SUV max", ""),
    "suv_mean": Quantity("suv", "mean", "suvbw_unit", "SUV 平均", "SUV mean", ""),
    "suv_peak": Quantity("suv", "peak", "suvbw_unit", "SUV 峰值", "SUV peak", ""),
    "metabolic_volume_cc": Quantity("metabolic_volume", "", "cm3", "代谢体积", "metabolic volume", "cm³"),
    "total_lesion_glycolysis_g": Quantity("total_lesion_glycolysis", "", "gram", "病灶糖酵解总量", "TLG", "g"),
}
"""Everything that a finding may have measured, in the order of the reports."""


@dataclass(frozen=True)
class Finding:
    """Something that a run detected.

    Parameters
    ----------
    run
        Id of the run.
    label
        What it is, in the algorithm's words.
    structure
        Id of the structure with its voxels; empty where it could not be outlined.
    score
        The algorithm's confidence, 0 to 1; None where it states none.
    measured
        Values by the keys of `MEASURED`.
    centre_lps, size_mm
        Of its box, where the algorithm gave one.
    directions
        Three unit vectors of LPS along which `size_mm` is measured: a box may stand oblique.

    Raises
    ------
    InvalidResult
        The score is none, or a measurement is unknown or no number.
    """

    run: str
    label: str
    structure: str = ""
    score: float | None = None
    measured: tuple[tuple[str, float], ...] = ()
    centre_lps: tuple[float, ...] = ()
    size_mm: tuple[float, ...] = ()
    directions: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.score is not None and not 0 <= self.score <= 1:
            raise InvalidResult("The score of a finding lies between 0 and 1.", label=self.label)
        if not all(key in MEASURED and math.isfinite(value) for key, value in self.measured):
            raise InvalidResult("A finding has a measurement that is unknown or no number.", label=self.label)


@dataclass(frozen=True)
class ClassScore:
    """How strongly a run holds the image for a class, 0 to 1.

    Parameters
    ----------
    picture
        Of which picture of the series (from 1); 0 for the image as a whole.

    Raises
    ------
    InvalidResult
        It is no such number.
    """

    run: str
    label: str
    value: float
    picture: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 1 or self.picture < 0:
            raise InvalidResult("The score of a class lies between 0 and 1.", label=self.label)


def picture_scores(
    run: str, plane_scores: Sequence[Sequence[tuple[str, float]]], certain: int
) -> tuple[ClassScore, ...]:
    """Scores of every picture of a series: those of the most certain one first, then in the order of the pictures.

    Parameters
    ----------
    plane_scores
        Label and value of each class, highest first, for each picture.
    certain
        Index of the most certain picture.
    """
    order = [certain, *(index for index in range(len(plane_scores)) if index != certain)]
    return tuple(ClassScore(run, label, value, index + 1) for index in order for label, value in plane_scores[index])


def finding_of(run: str, entry: Mapping[str, Any]) -> Finding:
    """The finding of a step's record: label, score, box, the lesion's measurements and its uptake."""
    lesion, uptake = entry.get("lesion") or {}, entry.get("uptake") or {}
    values = {key: lesion.get(key) for key in ("long_axis_mm", "short_axis_mm", "largest_diameter_mm")}
    values["mean_hu"] = lesion.get("mean") if lesion.get("unit") == "[hnsf'U]" else None
    values |= {f"suv_{key}": uptake.get(long) for key, long in (("max", "maximum"), ("mean", "mean"), ("peak", "peak"))}
    values |= {key: uptake.get(key) for key in ("metabolic_volume_cc", "total_lesion_glycolysis_g")}
    box = entry.get("box") or {}
    name = entry.get("structure", "")
    score = float(entry["score"])
    return Finding(
        run=run,
        label=str(entry["label"]),
        structure=f"{run}.{name}" if name else "",
        # What image processing outlines by a rule has no score of its own: it is given 1.
        score=score if score < 1 else None,
        measured=tuple((k, float(v)) for k in MEASURED if (v := values.get(k)) is not None and math.isfinite(v)),
        centre_lps=tuple(float(v) for v in box.get("centre_lps", ())),
        size_mm=tuple(float(v) for v in box.get("size_mm", ())),
        directions=tuple(tuple(float(v) for v in axis) for axis in box.get("directions", ())),
    )
