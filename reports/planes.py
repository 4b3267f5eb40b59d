"""The three ways to look at a volume: which axis of the array runs where on the picture, and in what direction."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.geometry import Grid
from imaging.volume import Region, Volume
from reports.numbers import format_number

__all__ = ["Plane", "Window", "body_rows_columns", "direction_letters", "display_planes", "window_of"]

SOFT_TISSUE = (40.0, 400.0)
"""Level and width in HU."""

OBLIQUE_COSINE = 0.34
"""A direction is named by a second letter from 20 degrees off the first."""


@dataclass(frozen=True)
class Plane:
    """One way to look: array axes across, down and through the picture, and whether each is turned round.

    Parameters
    ----------
    through, down, across
        Axes of the array (Z, Y, X).
    flip_down, flip_across
        The picture runs against the array's index.
    letters
        Direction of the patient at the picture's "left", "right", "top", "bottom".
    ascends
        The index through the pictures grows towards the head, the left or the back.
    positions
        Position of each plane along the patient axis it is nearest to, in mm, and that axis' letter.
    """

    name: str
    zh: str
    en: str
    through: int
    down: int
    across: int
    flip_down: bool
    flip_across: bool
    row_mm: float
    column_mm: float
    count: int
    letters: dict[str, str]
    ascends: bool
    positions: tuple[NDArray[np.float64], str]

    def image(self, array: NDArray[Any], index: int) -> NDArray[Any]:
        """The plane as it is to be shown."""
        return self._turned(np.take(array, index, axis=self.through))

    def mask(self, region: Region, index: int) -> tuple[NDArray[np.bool_], int, int] | None:
        """The region's crop on this plane, with its first row and column on the picture; None where it is not there."""
        local = index - region.start[self.through]
        if not 0 <= local < region.crop.shape[self.through]:
            return None
        crop = self._turned(np.take(region.crop, local, axis=self.through))
        if not crop.any():
            return None
        row = self._first(region, self.down, turned=self.flip_down)
        return crop, row, self._first(region, self.across, turned=self.flip_across)

    def areas(self, region: Region | None) -> NDArray[np.float64]:
        """Number of voxels of a region on each plane."""
        areas = np.zeros(self.count)
        if region is not None:
            start = region.start[self.through]
            counts = np.count_nonzero(region.crop, axis=tuple(a for a in range(3) if a != self.through))
            areas[start : start + len(counts)] = counts
        return areas

    def position(self, index: int) -> str:
        """Where the plane lies, such as "z = -112.5 mm"."""
        values, axis = self.positions
        return f"{axis} = {format_number(float(values[index]), 1)} mm"

    def _turned(self, plane: NDArray[Any]) -> NDArray[Any]:
        shown = plane if self.down < self.across else plane.T
        shown = shown[::-1] if self.flip_down else shown
        return shown[:, ::-1] if self.flip_across else shown

    def _first(self, region: Region, axis: int, *, turned: bool) -> int:
        if turned:
            return region.shape[axis] - region.start[axis] - region.crop.shape[axis]
        return region.start[axis]


@dataclass(frozen=True)
class Window:
    """Values from `low` to `high` become black to white; what lies above `body` belongs to the body."""

    low: float
    high: float
    body: float

    def grey(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """The values as 8-bit grey."""
        scaled = (np.asarray(values, dtype=np.float32) - self.low) * (255 / (self.high - self.low))
        return np.asarray(np.clip(np.round(scaled), 0, 255), dtype=np.uint8)


def window_of(volume: Volume) -> Window:
    """Soft tissue for HU, else from the 1st to the 99th percentile of every fourth voxel."""
    if volume.unit == "[hnsf'U]":
        level, width = SOFT_TISSUE
        return Window(level - width / 2, level + width / 2, -300.0)
    low, high = (float(v) for v in np.percentile(volume.array[::4, ::4, ::4], (1, 99)))
    high = max(high, low + 1e-6)
    return Window(low, high, low + 0.08 * (high - low))


def display_planes(grid: Grid) -> tuple[Plane, Plane, Plane]:
    """How to show axial, coronal and sagittal pictures of a grid, whatever its orientation."""
    affine = grid.affine_lps[:3, :3]
    directions = affine / np.linalg.norm(affine, axis=0)
    axis_of = _nearest_axes(directions)
    spacing = np.linalg.norm(affine, axis=0)
    shape = np.array(grid.shape)
    centre = grid.affine_lps @ np.append((shape - 1) / 2, 1.0)
    planes = []
    # (name, texts, patient axis through, down, across, wanted direction of down and across in LPS)
    for name, zh, en, through, down, across, down_sign, across_sign in (
        ("axial", "横断面", "Axial", 2, 1, 0, +1, +1),
        ("coronal", "冠状面", "Coronal", 1, 2, 0, -1, +1),
        ("sagittal", "矢状面", "Sagittal", 0, 2, 1, -1, +1),
    ):
        t, d, a = axis_of[through], axis_of[down], axis_of[across]
        flip_down = bool(directions[down, d] * down_sign < 0)
        flip_across = bool(directions[across, a] * across_sign < 0)
        to_bottom = directions[:, d] * (-1 if flip_down else 1)
        to_right = directions[:, a] * (-1 if flip_across else 1)
        index = np.arange(shape[t]) - (shape[t] - 1) / 2
        planes.append(
            Plane(
                name=name,
                zh=zh,
                en=en,
                through=t,
                down=d,
                across=a,
                flip_down=flip_down,
                flip_across=flip_across,
                row_mm=float(spacing[d]),
                column_mm=float(spacing[a]),
                count=int(shape[t]),
                letters={
                    "right": direction_letters(to_right),
                    "left": direction_letters(-to_right),
                    "bottom": direction_letters(to_bottom),
                    "top": direction_letters(-to_bottom),
                },
                ascends=bool(directions[through, t] > 0),
                positions=(centre[through] + index * affine[through, t], "xyz"[through]),
            )
        )
    return planes[0], planes[1], planes[2]


def direction_letters(direction: NDArray[np.float64]) -> str:
    """A direction in letters (L, R, A, P, H, F), the strongest first; a second one from 20 degrees off."""
    pairs = ("RL", "AP", "FH")
    order = np.argsort(-np.abs(direction), kind="stable")
    chosen = [axis for n, axis in enumerate(order) if n == 0 or abs(direction[axis]) > OBLIQUE_COSINE]
    return "".join(pairs[axis][int(direction[axis] > 0)] for axis in chosen[:2])


def body_rows_columns(
    values: NDArray[Any], window: Window, body: tuple[NDArray[np.bool_], int, int] | None = None
) -> tuple[slice, slice]:
    """Rows and columns that hold the body, with a little margin; everything where there is none.

    Parameters
    ----------
    values
        A plane as it is shown.
    window
        Says what belongs to the body.
    body
        The body's own mask on this plane with its first row and column, where a structure of the result is it. Without
        it, the largest connected part above the threshold, on every fourth pixel: a couch beside it is left out.
    """
    step = 4
    if body is None:
        inside = ndimage.binary_opening(np.asarray(values[::step, ::step], dtype=np.float32) > window.body)
        labels, count = ndimage.label(inside)
        if not count:
            return slice(0, values.shape[0]), slice(0, values.shape[1])
        part = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
        first = (0, 0)
    else:
        part, first, step = body[0], body[1:], 1
    slices = []
    for axis in (0, 1):
        filled = np.flatnonzero(part.any(axis=1 - axis))
        size = values.shape[axis]
        margin = max(3, size // 40)
        low, high = first[axis] + int(filled[0]) * step, first[axis] + (int(filled[-1]) + 1) * step
        slices.append(slice(max(low - margin, 0), min(high + margin, size)))
    return slices[0], slices[1]


def _nearest_axes(directions: NDArray[np.float64]) -> dict[int, int]:
    """For each patient axis (x, y, z) the array axis that runs along it most; each array axis is used once."""
    strength = np.abs(directions)
    chosen: dict[int, int] = {}
    for _ in range(3):
        patient, array = np.unravel_index(int(strength.argmax()), (3, 3))
        chosen[int(patient)] = int(array)
        strength[patient, :] = -1
        strength[:, array] = -1
    return chosen
