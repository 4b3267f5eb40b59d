"""Deformable registration of two CT images: rigid first, then diffeomorphic demons. The result is qualitative.

Both directions are computed, and how far points miss themselves there and back is part of the result. SimpleITK is
loaded when a registration runs.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contouring.dose.deformation import Deformation
from contouring.dose.errors import RegistrationRefused
from contouring.dose.register import RegistrationQuality, body_points, image_of, register_rigid, values_at
from contouring.dose.transform import RigidTransform
from imaging.geometry import Grid
from imaging.volume import Volume

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["register_deformable"]

FloatArray = NDArray[np.float64]

NODE_MM = 3.0
"""Distance of the nodes: finer ones follow noise rather than anatomy."""

LOWEST_HU, HIGHEST_HU = -1000.0, 1500.0
"""Values beyond are cut off: metal and table would pull at the tissue."""

NOT_SEEN_HU = -30_000.0
"""Marks what lies beyond the other image."""

SHRINKS = (4, 2, 1)
ITERATIONS = (100, 80, 30)
SMOOTHING_MM = 7.0
"""Standard deviation by which the field is smoothed after each step. At 4 mm the field of a real head and neck follows
the noise (6 mm there and back for an image and itself, moved), at 12 mm it misses half of a bump of 4 cm; at 7 mm it
comes back to 2.6 mm and finds known deformations of 6 mm to 1 mm."""

WORST_P95_MM = 3.0
"""Above this the registration is refused (TG-132 asks for 2 to 3 mm)."""


LEAST_GAIN = 0.05
"""Share by which the deformation has to lessen the difference of the images. The rigid step of an image and itself,
moved, leaves 6 HU and demons make 13 of it; known deformations of 3 and 6 mm go from 134 to 111 and from 202 to 136."""


def register_deformable(fixed: Volume, moving: Volume) -> tuple[Deformation | RigidTransform, RegistrationQuality]:
    """The deformation from the frame of the fixed image to that of the moving one, and its quality.

    Where the deformation does not bring the images nearer to each other than the rigid step, or moves tissue less than
    it misses itself there and back, the rigid transform is returned. The inverse consistency of a deformation is the
    95th percentile over the body: borders of the image are worse. Two runs agree to the bit.

    Raises
    ------
    RegistrationRefused
        The rigid step fails, or there and back differ by more than 3 mm.
    """
    rigid, quality = register_rigid(fixed, moving)
    there = _deformed(fixed, moving, rigid)
    back = _deformed(moving, fixed, rigid.inverse())
    points = body_points(fixed)
    points = points[there.covers(points)]
    arrived = there.apply(points)
    seen = back.covers(arrived)
    if not seen.any():
        raise RegistrationRefused("The images hardly overlap after registration; give a Spatial Registration.")
    missed = np.linalg.norm(back.apply(arrived[seen]) - points[seen], axis=1)
    inconsistency = float(np.quantile(missed, 0.95))
    if inconsistency > WORST_P95_MM:
        raise RegistrationRefused(
            f"The images could not be deformed onto each other: there and back differ by {inconsistency:.1f} mm; give "
            "a registration that was made and reviewed by hand.",
            inverse_consistency_mm=inconsistency,
        )
    stiff = rigid.apply(points)
    moved = float(np.quantile(np.linalg.norm(arrived - stiff, axis=1), 0.95))
    before, after = _differences_hu(values_at(fixed, points), values_at(moving, stiff), values_at(moving, arrived))
    if moved <= inconsistency or after > (1 - LEAST_GAIN) * before:
        return rigid, replace(quality, difference_hu=before)
    return there, RegistrationQuality(inconsistency, quality.body_dice, quality.mutual_information, after)


def _differences_hu(own: FloatArray, *others: FloatArray) -> list[float]:
    """Root mean square of the difference to each of the others, where all of them see."""
    seen = np.all([np.isfinite(v) for v in (own, *others)], axis=0)
    if not seen.any():
        return [0.0 for _ in others]
    cut = [np.clip(v[seen], LOWEST_HU, HIGHEST_HU) for v in (own, *others)]
    return [float(np.sqrt(np.mean((v - cut[0]) ** 2))) for v in cut[1:]]


def _deformed(fixed: Volume, moving: Volume, rigid: RigidTransform) -> Deformation:
    """The deformation that remains after the rigid step."""
    import SimpleITK

    grid = _nodes(fixed.grid)
    reference = _empty(grid)
    affine = SimpleITK.AffineTransform(3)
    affine.SetMatrix(rigid.matrix[:3, :3].ravel().tolist())
    affine.SetTranslation(rigid.matrix[:3, 3].tolist())
    still = SimpleITK.Resample(image_of(fixed), reference, SimpleITK.Transform(), SimpleITK.sitkLinear, LOWEST_HU)
    other = SimpleITK.Resample(image_of(moving), reference, affine, SimpleITK.sitkLinear, NOT_SEEN_HU)
    # Beyond its border the other image is taken for what this one is: an edge made of nothing would pull at the tissue.
    seen = SimpleITK.Cast(SimpleITK.Greater(other, (LOWEST_HU + NOT_SEEN_HU) / 2), SimpleITK.sitkFloat32)
    other = other * seen + still * (1 - seen)
    still, other = (SimpleITK.Clamp(i, SimpleITK.sitkFloat32, LOWEST_HU, HIGHEST_HU) for i in (still, other))
    field = None
    for shrink, iterations in zip(SHRINKS, ITERATIONS, strict=True):
        field = _step(still, other, field, shrink, iterations)
    vectors = SimpleITK.GetArrayFromImage(field)
    # The displacement is found before the rigid step, in the frame of the fixed image: x' = R (x + u(x)).
    identity = RigidTransform.identity(rigid.source)
    return Deformation(np.asarray(vectors, dtype=np.float32), grid, identity, rigid)


def _step(
    still: "SimpleITK.Image", other: "SimpleITK.Image", field: "SimpleITK.Image | None", shrink: int, iterations: int
) -> "SimpleITK.Image":
    """Demons at one resolution, from the field of the coarser one; the result on the grid of the images."""
    import SimpleITK

    def smaller(image: "SimpleITK.Image") -> "SimpleITK.Image":
        if shrink == 1:
            return image
        smooth = SimpleITK.SmoothingRecursiveGaussian(image, 0.5 * shrink * NODE_MM)
        factors = [min(shrink, max(1, n // 4)) for n in image.GetSize()]
        return SimpleITK.Shrink(smooth, factors)

    a, b = smaller(still), smaller(other)
    filter_ = SimpleITK.DiffeomorphicDemonsRegistrationFilter()
    filter_.SetNumberOfIterations(iterations)
    filter_.SetSmoothDisplacementField(True)
    # In pixels of this resolution.
    filter_.SetStandardDeviations([max(SMOOTHING_MM / s, 0.5) for s in a.GetSpacing()])
    if field is None:
        found = filter_.Execute(a, b)
    else:
        start = SimpleITK.Resample(field, a, SimpleITK.Transform(), SimpleITK.sitkLinear, 0.0, field.GetPixelID())
        found = filter_.Execute(a, b, start)
    return SimpleITK.Resample(found, still, SimpleITK.Transform(), SimpleITK.sitkLinear, 0.0, found.GetPixelID())


def _nodes(grid: Grid) -> Grid:
    """Nodes about 3 mm apart over an image; never finer than its voxels."""
    steps = np.maximum(NODE_MM, grid.spacing_mm)
    extent = np.array(grid.spacing_mm) * (np.array(grid.shape) - 1)
    counts = np.maximum(np.ceil(extent / steps).astype(int) + 1, 2)
    spacing = extent / (counts - 1)
    return Grid(
        positions_lps=grid.positions_lps[0] + np.arange(counts[0])[:, None] * spacing[0] * grid.normal,
        row_direction=grid.row_direction,
        column_direction=grid.column_direction,
        pixel_spacing_mm=(float(spacing[1]), float(spacing[2])),
        rows=int(counts[1]),
        columns=int(counts[2]),
        frame_of_reference_uid=grid.frame_of_reference_uid,
        slice_thickness_mm=float(spacing[0]),
    )


def _empty(grid: Grid) -> "SimpleITK.Image":
    """An image of zeros on a grid."""
    return image_of(Volume(np.zeros(grid.shape, dtype=np.float32), grid))
