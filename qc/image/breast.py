"""The breast of a mammogram: its outline, chest wall to the left, and the nipple and the pectoral muscle on it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import text_of
from qc.image.picture import Picture
from qc.image.radiograph import otsu

__all__ = ["Breast", "Muscle", "find_breast", "find_muscle", "is_oblique", "side_of"]

SMALLEST_SHARE = 0.05
LEVEL = 0.5
"""The skin lies at this share of the threshold between background and breast, because fat is darker than glands."""

UPPER_SHARE = 0.7
FEWEST_ROWS = 8
LARGEST_RESIDUAL = 2.5
"""Pixels that an edge of the muscle may lie beside its line."""


@dataclass(frozen=True, eq=False)
class Breast:
    """The coarse picture with the chest wall at column 0.

    Parameters
    ----------
    grey, mask
        Brightness, and the breast (with what of the chest lies above and below it).
    widths
        Width of the breast in each row, pixels.
    spacing_mm
        (rows, columns).
    nipple_row
        Row in which the breast is widest.
    """

    grey: NDArray[np.float32]
    mask: NDArray[np.bool_]
    widths: NDArray[np.float64]
    spacing_mm: tuple[float, float]

    @property
    def nipple_row(self) -> int:
        """Row of the point farthest from the chest wall."""
        return int(ndimage.uniform_filter1d(self.widths, 3).argmax())

    @property
    def area_cm2(self) -> float:
        """Area of the breast in the picture."""
        return float(np.count_nonzero(self.mask)) * self.spacing_mm[0] * self.spacing_mm[1] / 100


@dataclass(frozen=True)
class Muscle:
    """The edge of the pectoral muscle: column = `offset` + `slope` * row, from the upper border down to `last_row`."""

    offset: float
    slope: float
    last_row: int
    length_mm: float


def find_breast(picture: Picture) -> Breast | None:
    """The breast, or None where there is no spacing, or nothing that touches a side."""
    if picture.coarse_mm is None or picture.is_colour:
        return None
    grey = picture.coarse
    low = float(np.percentile(grey, 1))
    mask = grey > low + LEVEL * (otsu(grey) - low)
    eighth = mask.shape[1] // 8
    if np.count_nonzero(mask[:, -eighth:]) > np.count_nonzero(mask[:, :eighth]):
        grey, mask = grey[:, ::-1], mask[:, ::-1]
    labels, count = ndimage.label(ndimage.binary_opening(mask, iterations=1))
    if not count:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    mask = np.asarray(ndimage.binary_fill_holes(labels == int(sizes.argmax())))
    if np.count_nonzero(mask) < SMALLEST_SHARE * mask.size or not mask[:, :3].any():
        return None
    # Width as the last column of the breast, between the pixels where the skin crosses its level.
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    widths = np.where(mask.any(axis=1), last + 1.0, 0.0)
    return Breast(grey, mask, widths, picture.coarse_mm)


def find_muscle(breast: Breast) -> Muscle | None:
    """The muscle of an oblique view: a bright triangle in the upper corner of the chest wall; None without one."""
    rows_used = int(UPPER_SHARE * len(breast.grey))
    smooth = ndimage.gaussian_filter(breast.grey, 1.5)
    inside = smooth[breast.mask]
    corner = smooth[: max(3, rows_used // 20), : max(3, breast.grey.shape[1] // 40)]
    level = (float(np.median(corner)) + float(np.median(inside))) / 2
    if float(np.median(corner)) < 1.1 * float(np.median(inside)):
        return None
    rows: list[int] = []
    columns: list[int] = []
    for row in range(rows_used):
        dark = np.flatnonzero(smooth[row] < level)
        width = int(dark[0]) if len(dark) else breast.grey.shape[1]
        if width < 2 or (columns and width > columns[-1] + 4):
            break
        rows.append(row)
        columns.append(width)
    if len(rows) < FEWEST_ROWS:
        return None
    slope, offset = np.polyfit(rows, columns, 1)
    residual = np.abs(np.array(columns) - (offset + slope * np.array(rows)))
    if slope > 0 or float(np.median(residual)) > LARGEST_RESIDUAL:
        return None
    dy, dx = breast.spacing_mm
    length = float(np.hypot(rows[-1] * dy, (columns[0] - columns[-1]) * dx))
    return Muscle(float(offset), float(slope), rows[-1], length)


def is_oblique(header: Dataset) -> bool:
    """Whether a header calls its picture mediolateral oblique."""
    return text_of(header, "ViewPosition").upper() in {"MLO", "LMO"}


def side_of(header: Dataset) -> str:
    """L, R, or nothing."""
    return (text_of(header, "ImageLaterality") or text_of(header, "Laterality")).upper()[:1]
