"""From a region on a grid to the contours of one ROI as they are written: mode, holes, characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contouring.decimals import contour_data, decimal_text
from contouring.keyhole import with_keyholes
from contouring.rings import Rings
from contouring.smooth import smooth_rings
from contouring.trace import trace_cracks
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Holes", "Mode", "Outline", "outline_of"]

Mode = Literal["crack", "smooth"]
"""How contours run: along the pixels' sides, or smoothly between the same pixels."""

Holes = Literal["nested", "keyhole", "xor"]
"""How holes are written: inner contours, one path with a channel, or CLOSEDPLANAR_XOR."""

FINE_PIXEL_MM = 0.1
"""Below this pixel size three decimals are too coarse: rounding must stay far below the 0.02 px of smooth mode."""


@dataclass(frozen=True, eq=False)
class Outline:
    """The contours of one ROI.

    Parameters
    ----------
    planes
        Plane of each contour.
    counts
        Number of points of each.
    data
        ContourData of each, of even length.
    geometric_type
        ContourGeometricType of all of them.
    area_px
        Sum of the enclosed areas over all planes, in pixels.
    """

    planes: tuple[int, ...]
    counts: tuple[int, ...]
    data: tuple[bytes, ...]
    geometric_type: str
    area_px: float


def outline_of(
    region: Region,
    grid: Grid,
    *,
    mode: Mode,
    holes: Holes,
    decimals: int = 3,
    rivals: Sequence[Region] | None = None,
    rings: Rings | None = None,
) -> Outline:
    """The contours of a region.

    Parameters
    ----------
    region, grid
        The voxels, and where they are.
    mode, holes
        How contours run, and how holes are written.
    decimals
        Digits after the point.
    rivals
        In smooth mode, the other structures with their probabilities, to share edges with; see `smooth_rings`.
    rings
        The contours where they are drawn already, such as isodose lines; they enclose the region's pixels.

    Raises
    ------
    UnwritableNumber
        A coordinate does not fit into the 16 characters of a decimal string.
    """
    if rings is None:
        rings = trace_cracks(region) if mode == "crack" else smooth_rings(region, rivals=rivals)
    area_px = float(rings.areas.sum())
    if holes == "keyhole":
        rings = with_keyholes(rings)
    digits = decimals + int(np.ceil(max(0.0, np.log10(FINE_PIXEL_MM / min(grid.pixel_spacing_mm)))))
    data = contour_data(
        points_of(rings, grid), rings.starts, digits, [_constant(grid, rings, axis) for axis in range(3)]
    )
    return Outline(
        planes=tuple(rings.planes.tolist()),
        counts=tuple(rings.counts.tolist()),
        data=tuple(data),
        geometric_type="CLOSEDPLANAR_XOR" if holes == "xor" else "CLOSED_PLANAR",
        area_px=area_px,
    )


def points_of(rings: Rings, grid: Grid) -> NDArray[np.float64]:
    """Vertices of rings in patient space, shape (M, 3), mm."""
    return grid.points_lps(rings.vertex_planes, rings.columns_rows)


def _constant(grid: Grid, rings: Rings, axis: int) -> list[str] | None:
    """Text of a coordinate that is the same all over each plane, with all the digits of the image's position."""
    if grid.row_direction[axis] or grid.column_direction[axis]:
        return None
    texts = [decimal_text(float(p)) for p in grid.positions_lps[:, axis]]
    return [texts[k] for k in rings.planes]
