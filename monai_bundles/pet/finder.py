"""Lesions on an FDG PET: threshold, physiological uptake set apart by the CT, and what each lesion takes up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Region, Volume
from monai_bundles.bundle import Finding
from monai_bundles.errors import BadMetadata
from monai_bundles.pet.anatomy import PetAnatomy, liver_reference, pet_anatomy, physiological
from monai_bundles.pet.thresholds import METHODS, Method, delineated, percist_limit
from monai_bundles.resampling import on_grid_of
from monai_bundles.segmenter import Found

__all__ = ["LesionFinder"]

NAME = "GTV"
AIR_HU = -1024.0
AXIAL = 0.9
"""Cosine between the planes' normal and the body's axis from which planes count as axial."""


@dataclass(frozen=True)
class LesionFinder:
    """Finds lesions; a bundle's `inference.json` names it with its parameters.

    Parameters
    ----------
    method
        "percist" (with `without_liver` where the CT shows no liver), "fixed_2.5", "fixed_4.0" or "share_41".
    without_liver
        What is used instead where PERCIST's limit cannot be had.
    least_cc
        Smaller components are noise.
    most
        How many lesions are delivered, by the SUV they hold in all.
    fill_cold_centres
        Whether what a lesion encloses in a plane belongs to its contour: a necrotic centre is tumour without uptake.
        Uptake is measured without it.

    Raises
    ------
    BadMetadata
        An unknown method.
    """

    method: Method = "percist"
    without_liver: Method = "fixed_2.5"
    least_cc: float = 1.0
    most: int = 20
    fill_cold_centres: bool = True

    def __post_init__(self) -> None:
        if self.method not in METHODS or self.without_liver not in METHODS or self.without_liver == "percist":
            raise BadMetadata(f"The method of a lesion finder is one of {', '.join(METHODS)}; correct inference.json.")

    def __call__(
        self, volume: Volume, companions: Mapping[str, Volume], progress: Callable[[float, str], None] | None = None
    ) -> Found:
        """Lesions by decreasing total uptake, the first being GTV_1.

        Parameters
        ----------
        volume
            PET in SUVbw.
        companions
            The CT under "CT", where there is one in the same frame of reference.
        progress
            Called with the share done and a word.
        """
        tell = progress or (lambda share, what: None)
        suv = np.asarray(volume.array, dtype=np.float32)
        notes: list[str] = []
        anatomy = self._anatomy(volume, companions, notes)
        tell(0.5, "threshold")
        liver = None if anatomy is None else liver_reference(anatomy, suv, volume)
        method = self.method
        if method == "percist" and liver is None:
            method = self.without_liver
            notes.append(
                f"The CT shows no liver to refer to: lesions by {method.replace('_', ' ')} instead of PERCIST."
            )
        if method == "percist" and liver is not None:
            limit = percist_limit(*liver)
            notes.append(f"PERCIST: liver SUV {liver[0]:.2f} with SD {liver[1]:.2f}, limit {limit:.2f}.")
        labels, count = delineated(suv, method, liver)
        tell(0.8, "lesions")
        return self._found(labels, count, suv, volume, anatomy, notes)

    def _anatomy(self, volume: Volume, companions: Mapping[str, Volume], notes: list[str]) -> PetAnatomy | None:
        """What the CT shows on the PET's grid."""
        ct = companions.get("CT")
        if ct is None:
            notes.append("There is no CT in the same frame of reference: physiological uptake is not set apart.")
            return None
        if abs(float(volume.grid.normal[2])) < AXIAL:
            notes.append("The planes are not axial: physiological uptake is not set apart.")
            return None
        values = on_grid_of(ct, volume, AIR_HU)
        return pet_anatomy(replace(volume, array=np.round(values).astype(np.int16), sources=(), unit=ct.unit))

    def _found(
        self,
        labels: NDArray[np.int32],
        count: int,
        suv: NDArray[np.float32],
        volume: Volume,
        anatomy: PetAnatomy | None,
        notes: list[str],
    ) -> Found:
        """The components that are lesions, measured and named."""
        dz, dy, dx = volume.spacing_mm
        voxel_cc = dz * dy * dx / 1000.0
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        lesions: list[tuple[float, Region, dict[str, float]]] = []
        apart: dict[str, int] = {}
        for number in range(1, count + 1):
            if sizes[number] * voxel_cc < self.least_cc:
                continue
            region = Region.from_mask(labels == number)
            kind = "" if anatomy is None else physiological(region, anatomy, suv, volume)
            if kind:
                apart[kind] = apart.get(kind, 0) + 1
                continue
            values = suv[region.box][region.crop].astype(np.float64)
            cc = region.voxel_count * voxel_cc
            measured = {
                "suv_max_g_ml": float(values.max()),
                "suv_mean_g_ml": float(values.mean()),
                "volume_cc": cc,
                "total_lesion_glycolysis_g": cc * float(values.mean()),
            }
            if self.fill_cold_centres:
                filled = np.stack([ndimage.binary_fill_holes(plane) for plane in region.crop])
                region = Region(filled.astype(bool), region.start, region.shape)
            lesions.append((measured["total_lesion_glycolysis_g"], region, measured))
        lesions.sort(key=lambda item: (-item[0], item[1].start))
        notes += [f"{n} uptake(s) of {kind} are set apart by the CT and not delivered." for kind, n in apart.items()]
        if len(lesions) > self.most:
            notes.append(f"{len(lesions) - self.most} smaller lesions beyond the first {self.most} are not delivered.")
        regions = {f"{NAME}_{n}": region for n, (_, region, _) in enumerate(lesions[: self.most], start=1)}
        findings = tuple(
            Finding(structure=f"{NAME}_{n}", label="FDG uptake", score=1.0, measured=measured)
            for n, (_, _, measured) in enumerate(lesions[: self.most], start=1)
        )
        return Found(regions, findings, tuple(notes))
