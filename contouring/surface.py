"""Surfaces of two masks and the distances between them: elements on the dual grid, each with its area in mm^2.

An element stands at the corner that eight voxels share, wherever not all eight are alike. Its area is that of the
marching-cubes triangles of the pattern at the true spacing. This is the definition of Nikolov et al. (J Med Internet
Res 2021;23:e26151), and gives the numbers of their program.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from contouring.nearest import nearest_mm
from contouring.overlap import joint_crops
from contouring.volumes import check_on_grid
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Convention", "SurfaceDistances", "element_areas_mm2", "surface_distances"]

FloatArray = NDArray[np.float64]
Convention = Literal["dual_grid", "voxel_border"]

PATTERNS: dict[int, tuple[tuple[int, int, int], ...]] = {
    0b00000001: ((1, 1, 1),),
    0b00000011: ((2, 2, 0), (2, 2, 0)),
    0b00000110: ((1, 1, 1), (1, 1, 1)),
    0b00000111: ((1, 1, 1), (2, 2, 2), (4, 0, 0)),
    0b00001111: ((4, 0, 0), (4, 0, 0)),
    0b00010110: ((1, 1, 1), (1, 1, 1), (1, 1, 1)),
    0b00010111: ((1, 1, 1), (1, 1, 1), (2, 2, 2), (2, 2, 2)),
    0b00011000: ((1, 1, 1), (1, 1, 1)),
    0b00011001: ((0, 2, 2), (0, 2, 2), (1, 1, 1)),
    0b00011011: ((0, 2, 2), (1, 1, 1), (2, 0, 2), (3, 3, 3)),
    0b00011110: ((1, 1, 1), (1, 1, 1), (2, 2, 2), (4, 0, 0)),
    0b00111100: ((2, 2, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0)),
    0b01101001: ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
}
"""Triangles of marching cubes with vertices at the middle of edges, for one pattern of each kind.

Bit 4z + 2y + x is the voxel at (z, y, x) of the eight. Each triangle is its normal (z, y, x) without sign in eighths:
a triangle of a unit cube with normal n has at spacing s the area |(n_z s_y s_x, n_y s_z s_x, n_x s_z s_y)|. Turning,
mirroring and complementing a pattern does the same to its triangles, which gives the other 243.
"""


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distance of each surface element of one region to the nearest of the other, ascending, with its area.

    Parameters
    ----------
    a_to_b_mm, b_to_a_mm
        Distances; infinite where the other region is empty, no elements where the own region is.
    a_areas, b_areas
        Area of each element in mm^2 (length in mm on a single plane, 1 for "voxel_border"), in the same order.
    convention
        What the elements are.
    """

    a_to_b_mm: FloatArray
    a_areas: FloatArray
    b_to_a_mm: FloatArray
    b_areas: FloatArray
    convention: Convention = "dual_grid"


def surface_distances(a: Region, b: Region, grid: Grid, convention: Convention = "dual_grid") -> SurfaceDistances:
    """Distances between the surfaces of two regions of one grid.

    Parameters
    ----------
    a, b
        Regions on the grid.
    grid
        Even and untilted. A grid of one plane gives contours with lengths instead of surfaces with areas.
    convention
        "dual_grid" as above; "voxel_border" takes the centres of voxels with a background neighbour, all of equal
        weight, as MONAI and medpy do. The two give different numbers: never put them into one table.

    Raises
    ------
    GridMismatch
        A region lies on another grid.
    MissingSlices
        Planes are not evenly spaced, so that no area is defined.
    GantryTilt
        The planes are shifted against each other.
    """
    check_on_grid(a, grid)
    check_on_grid(b, grid)
    _ = grid.affine_lps if len(grid.positions_lps) > 1 else None
    spacing = np.array(grid.spacing_mm if len(grid.positions_lps) > 1 else (1.0, *grid.pixel_spacing_mm))
    crop_a, crop_b, _ = joint_crops(a, b)
    points_a, areas_a = _elements(crop_a, spacing, len(grid.positions_lps) == 1, convention)
    points_b, areas_b = _elements(crop_b, spacing, len(grid.positions_lps) == 1, convention)
    a_to_b, b_to_a = nearest_mm(points_a, points_b, spacing), nearest_mm(points_b, points_a, spacing)
    order_a, order_b = np.argsort(a_to_b, kind="stable"), np.argsort(b_to_a, kind="stable")
    return SurfaceDistances(a_to_b[order_a], areas_a[order_a], b_to_a[order_b], areas_b[order_b], convention)


@lru_cache(maxsize=64)
def element_areas_mm2(spacing_mm: tuple[float, float, float]) -> FloatArray:
    """Area of a surface element by its 8-bit pattern, shape (256,), for a spacing (planes, rows, columns)."""
    sz, sy, sx = spacing_mm
    faces = np.array([sy * sx, sz * sx, sz * sy])
    areas = np.zeros(256)
    for code, triangles in PATTERNS.items():
        for order in permutations(range(3)):
            normals = np.array(triangles)[:, order]
            area = float(np.linalg.norm(normals * faces / 8, axis=1).sum())
            for flips in product((0, 1), repeat=3):
                turned = _turned(code, order, flips)
                areas[turned] = areas[255 - turned] = area
    areas.setflags(write=False)
    return areas


def _turned(code: int, order: tuple[int, ...], flips: tuple[int, ...]) -> int:
    turned = 0
    for bit in range(8):
        if code >> bit & 1:
            corner = (bit >> 2, bit >> 1 & 1, bit & 1)
            z, y, x = (corner[order[axis]] ^ flips[axis] for axis in range(3))
            turned |= 1 << (4 * z + 2 * y + x)
    return turned


def _elements(
    mask: NDArray[np.bool_], spacing: FloatArray, flat: bool, convention: Convention
) -> tuple[NDArray[np.intp], FloatArray]:
    """Index positions (shifted by half a voxel on the dual grid) and areas of the elements of a mask."""
    if not mask.size:
        return np.zeros((0, 3), dtype=np.intp), np.zeros(0)
    if convention == "voxel_border":
        border = mask & ~binary_erosion(mask, np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]]) if flat else None)
        points = np.argwhere(border)
        return points, np.ones(len(points))
    codes = _codes(mask, flat)
    full = 0b1111 if flat else 0b11111111
    found = np.flatnonzero((codes != 0) & (codes != full))
    points = np.stack(np.unravel_index(found, codes.shape), axis=1)
    if flat:
        table = _contour_lengths_mm(float(spacing[1]), float(spacing[2]))
    else:
        table = element_areas_mm2((float(spacing[0]), float(spacing[1]), float(spacing[2])))
    return points, table[codes.ravel()[found]]


def _codes(mask: NDArray[np.bool_], flat: bool) -> NDArray[np.uint8]:
    """Pattern of the voxels around each corner; the mask is padded by background."""
    bits = np.pad(mask, ((0, 0) if flat else (1, 1), (1, 1), (1, 1))).view(np.uint8)
    codes = bits[:, :, :-1] | bits[:, :, 1:] << 1
    codes = codes[:, :-1] | codes[:, 1:] << 2
    return np.asarray(codes if flat else codes[:-1] | codes[1:] << 4, dtype=np.uint8)


@lru_cache(maxsize=64)
def _contour_lengths_mm(dy: float, dx: float) -> FloatArray:
    """Length of a contour element by its 4-bit pattern (bit 2y + x), shape (16,)."""
    corner = float(np.hypot(dy, dx)) / 2
    lengths = np.full(16, corner)
    lengths[[0, 15]] = 0
    lengths[[0b0011, 0b1100]] = dx
    lengths[[0b0101, 0b1010]] = dy
    lengths[[0b0110, 0b1001]] = 2 * corner
    return lengths
