"""How far two regions overlap, in voxels: Dice, Jaccard, volume ratio, and where two boxes meet."""

import math

import numpy as np
from numpy.typing import NDArray

from contouring.errors import GridMismatch
from imaging.volume import Region

__all__ = ["dice", "jaccard", "joint_crops", "volume_difference"]


def dice(a: Region, b: Region, both_empty: float = math.nan) -> float:
    """Dice coefficient of two regions of one grid: 2 |A and B| / (|A| + |B|).

    Parameters
    ----------
    a, b
        Regions on the same grid.
    both_empty
        What two empty regions give; one empty region always gives 0.

    Raises
    ------
    GridMismatch
        The grids differ in shape.
    """
    size_a, size_b, common = _counts(a, b)
    return 2 * common / (size_a + size_b) if size_a + size_b else both_empty


def jaccard(a: Region, b: Region, both_empty: float = math.nan) -> float:
    """Jaccard index of two regions of one grid: |A and B| / |A or B|; see `dice`.

    Raises
    ------
    GridMismatch
        The grids differ in shape.
    """
    size_a, size_b, common = _counts(a, b)
    union = size_a + size_b - common
    return common / union if union else both_empty


def volume_difference(a: Region, b: Region) -> float:
    """(|B| - |A|) / |A| in voxels, A being the reference: 0.1 where B is 10 % larger. NaN where A is empty.

    Raises
    ------
    GridMismatch
        The grids differ in shape.
    """
    size_a, size_b, _ = _counts(a, b)
    return (size_b - size_a) / size_a if size_a else math.nan


def joint_crops(a: Region, b: Region) -> tuple[NDArray[np.bool_], NDArray[np.bool_], tuple[int, int, int]]:
    """Both regions cropped to the smallest box that holds either, and the box's first index.

    Raises
    ------
    GridMismatch
        The grids differ in shape.
    """
    check_same_shape(a, b)
    filled = [r for r in (a, b) if r.crop.size]
    if not filled:
        empty = np.zeros((0, 0, 0), dtype=np.bool_)
        return empty, empty, (0, 0, 0)
    lo = [min(r.start[axis] for r in filled) for axis in range(3)]
    hi = [max(r.start[axis] + r.crop.shape[axis] for r in filled) for axis in range(3)]
    crops = []
    for region in (a, b):
        crop = np.zeros([h - low for h, low in zip(hi, lo, strict=True)], dtype=np.bool_)
        if region.crop.size:
            crop[tuple(slice(s.start - low, s.stop - low) for s, low in zip(region.box, lo, strict=True))] = region.crop
        crops.append(crop)
    return crops[0], crops[1], (lo[0], lo[1], lo[2])


def check_same_shape(a: Region, b: Region) -> None:
    """Refuse two regions that cannot lie on one grid.

    Raises
    ------
    GridMismatch
        The grids differ in shape.
    """
    if a.shape != b.shape:
        raise GridMismatch(
            f"The structures lie on different grids, {a.shape} and {b.shape} voxels; bring both onto one image first.",
            expected=list(a.shape),
            got=list(b.shape),
        )


def _counts(a: Region, b: Region) -> tuple[int, int, int]:
    check_same_shape(a, b)
    lo = [max(r) for r in zip(a.start, b.start, strict=True)]
    hi = [
        min(sa + na, sb + nb)
        for sa, na, sb, nb in zip(a.start, a.crop.shape, b.start, b.crop.shape, strict=True)
    ]  # fmt: skip
    common = 0
    if all(low < high for low, high in zip(lo, hi, strict=True)):
        part_a, part_b = (
            r.crop[tuple(slice(low - s, high - s) for low, high, s in zip(lo, hi, r.start, strict=True))]
            for r in (a, b)
        )  # fmt: skip
        common = int(np.count_nonzero(part_a & part_b))
    return a.voxel_count, b.voxel_count, common
