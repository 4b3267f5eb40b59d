"""What there is to say about a registration: overlap of structures, local change of volume, a picture."""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from contouring.dose.deformation import Deformation
from contouring.dose.inside import OrganMask
from contouring.dose.places import turned
from contouring.dose.register import values_at
from contouring.dose.solid import Steps, sub_voxels
from contouring.dose.structure import PlanarStructure
from contouring.dose.transform import Transform
from contouring.errors import ContouringError
from imaging.volume import Volume

__all__ = ["least_jacobian", "least_jacobians", "registration_picture", "structure_dice"]

FloatArray = NDArray[np.float64]

POINTS = 40_000
RIM_MM = 12.0
"""How far around an organ its counterpart is looked for; beyond that the overlap is poor anyway."""

WINDOW_HU = (-160.0, 240.0)
TILE_MM = 30.0
PICTURE_PX = 360
SCALE_MM = 10.0
BODY_HU = -300.0
COLD, WARM = np.array([49.0, 54.0, 149.0]), np.array([255.0, 221.0, 60.0])


def structure_dice(
    own: Mapping[str, PlanarStructure], others: Mapping[str, PlanarStructure], transform: Transform
) -> dict[str, float]:
    """Overlap of each structure with the one of the same name on the other image, mapped back.

    Parameters
    ----------
    own, others
        Structures of both images, each in its frame.
    transform
        From the frame of the first to that of the others.
    """
    found = {}
    for name in own.keys() & others.keys():
        try:
            found[name] = _dice(own[name], others[name], transform)
        except ContouringError:
            continue
    return dict(sorted(found.items()))


def least_jacobians(deformation: Deformation, structures: Mapping[str, PlanarStructure]) -> dict[str, float]:
    """Smallest local change of volume in each structure, and over all nodes under ""."""
    grid = deformation.grid
    j, i = np.mgrid[0 : grid.rows, 0 : grid.columns]
    pixels = np.stack([i.ravel(), j.ravel()], axis=1).astype(np.float64)
    whole = min(float(deformation.determinants(grid.points_lps(k, pixels)).min()) for k in range(grid.shape[0]))
    inside = {name: least_jacobian(deformation, structure) for name, structure in structures.items()}
    return {"": whole} | {name: least for name, least in inside.items() if least is not None}


def least_jacobian(deformation: Deformation, structure: PlanarStructure) -> float | None:
    """Smallest local change of volume in a structure; None where the deformation does not reach it."""
    try:
        points = sub_voxels(structure, _steps(structure)).points_lps
    except ContouringError:
        return None
    inside = points[deformation.covers(points)]
    return float(deformation.determinants(inside).min()) if len(inside) else None


def _steps(structure: PlanarStructure) -> Steps:
    side = (structure.slab_volume_mm3 / POINTS) ** (1 / 3)
    return Steps(max(side, 0.2), max(side, 0.2))


def _dice(own: PlanarStructure, other: PlanarStructure, transform: Transform) -> float:
    """Twice the common volume over the sum of both, on points around the own structure."""
    polygons = np.concatenate([p for plane in own.polygons for p in plane])
    low = np.append(polygons.min(axis=0), own.positions_mm[0]) - RIM_MM
    high = np.append(polygons.max(axis=0), own.positions_mm[-1]) + RIM_MM
    step = (float(np.prod(high - low)) / (4 * POINTS)) ** (1 / 3)
    axes = [np.arange(a + step / 2, b, step) for a, b in zip(low, high, strict=True)]
    points = turned(np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1), own.axes)
    first = OrganMask(own, _steps(own)).contains(points)
    second = OrganMask(other, _steps(other)).contains(transform.apply(points)) & transform.covers(points)
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 0.0


def registration_picture(fixed: Volume, moving: Volume, transform: Transform) -> bytes:
    """Three planes through the middle as a PNG: the images as a checkerboard; below, how far tissue was displaced.

    Parameters
    ----------
    fixed, moving
        The two images.
    transform
        From the frame of the first to that of the second.
    """
    from PIL import Image, ImageDraw

    grid = fixed.grid
    centre = grid.points_lps(grid.shape[0] // 2, [[(grid.columns - 1) / 2, (grid.rows - 1) / 2]])[0]
    # The longest side of the image fills the picture.
    pixel_mm = max(n * s for n, s in zip(grid.shape, fixed.spacing_mm, strict=True)) / PICTURE_PX
    right, down, up = grid.row_direction, grid.column_direction, grid.normal
    views = [
        _view(fixed, moving, transform, (centre, a, b), pixel_mm) for a, b in ((right, down), (right, -up), (down, -up))
    ]
    picture = Image.fromarray(np.concatenate([v for v, _ in views], axis=1))
    largest = max(d for _, d in views)
    draw = ImageDraw.Draw(picture)
    draw.text((6, 4), f"checkerboard, tiles of {TILE_MM:g} mm", fill=(255, 255, 255))
    below = f"displacement besides the rigid motion: blue 0 to yellow {SCALE_MM:g} mm, at most {largest:.1f} mm"
    draw.text((6, PICTURE_PX + 4), below, fill=(255, 255, 255))
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _view(
    fixed: Volume, moving: Volume, transform: Transform, plane: tuple[FloatArray, FloatArray, FloatArray],
    pixel_mm: float,
) -> tuple[NDArray[np.uint8], float]:  # fmt: skip
    """One plane: checkerboard above, displacement below; and the largest displacement in it."""
    centre, across, down = plane
    offset = (np.arange(PICTURE_PX) + 0.5 - PICTURE_PX / 2) * pixel_mm
    w, u = np.meshgrid(offset, offset, indexing="ij")
    points = centre + u.ravel()[:, None] * across + w.ravel()[:, None] * down
    mapped, covered = transform.apply(points), transform.covers(points)
    first, second = values_at(fixed, points), values_at(moving, mapped)
    second[~covered] = np.nan
    tiles = ((u // TILE_MM + w // TILE_MM) % 2).ravel().astype(bool)
    board = _grey(np.where(tiles, first, second))
    tissue = covered & (np.nan_to_num(first, nan=-2000.0) > BODY_HU)
    away = np.zeros(len(points))
    if tissue.sum() > 3:
        away[tissue] = np.linalg.norm(_without_rigid(points[tissue], mapped[tissue]) - points[tissue], axis=1)
    shown = _grey(first).astype(np.float64) / 2
    share = np.clip(away / SCALE_MM, 0, 1)[:, None]
    shown[tissue] += (0.5 * ((1 - share) * COLD + share * WARM))[tissue]
    form = (PICTURE_PX, PICTURE_PX, 3)
    return np.concatenate([board.reshape(form), shown.astype(np.uint8).reshape(form)]), float(away.max())


def _without_rigid(points: FloatArray, mapped: FloatArray) -> FloatArray:
    """The mapped points brought back by the rigid motion that fits them best (Kabsch)."""
    a, b = points - points.mean(axis=0), mapped - mapped.mean(axis=0)
    u, _, vt = np.linalg.svd(b.T @ a)
    # Points of one plane leave the sign across it open.
    flip = np.diag([1.0, 1.0, float(np.sign(np.linalg.det(u @ vt)))])
    return np.asarray(b @ (u @ flip @ vt) + points.mean(axis=0))


def _grey(values: FloatArray) -> NDArray[np.uint8]:
    low, high = WINDOW_HU
    shade = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)
    return np.repeat((255 * shade).astype(np.uint8)[:, None], 3, axis=1)
