"""Mammograms: a breast with nipple, muscle, fold below and folds of the skin, in both views and on both sides."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from tests.qc.bodies import edited, header_inputs

__all__ = ["BREAST_MM", "Mammogram", "both_sides", "both_views", "mammograms"]

BREAST_MM = (0.8, 0.7)
ROWS, COLUMNS = 320, 270
MUSCLE_DEG = 25.0
NIPPLE_ROW = 178


@dataclass(frozen=True)
class Mammogram:
    """One picture.

    Parameters
    ----------
    nipple_mm
        How far the nipple stands out.
    muscle_mm
        Length of the edge of the muscle in an oblique view.
    fold_mm
        Length of a fold of the skin.
    has_fold_below
        Whether the fold below the breast is in the picture.
    depth_mm
        From the chest wall to the skin at the nipple.
    """

    side: str = "L"
    view: str = "MLO"
    nipple_mm: float = 7.0
    muscle_mm: float = 95.0
    fold_mm: float = 0.0
    has_fold_below: bool = True
    depth_mm: float = 105.0
    seed: int = 1

    def values(self) -> NDArray[np.uint16]:
        """Stored values of 12 bits: dense is bright; the chest wall is left in a left breast."""
        dy, dx = BREAST_MM
        y = np.arange(ROWS)[:, None] * dy
        x = np.arange(COLUMNS)[None, :] * dx
        middle = NIPPLE_ROW * dy
        half = 84.0
        width = self.depth_mm * np.sqrt(np.clip(1 - ((y - middle) / half) ** 2, 0, 1))
        width = width + self.nipple_mm * np.exp(-(((y - middle) / 5.0) ** 2) / 2) * (width > 0)
        if self.view == "MLO":
            # Above lies the armpit, below the skin of the belly.
            width = np.maximum(width, np.where(y < middle, 52.0, 0.0))
            belly = np.where(y > middle + half - 8, 14.0 + 0.9 * (y - middle - half + 8), 0.0)
            width = np.maximum(width, belly if self.has_fold_below else 0.0)
        plane = np.where(x < width, 900.0, 90.0)
        plane[((x - 0.45 * self.depth_mm) / 34) ** 2 + ((y - middle + 6) / 40) ** 2 < 1] = 1350
        if self.view == "MLO" and self.muscle_mm:
            angle = np.radians(MUSCLE_DEG)
            down, across = self.muscle_mm * np.cos(angle), self.muscle_mm * np.sin(angle)
            plane[(x < across * (1 - y / down)) & (y < down)] = 2300
        if self.fold_mm:
            along = (y > middle + 22) & (y < middle + 22 + 0.9 * self.fold_mm)
            plane[along & (np.abs(x - 30 - 0.4 * (y - middle)) < 0.9)] += 900
        plane = plane + np.random.default_rng(self.seed).normal(0, 12, plane.shape)
        plane = plane if self.side == "L" else plane[:, ::-1]
        return np.asarray(np.clip(np.round(plane), 0, 4095), dtype=np.uint16)

    @property
    def posterior_nipple_line_mm(self) -> float:
        """From the nipple at a right angle to the edge of the muscle."""
        angle = np.radians(MUSCLE_DEG)
        down, across = self.muscle_mm * np.cos(angle), self.muscle_mm * np.sin(angle)
        x, y = self.depth_mm + self.nipple_mm, NIPPLE_ROW * BREAST_MM[0]
        slope = -across / down
        return float(abs(x - across - slope * y) / np.hypot(1, slope))


def mammograms(*pictures: Mammogram, **tags: Any) -> Inputs:
    """Inputs for a series of these pictures; a left oblique one where none is given."""
    headers, made = [], []
    for number, m in enumerate(pictures or (Mammogram(),)):
        base = header_inputs(planes=1, seed=40 + number)
        given = {"Modality": "MG", "BodyPartExamined": "BREAST", "ImageLaterality": m.side, "ViewPosition": m.view}
        removed = {"ImagePositionPatient": None, "SliceThickness": None, "PatientPosition": None}
        headers.append(edited(base, **given, **removed, **tags).headers[0])
        made.append(Picture(m.values(), number, BREAST_MM, 0.0, 4095.0))
    return Inputs(tuple(headers), pictures=tuple(made))


def both_views(difference_mm: float, seed: int = 1) -> Inputs:
    """Both views of one breast, the second less deep by so much."""
    oblique = Mammogram(seed=seed)
    depth = oblique.posterior_nipple_line_mm - oblique.nipple_mm - difference_mm
    return mammograms(oblique, replace(oblique, view="CC", depth_mm=depth, seed=seed + 50))


def both_sides(percent: float, seed: int = 1) -> Inputs:
    """Both breasts, the right one of so much less area."""
    left = Mammogram(view="CC", seed=seed)
    # Areas a and b differ by p of their mean where b = a (200 - p) / (200 + p).
    depth = left.depth_mm * (200 - percent) / (200 + percent)
    return mammograms(left, replace(left, side="R", depth_mm=depth, seed=seed + 50))
