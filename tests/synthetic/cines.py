"""Cines: MR instances of one oblique plane at several times after the R peak; holds no tests."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tests.synthetic.series import SeriesDescription, series_datasets, write_datasets

__all__ = ["CINE", "beating", "cine_datasets", "write_cine"]

CINE = SeriesDescription(
    modality="MR",
    rows=44,
    columns=37,
    planes=5,
    pixel_spacing_mm=(1.3, 0.9),
    plane_spacing_mm=7.0,
    origin_lps=(-41.5, 22.25, -67.5),
)
"""Neither its matrix nor its pixels are square; its planes are phases here."""

STEP_MS = 41.5


def beating(description: SeriesDescription = CINE) -> NDArray[np.uint16]:
    """Values of each phase: a ventricle whose wall moves, on a background without symmetry."""
    t, j, i = np.meshgrid(
        *(np.arange(n) for n in (description.planes, description.rows, description.columns)), indexing="ij"
    )
    radius = 9.0 + 2.5 * np.cos(2 * np.pi * t / description.planes)
    inside = ((j - 20) / 1.2) ** 2 + (i - 17) ** 2
    values = 60 + 2.0 * i + 1.1 * j + 400 * (inside < radius**2) + 250 * (abs(np.sqrt(inside) - radius) < 2)
    return np.asarray(np.round(values), dtype=np.uint16)


def cine_datasets(
    description: SeriesDescription = CINE, keyword: str = "TriggerTime", values: NDArray[Any] | None = None
) -> list[Dataset]:
    """The phases in order of time, as instances; their numbers and their order in the list say nothing of it."""
    datasets = series_datasets(description, pixels=beating(description) if values is None else values)
    place = datasets[0].ImagePositionPatient
    for number, ds in enumerate(datasets):
        ds.ImagePositionPatient = place
        ds.InstanceNumber = (number * 2) % len(datasets) + 1
        setattr(ds, keyword, _time(keyword, number))
        ds.SeriesDescription, ds.BodyPartExamined, ds.ScanningSequence = "电影 长轴 cine_2ch", "HEART", "GR"
    return datasets


def _time(keyword: str, phase: int) -> float | int | str:
    """The time of a phase as the attribute writes it."""
    if keyword.startswith("Temporal"):
        return phase + 1
    return 18.5 * phase if keyword.startswith("NominalPercentage") else f"{phase * STEP_MS + 3.5:.2f}"


def write_cine(folder: Path, description: SeriesDescription = CINE, **changes: Any) -> list[Path]:
    """The phases as files, the last one first; the files in order of time."""
    datasets = cine_datasets(description, **changes)
    return write_datasets(folder, datasets[::-1])[::-1]
