"""Rigid registration of two images by mutual information, with numbers that say how far to trust it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contouring.dose.errors import RegistrationRefused
from contouring.dose.places import turned
from contouring.dose.transform import RigidTransform
from imaging.volume import Volume

if TYPE_CHECKING:
    import SimpleITK

__all__ = ["RegistrationQuality", "body_points", "image_of", "register_rigid", "values_at"]

FloatArray = NDArray[np.float64]

POINTS = 4000
BODY_HU = -300.0
"""Tissue against air, for the overlap of the two bodies."""

WORST_INCONSISTENCY_MM = 3.0
"""Above this the registration is refused (TG-132 asks for 2 to 3 mm)."""


@dataclass(frozen=True)
class RegistrationQuality:
    """How good a computed registration is; it is labelled as computed and not reviewed wherever it is used.

    Parameters
    ----------
    inverse_consistency_mm
        Largest distance that a point of the body moves when it is mapped there and back by two registrations computed
        in opposite directions.
    body_dice
        Overlap of the two bodies after registration, where both images see.
    mutual_information
        Value of the optimiser's measure; smaller is better.
    difference_hu
        Root mean square difference of the two bodies, where it was measured.
    """

    inverse_consistency_mm: float
    body_dice: float
    mutual_information: float
    difference_hu: float | None = None


def register_rigid(fixed: Volume, moving: Volume) -> tuple[RigidTransform, RegistrationQuality]:
    """The rigid transform from the frame of the fixed image to that of the moving one, and its quality.

    Two runs agree to the bit. Both directions are computed; where they disagree the result is refused, not averaged.

    Raises
    ------
    RegistrationRefused
        The two directions disagree by more than 3 mm, or the optimiser fails.
    """
    images = image_of(fixed), image_of(moving)
    there, measure = _optimised(*images)
    back, _ = _optimised(*images[::-1])
    points = body_points(fixed)
    returned = points @ there[:3, :3].T + there[:3, 3]
    returned = returned @ back[:3, :3].T + back[:3, 3]
    inconsistency = float(np.linalg.norm(returned - points, axis=1).max())
    if inconsistency > WORST_INCONSISTENCY_MM:
        raise RegistrationRefused(
            f"The images could not be registered: there and back differ by {inconsistency:.1f} mm; give a Spatial "
            "Registration that was made and reviewed by hand.",
            inverse_consistency_mm=inconsistency,
        )
    transform = RigidTransform(there, fixed.frame_of_reference_uid, moving.frame_of_reference_uid)
    return transform, RegistrationQuality(inconsistency, _body_dice(*images, there), measure)


def image_of(volume: Volume) -> "SimpleITK.Image":
    """An image of SimpleITK with the same voxels in the same places."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(volume.array.astype(np.float32))
    grid = volume.grid
    image.SetOrigin(grid.positions_lps[0].tolist())
    image.SetSpacing(tuple(reversed(volume.spacing_mm)))
    axes = np.stack([grid.row_direction, grid.column_direction, grid.normal], axis=1)
    # Orthonormalised: written cosines are rounded, and SimpleITK refuses directions that are not orthonormal enough.
    left, _, right = np.linalg.svd(axes)
    image.SetDirection((left @ right).ravel().tolist())
    return image


def _optimised(fixed: "SimpleITK.Image", moving: "SimpleITK.Image") -> tuple[FloatArray, float]:
    """The 4x4 matrix and the measure of the best alignment.

    Raises
    ------
    RegistrationRefused
        The optimiser fails.
    """
    import SimpleITK

    start = SimpleITK.CenteredTransformInitializer(
        fixed, moving, SimpleITK.Euler3DTransform(), SimpleITK.CenteredTransformInitializerFilter.MOMENTS
    )
    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(48)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-4, 200, 0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 2])
    method.SetSmoothingSigmasPerLevel([4.0, 2.0, 1.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=True)
    try:
        with _one_thread():
            method.Execute(fixed, moving)
    except RuntimeError:
        raise RegistrationRefused(
            "The images could not be registered: they do not overlap, or hold no contrast; give a Spatial Registration."
        ) from None
    return _matrix(start), float(method.GetMetricValue())


@contextmanager
def _one_thread() -> Iterator[None]:
    """Several threads add up the measure in changing order, and two runs would differ; they gain nothing either.

    SimpleITK passes a number of threads on to all parts of a registration only as its default.
    """
    import SimpleITK

    process = SimpleITK.ProcessObject
    usual = process.GetGlobalDefaultNumberOfThreads()
    process.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        process.SetGlobalDefaultNumberOfThreads(usual)


def _matrix(transform: Any) -> FloatArray:
    """4x4 matrix of a SimpleITK transform: it maps points of the fixed image to the moving one."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    columns = [np.array(transform.TransformPoint(tuple(axis))) - origin for axis in np.eye(3).tolist()]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.stack(columns, axis=1), origin
    return matrix


def body_points(volume: Volume) -> FloatArray:
    """Some thousand voxels of tissue, evenly taken.

    Raises
    ------
    RegistrationRefused
        The image holds no tissue.
    """
    k, j, i = np.nonzero(volume.array > BODY_HU)
    if not len(k):
        raise RegistrationRefused("An image to be registered holds no tissue; give a Spatial Registration.")
    some = np.unique(np.linspace(0, len(k) - 1, POINTS).astype(np.intp))
    return volume.grid.points_lps(k[some], np.stack([i[some], j[some]], axis=1).astype(np.float64))


def values_at(volume: Volume, points: FloatArray) -> FloatArray:
    """Values of an image at points; NaN beyond it."""
    from scipy.ndimage import map_coordinates

    affine = volume.affine_lps
    index = turned(points - affine[:3, 3], np.asarray(np.linalg.inv(affine[:3, :3]).T, dtype=np.float64)).T
    return np.asarray(map_coordinates(volume.array, index, np.float64, order=1, cval=np.nan))


def _body_dice(fixed: "SimpleITK.Image", moving: "SimpleITK.Image", matrix: FloatArray) -> float:
    import SimpleITK

    transform = SimpleITK.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    moved = SimpleITK.Resample(moving, fixed, transform, SimpleITK.sitkLinear, float("nan"))
    a = SimpleITK.GetArrayViewFromImage(fixed)
    b = SimpleITK.GetArrayFromImage(moved)
    seen = ~np.isnan(b)
    first, second = (a > BODY_HU) & seen, np.nan_to_num(b, nan=-2000.0) > BODY_HU
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 0.0
