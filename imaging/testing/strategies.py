"""Hypothesis strategies for grids and volumes: all the orientations and shapes that programs tend to get wrong.

Needs hypothesis, which is imported only when a strategy is made.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid
from imaging.volume import Volume

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["PATIENT_POSITIONS", "PLANES", "grids", "oblique_orientation", "volumes"]

Cosines = tuple[float, float, float, float, float, float]

PATIENT_POSITIONS: dict[str, Cosines] = {
    "HFS": (1, 0, 0, 0, 1, 0),
    "HFP": (-1, 0, 0, 0, -1, 0),
    "FFS": (-1, 0, 0, 0, 1, 0),
    "FFP": (1, 0, 0, 0, -1, 0),
    "HFDR": (0, 1, 0, -1, 0, 0),
    "HFDL": (0, -1, 0, 1, 0, 0),
    "FFDL": (0, 1, 0, 1, 0, 0),
    "FFDR": (0, -1, 0, -1, 0, 0),
}
"""Orientation cosines of axial planes, of a patient as the scanner sees him (contouring specification, section 8)."""

PLANES: dict[str, Cosines] = {"SAG": (0, 1, 0, 0, 0, -1), "COR": (1, 0, 0, 0, 0, -1)}
"""Sagittal and coronal planes."""


def oblique_orientation(angles_deg: tuple[float, float, float], decimals: int = 6) -> Cosines:
    """Axial cosines turned about x, then y, then z, rounded as scanners write them."""
    a, b, c = np.radians(angles_deg)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turned = np.round(about_z @ about_y @ about_x, decimals)
    r, d = turned[:, 0], turned[:, 1]
    return (float(r[0]), float(r[1]), float(r[2]), float(d[0]), float(d[1]), float(d[2]))


def grids(*, is_even: bool = True, is_tilted: bool = False, max_planes: int = 7) -> "SearchStrategy[Grid]":
    """Grids of any orientation: never square pixels, never as many rows as columns, never an origin at zero.

    Parameters
    ----------
    is_even
        False draws a distance of its own for every step from plane to plane.
    is_tilted
        True shifts the planes against each other, as a tilted gantry does.
    max_planes
        Most planes.
    """
    from hypothesis import strategies as st

    spacings = st.floats(0.3, 3.0).map(lambda s: round(s, 4))
    angles = st.tuples(*[st.floats(-180, 180)] * 3)
    orientations = st.one_of(
        st.sampled_from([*PATIENT_POSITIONS.values(), *PLANES.values()]),
        st.builds(oblique_orientation, angles, st.sampled_from([4, 6])),
    )

    @st.composite
    def build(draw: "DrawFn") -> Grid:
        cosines = np.array(draw(orientations))
        row, column = cosines[:3], cosines[3:]
        planes = draw(st.integers(1 if is_even and not is_tilted else 3, max_planes))
        steps = [draw(spacings)] * (planes - 1) if is_even else draw(_steps(planes - 1))
        normal = np.cross(row, column) / np.linalg.norm(np.cross(row, column))
        origin = np.array(draw(st.tuples(*[st.floats(-400, 400)] * 3))) + 0.125
        tilt_deg = draw(st.floats(2, 25)) if is_tilted else 0.0
        along = np.concatenate([[0.0], np.cumsum(steps)])
        positions = origin + along[:, None] * (normal + np.tan(np.radians(tilt_deg)) * column)
        rows = draw(st.integers(2, 12))
        between_rows, between_columns = draw(st.tuples(spacings, spacings).filter(lambda s: s[0] != s[1]))
        return Grid(
            positions_lps=positions,
            row_direction=row,
            column_direction=column,
            pixel_spacing_mm=(between_rows, between_columns),
            rows=rows,
            columns=draw(st.integers(2, 12).filter(lambda n: n != rows)),
            frame_of_reference_uid="2.25.1",
            slice_thickness_mm=draw(spacings),
        )

    def _steps(count: int) -> "SearchStrategy[list[float]]":
        return st.lists(spacings, min_size=count, max_size=count).filter(lambda s: max(s) - min(s) > 0.1)

    return build()


def volumes(**options: Any) -> "SearchStrategy[Volume]":
    """Volumes of int16 on the grids of `grids(**options)`, every voxel with a value of its own."""
    from hypothesis import strategies as st

    def fill(grid: Grid, start: int) -> Volume:
        count = int(np.prod(grid.shape))
        values: NDArray[np.int16] = np.arange(start, start + count).astype(np.int16)
        return Volume(values.reshape(grid.shape), grid, unit="[hnsf'U]")

    return st.builds(fill, grids(**options), st.integers(-1024, 1000))
