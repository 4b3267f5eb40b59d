"""What a radiograph shows without a trained model: the exposed field, free air, the body, and in a chest the lungs.

Pictures are upright here: dense is bright. All masks lie on the coarse picture.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import text_of
from qc.image.picture import Picture

__all__ = [
    "CHEST_PARTS", "ChestFilm", "Field", "chest_film", "dark_valleys", "exposed_field", "free_air", "is_chest", "otsu",
]  # fmt: skip

CHEST_PARTS = frozenset({"", "CHEST", "THORAX", "LUNG", "RIBS"})
FLAT_SHARE = 0.004
"""Rows or columns that vary less than this share of the picture's range are shutter."""

AIR_SHARE = 0.12
"""Direct exposure reaches no higher than this share of the range above the darkest value."""

SMALLEST_BODY = 0.3
SHALLOWEST = 0.04
"""Valleys less deep than this share of the range are no lung."""

USUAL_WALL = 70
"""Percentile of the brightness along an edge of the field that stands for the wall which the edge cut off."""

SMALLEST_LUNG = 0.02
"""Share of the field that a lung takes at least."""

ROWS_USED = (0.25, 0.75)


def is_chest(header: Dataset) -> bool:
    """Whether a header says so, or says nothing of the body part."""
    return text_of(header, "BodyPartExamined").upper().replace(" ", "") in CHEST_PARTS


FILMS: WeakKeyDictionary[Picture, "ChestFilm | None"] = WeakKeyDictionary()
"""What was found, for as long as its picture lives: six checks ask for the same."""


@dataclass(frozen=True)
class Field:
    """The exposed rectangle: rows from `top` to before `bottom`, columns from `left` to before `right`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def box(self) -> tuple[slice, slice]:
        """As slices."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True, eq=False)
class ChestFilm:
    """The lungs of a frontal chest radiograph.

    Parameters
    ----------
    left_lung, right_lung
        Masks by their side in the picture, not in the patient.
    body
        What is neither free air nor shutter.
    field
        The exposed rectangle.
    """

    left_lung: NDArray[np.bool_]
    right_lung: NDArray[np.bool_]
    body: NDArray[np.bool_]
    field: Field

    @property
    def lungs(self) -> NDArray[np.bool_]:
        """Both."""
        return self.left_lung | self.right_lung

    def outer_edges(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Rows in the middle half of the lungs' height, and the outermost lung column on either side of each."""
        both = np.flatnonzero(self.left_lung.any(axis=1) & self.right_lung.any(axis=1))
        if not len(both):
            return both, both, both
        top, bottom = both[0], both[-1]
        low, high = (round(top + share * (bottom - top)) for share in ROWS_USED)
        rows = np.array([r for r in range(low, high + 1) if self.left_lung[r].any() and self.right_lung[r].any()])
        left = self.left_lung[rows].argmax(axis=1)
        right = self.right_lung.shape[1] - 1 - self.right_lung[rows][:, ::-1].argmax(axis=1)
        return rows, left, right


def exposed_field(picture: Picture) -> Field | None:
    """The rectangle inside the shutters; None where the whole picture is flat."""
    grey = picture.coarse
    span = float(np.ptp(grey))
    if span <= 0:
        return None
    rows = np.flatnonzero(grey.std(axis=1) > FLAT_SHARE * span)
    if not len(rows):
        return None
    inner = grey[rows[0] : rows[-1] + 1]
    columns = np.flatnonzero(inner.std(axis=0) > FLAT_SHARE * span)
    if not len(columns):
        return None
    return Field(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


def free_air(picture: Picture, field: Field) -> NDArray[np.bool_]:
    """Direct exposure: the darkest pixels of the field that hang together with its border."""
    grey = picture.coarse[field.box]
    low, high = (float(v) for v in np.percentile(grey, [0.2, 98]))
    dark = np.pad(ndimage.uniform_filter(grey, 3) < low + AIR_SHARE * (high - low), 1, constant_values=True)
    labels, _ = ndimage.label(dark)
    air = np.zeros(picture.coarse.shape, dtype=np.bool_)
    air[field.box] = (labels == labels[0, 0])[1:-1, 1:-1]
    return air


def otsu(values: NDArray[np.float32], bins: int = 128) -> float:
    """Threshold that separates two classes best (largest variance between them)."""
    counts, edges = np.histogram(values, bins=bins)
    middles = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts)
    total = weight[-1]
    mean = np.cumsum(counts * middles)
    rest = np.maximum(total - weight, 1)
    between = weight * rest * (mean / np.maximum(weight, 1) - (mean[-1] - mean) / rest) ** 2
    return float(middles[int(between.argmax())])


def chest_film(picture: Picture) -> ChestFilm | None:
    """Lungs of a frontal chest radiograph, found once for each picture; None where there are not two."""
    if picture not in FILMS:
        FILMS[picture] = _chest_film(picture)
    return FILMS[picture]


def _chest_film(picture: Picture) -> ChestFilm | None:
    """Lungs of a frontal chest radiograph: the largest valley on either side of the body; None without two."""
    found = dark_valleys(picture)
    if found is None:
        return None
    labels, body, field = found
    area = (field.bottom - field.top) * (field.right - field.left)
    middle = float(np.average(np.arange(body.shape[1]), weights=body.sum(axis=0)))
    lungs = []
    for side in (-1, 1):
        best, size = 0, 0
        for index, box in enumerate(ndimage.find_objects(labels), start=1):
            part = labels[box] == index
            centre = box[1].start + float(np.nonzero(part)[1].mean())
            count = int(np.count_nonzero(part))
            if (centre - middle) * side > 0 and count > size:
                best, size = index, count
        if size < SMALLEST_LUNG * area:
            return None
        lungs.append(ndimage.binary_fill_holes(labels == best))
    return ChestFilm(lungs[0], lungs[1], body, field)


def dark_valleys(picture: Picture) -> tuple[NDArray[np.intp], NDArray[np.bool_], Field] | None:
    """Labelled valleys, the body, and the field; None where there is no body or no valley.

    A valley is what water would fill between the wall of the chest and the mediastinum, row by row. At the edge of the
    field free air is a drain and everything else a wall, so that a lung that the edge cuts is still one.
    """
    field = exposed_field(picture)
    if field is None:
        return None
    air = free_air(picture, field)
    body = np.zeros(picture.coarse.shape, dtype=np.bool_)
    body[field.box] = ~air[field.box]
    area = (field.bottom - field.top) * (field.right - field.left)
    if np.count_nonzero(body) < SMALLEST_BODY * area:
        return None
    smooth = ndimage.gaussian_filter(picture.coarse[field.box], 1.5)
    depth = np.minimum(_filled(smooth, air[field.box]), _filled(smooth.T, air[field.box].T).T) - smooth
    low, high = np.percentile(smooth, [2, 98])
    deep = depth[depth > SHALLOWEST * (high - low)]
    if deep.size < SMALLEST_LUNG * area:
        return None
    valleys = np.zeros(body.shape, dtype=np.bool_)
    level = max(SHALLOWEST * float(high - low), 0.5 * otsu(deep))
    valleys[field.box] = ndimage.binary_opening(depth > level, iterations=2)
    labels, _ = ndimage.label(valleys)
    return labels, body, field


def _filled(grey: NDArray[np.float32], air: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Level of water in each row: the lower of the highest values to the left and to the right."""
    levels = []
    for view, drain in ((grey, air), (grey[:, ::-1], air[:, ::-1])):
        solid = view[:, 0][~drain[:, 0]]
        usual = np.float32(np.percentile(solid, USUAL_WALL)) if solid.size else np.float32(0)
        wall = np.where(drain[:, 0], view[:, 0], usual)
        levels.append(np.maximum.accumulate(np.maximum(view, _first_column(wall, view.shape)), axis=1))
    return np.minimum(levels[0], levels[1][:, ::-1])


def _first_column(wall: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    first = np.full(shape, -np.inf, dtype=np.float32)
    first[:, 0] = wall
    return first
