"""Grids, stacks, masks and an independent reader for the tests of contours."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from contouring import Roi, lookup
from contouring.shapes import rotation
from imaging.geometry import Grid
from imaging.provenance import Algorithm
from imaging.series import Stack
from imaging.volume import Region, SourceInstance
from tests.synthetic.series import SeriesDescription, series_datasets

ALGORITHM = Algorithm(
    name="head_neck_ct_oar_segmentation",
    version="0.1.0",
    weights_sha256=("ab" * 32,),
    bundle_digest="cd" * 32,
    manufacturer="radgate",
)


def _turned(decimals: int, *degrees: float) -> tuple[float, ...]:
    matrix = rotation(degrees[0], degrees[1], degrees[2])
    return tuple(float(v) for v in np.round(np.concatenate([matrix[:, 0], matrix[:, 1]]), decimals))


ORIENTATIONS: Mapping[str, tuple[float, ...]] = {
    "HFS": (1, 0, 0, 0, 1, 0),
    "HFP": (-1, 0, 0, 0, -1, 0),
    "FFS": (-1, 0, 0, 0, 1, 0),
    "FFP": (1, 0, 0, 0, -1, 0),
    "HFDR": (0, 1, 0, -1, 0, 0),
    "HFDL": (0, -1, 0, 1, 0, 0),
    "FFDL": (0, 1, 0, 1, 0, 0),
    "FFDR": (0, -1, 0, -1, 0, 0),
    "SAG": (0, 1, 0, 0, 0, -1),
    "COR": (1, 0, 0, 0, 0, -1),
    "OBL20 with 6 decimals": _turned(6, 20, 0, 0),
    "OBL20 with 4 decimals": _turned(4, 0, 20, 0),
    "OBL3 with 6 decimals": _turned(6, 17, -31, 48),
    "OBL3 with 4 decimals": _turned(4, -63, 22, 141),
}

CONDITIONS: Mapping[str, dict[str, Any]] = {
    **{name: {"orientation": cosines} for name, cosines in ORIENTATIONS.items()},
    "NONSQ-P": {"pixel_spacing_mm": (2.0, 1.0)},
    "NONSQ-M": {"rows": 29, "columns": 61},
    "NONUNI": {"planes": 7, "steps_mm": (2.0, 2.0, 3.0, 5.0, 3.0, 2.0)},
    "GAP": {"planes": 9, "steps_mm": (2.5, 2.5, 2.5, 5.0, 2.5, 2.5, 2.5, 2.5)},
    "ONE": {"planes": 1},
    "TILT": {"tilt_deg": 10.0},
    "TILT in HFS": {"tilt_deg": 10.0, "orientation": ORIENTATIONS["HFS"]},
    "MR": {"modality": "MR"},
}
"""Rows of the test matrix that a series description can say (specification of contouring, section 8)."""


def stack_of(**changes: Any) -> Stack:
    """A stack in memory with the geometry of a description; its pixels do not matter."""
    d = SeriesDescription(**changes)
    grid = d.grid()
    first = series_datasets(SeriesDescription(**{**changes, "planes": 1, "steps_mm": None}))[0]
    sources = tuple(
        SourceInstance(str(first.SOPClassUID), d.sop_instance_uid(k), d.series_instance_uid) for k in range(d.planes)
    )
    return Stack(grid=grid, sources=sources, files=(), headers=(first,), pixels=())


def knotty_mask(grid: Grid) -> NDArray[np.bool_]:
    """A mask without any symmetry: an off-centre body with holes, an island in a hole, specks, a diagonal, corners."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    z, y, x = ((index + 0.5) / size for index, size in zip((k, j, i), grid.shape, strict=True))
    body = (x - 0.43) ** 2 / 0.08 + (y - 0.55) ** 2 / 0.13 + (z - 0.45) ** 2 / 0.4 + 0.1 * np.sin(9 * x + 5 * y) < 1
    hole = (x - 0.36) ** 2 / 0.012 + (y - 0.5) ** 2 / 0.03 + (z - 0.4) ** 2 / 0.2 < 1
    island = (x - 0.35) ** 2 / 0.002 + (y - 0.47) ** 2 / 0.005 + (z - 0.4) ** 2 / 0.1 < 1
    mask = (body & ~hole) | island
    row, column = round(0.5 * grid.rows), round(0.62 * grid.columns)
    mask[:, row, column] = mask[:, row, column - 3] = False
    for step in range(4):
        mask[0, 1 + step, 2 + step] = True
    mask[-1, 0, 0] = mask[0, -1, 0] = mask[0, 0, -1] = mask[-1, -1, -1] = True
    mask[-1, 4, :] = True
    return np.asarray(mask, dtype=np.bool_)


def roi(mask: NDArray[np.bool_], number: int = 1, name: str = "Parotid_L", **fields: Any) -> Roi:
    """A structure of a full mask."""
    return Roi(number, lookup(name), Region.from_mask(mask), **fields)


def plainly_read(dataset: Dataset, number: int, grid: Grid) -> NDArray[np.bool_]:
    """A structure as a mask, by the definition and nothing else: an independent, slow reader.

    Each contour goes to the nearest plane; of each pixel centre, the crossings of a ray along the row are counted for
    all contours of the plane together. Coordinates come from an inverted 3 x 3 matrix and pydicom's own numbers.
    """
    mask = np.zeros(grid.shape, dtype=np.bool_)
    w, u = np.mgrid[0 : grid.rows, 0 : grid.columns]
    axes = np.stack(
        [
            grid.row_direction * grid.pixel_spacing_mm[1],
            grid.column_direction * grid.pixel_spacing_mm[0],
            np.cross(grid.row_direction, grid.column_direction),
        ],
        axis=1,
    )
    for item in dataset.ROIContourSequence:
        if int(item.ReferencedROINumber) != number:
            continue
        for contour in item.get("ContourSequence") or ():
            points = np.array([float(v) for v in contour.ContourData]).reshape(-1, 3)
            distance = [abs(float((points[0] - origin) @ np.linalg.inv(axes)[2])) for origin in grid.positions_lps]
            plane = int(np.argmin(distance))
            uv = (points - grid.positions_lps[plane]) @ np.linalg.inv(axes).T
            for (u0, w0), (u1, w1) in zip(uv[:, :2], np.roll(uv[:, :2], -1, axis=0), strict=True):
                if (w0 <= w1 and w0 == w1) or not (min(w0, w1) < grid.rows and max(w0, w1) > -1):
                    continue
                rows = (np.minimum(w0, w1) <= w) & (w < np.maximum(w0, w1))
                mask[plane] ^= rows & (u >= u0 + (u1 - u0) * (w - w0) / (w1 - w0))
    return mask
