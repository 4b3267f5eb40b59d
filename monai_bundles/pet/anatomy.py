"""What the CT of a PET/CT says of uptake that is no lesion: liver for reference, brain, heart and urine set apart.

Each is named only where the CT shows enough to be sure of it: lungs for liver and heart, a skull for the brain, the
width of a pelvis for the bladder. Nothing is guessed from uptake alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Region, Volume
from monai_bundles.body import BodySegmenter

__all__ = ["PetAnatomy", "liver_reference", "pet_anatomy", "physiological"]

BoolArray = NDArray[np.bool_]

LIVER_RADIUS_MM = 15.0
"""PERCIST measures a sphere of 3 cm in the right lobe."""

LIVER_HU = (20.0, 110.0)
LIVER_SUV = (0.5, 4.5)
BELOW_DOME_MM = 140.0

SOFT_HU, BONE_HU = (-20.0, 90.0), 150.0
FLUID_HU, FLUID_SD_HU = (-15.0, 25.0), 25.0
URINE_SUV = 6.0
PELVIS_WIDTH_MM, MIDLINE_MM = 260.0, 60.0
BRAIN_CC = 300.0
"""An enclosed space of the skull that is smaller than this is an orbit or a sinus."""


@dataclass(frozen=True, eq=False)
class PetAnatomy:
    """What the CT shows, on the PET's grid; None or empty where it does not show it.

    Parameters
    ----------
    ct_hu
        CT values.
    body, lung_left, lung_right
        Masks.
    skull_inside
        What bone encloses in axial planes, of a brain's size.
    """

    ct_hu: NDArray[np.float32]
    body: BoolArray
    lung_left: BoolArray
    lung_right: BoolArray
    skull_inside: BoolArray


def pet_anatomy(ct: Volume) -> PetAnatomy:
    """The anatomy of a CT that lies on the PET's grid, with planes that ascend to the head."""
    regions = BodySegmenter()(ct)

    def mask(name: str) -> BoolArray:
        region = regions.get(name)
        return np.zeros(ct.array.shape, dtype=bool) if region is None else region.mask()

    hu = np.asarray(ct.array, dtype=np.float32)
    body = mask("Body")
    return PetAnatomy(hu, body, mask("Lung_L"), mask("Lung_R"), _skull_inside(hu, body, ct))


def liver_reference(anatomy: PetAnatomy, suv: NDArray[np.float32], volume: Volume) -> tuple[float, float] | None:
    """Mean and standard deviation of the SUV in a sphere of 3 cm deep in the right lobe; None where there is none.

    The place is the deepest one in soft tissue of a liver's density and uptake below the right lung.
    """
    planes = np.flatnonzero(anatomy.lung_right.any(axis=(1, 2)))
    if not len(planes) or not anatomy.lung_left.any():
        return None
    up = _towards_head(volume)
    dz, dy, dx = volume.spacing_mm
    right_of_middle = _side(anatomy.body, volume) < 0
    dome = planes.min() if up > 0 else planes.max()
    below = (np.arange(len(suv)) - dome) * dz * -up
    reach = (below > -60.0) & (below < BELOW_DOME_MM)
    smooth = ndimage.uniform_filter(suv, 3)
    candidates = (
        anatomy.body
        & reach[:, None, None]
        & right_of_middle
        & (anatomy.ct_hu > LIVER_HU[0])
        & (anatomy.ct_hu < LIVER_HU[1])
        & (smooth > LIVER_SUV[0])
        & (smooth < LIVER_SUV[1])
        & ~anatomy.lung_right
    )
    depth = ndimage.distance_transform_edt(np.pad(candidates, 1), sampling=(dz, dy, dx))[1:-1, 1:-1, 1:-1]
    if float(depth.max()) < LIVER_RADIUS_MM:
        return None
    centre = np.array(np.unravel_index(int(depth.argmax()), depth.shape))
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in suv.shape), indexing="ij"), axis=-1)
    sphere = np.linalg.norm((grid - centre) * (dz, dy, dx), axis=-1) <= LIVER_RADIUS_MM
    values = suv[sphere].astype(np.float64)
    return float(values.mean()), float(values.std(ddof=1))


def physiological(component: Region, anatomy: PetAnatomy, suv: NDArray[np.float32], volume: Volume) -> str:
    """What the CT says that this uptake is: "brain", "heart", "urine", or nothing."""
    part, crop = component.box, component.crop
    share_in_skull = float(anatomy.skull_inside[part][crop].mean())
    if share_in_skull > 0.8:
        return "brain"
    hu = anatomy.ct_hu[part][crop]
    offset_mm = float(np.abs(_side(anatomy.body, volume)[part][crop]).mean())
    width_mm = _width_mm(anatomy.body, component, volume)
    is_fluid = FLUID_HU[0] < float(hu.mean()) < FLUID_HU[1] and float(hu.std()) < FLUID_SD_HU
    if (
        is_fluid
        and float(suv[part][crop].max()) > URINE_SUV
        and width_mm > PELVIS_WIDTH_MM
        and offset_mm < MIDLINE_MM
        and not anatomy.lung_left[part[0]].any()
    ):
        return "urine"
    return "heart" if _between_lungs(component, anatomy, hu, volume) else ""


def _between_lungs(component: Region, anatomy: PetAnatomy, hu: NDArray[np.float32], volume: Volume) -> bool:
    """Large uptake of soft tissue, left of the middle, in planes that show both lungs."""
    planes = component.box[0]
    both = anatomy.lung_left[planes].any(axis=(1, 2)) & anatomy.lung_right[planes].any(axis=(1, 2))
    dz, dy, dx = volume.spacing_mm
    cc = component.voxel_count * dz * dy * dx / 1000.0
    side = float(_side(anatomy.body, volume)[component.box][component.crop].mean())
    soft = SOFT_HU[0] < float(hu.mean()) < SOFT_HU[1]
    touches = anatomy.lung_left[_wider(component, 2)].any()
    return bool(both.mean() > 0.8 and cc > 30.0 and 0.0 < side < 70.0 and soft and touches)


def _wider(component: Region, voxels: int) -> tuple[slice, slice, slice]:
    """The component's box with a margin."""
    k, j, i = (
        slice(max(0, s.start - voxels), min(n, s.stop + voxels))
        for s, n in zip(component.box, component.shape, strict=True)
    )
    return k, j, i


def _skull_inside(hu: NDArray[np.float32], body: BoolArray, ct: Volume) -> BoolArray:
    """What a closed ring of bone encloses in axial planes, where it has a brain's size over all planes."""
    inside = np.zeros(hu.shape, dtype=bool)
    steps = max(1, round(6.0 / min(ct.spacing_mm[1:])))
    for plane, values in enumerate(hu):
        bone = (values > BONE_HU) & body[plane]
        closed = ndimage.binary_closing(np.pad(bone, steps), iterations=steps)[steps:-steps, steps:-steps]
        inside[plane] = ndimage.binary_fill_holes(closed) & ~bone
    labels, count = ndimage.label(ndimage.binary_opening(inside))
    if not count:
        return np.zeros(hu.shape, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    dz, dy, dx = ct.spacing_mm
    large = sizes * dz * dy * dx / 1000.0 > BRAIN_CC
    mean = ndimage.mean(hu, labels, range(len(sizes)))
    return np.asarray((large & (np.asarray(mean) > 0.0) & (np.asarray(mean) < 60.0))[labels])


def _towards_head(volume: Volume) -> int:
    """1 where the plane's index grows towards the head, else -1."""
    return 1 if float(volume.affine_lps[2, 0]) >= 0 else -1


def _side(body: BoolArray, volume: Volume) -> NDArray[np.float32]:
    """Distance of each voxel from the body's middle, mm, positive to the patient's left; for axial planes."""
    columns = np.arange(body.shape[2])
    counts = body.sum(axis=(0, 1))
    middle = float((counts * columns).sum() / max(int(counts.sum()), 1)) if counts.any() else columns.mean()
    sign = 1.0 if float(volume.affine_lps[0, 2]) >= 0 else -1.0
    line = ((columns - middle) * volume.spacing_mm[2] * sign).astype(np.float32)
    return np.broadcast_to(line, body.shape)


def _width_mm(body: BoolArray, component: Region, volume: Volume) -> float:
    """Width of the body in the component's middle plane."""
    plane = component.start[0] + component.crop.shape[0] // 2
    columns = np.flatnonzero(body[plane].any(axis=0))
    return float(len(columns) and (columns[-1] - columns[0] + 1) * volume.spacing_mm[2])
