"""What is known of the doses of one patient on one image: the value that commands, pages and reports are made from.

`contouring.dose.assess.assess` makes it, `contouring.dose.assessment_json.assessment_report` is its JSON form and
`contouring.dose.objects.dose_objects` are its DICOM objects. Doses are in Gy, volumes in cc or mm3, and everything lies
in the frame of reference of the reference image. One dose alone is an assessment too: its sum is that dose.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from pydicom.dataset import Dataset

from contouring.dose.accumulate import MappedDose
from contouring.dose.alpha_beta import AlphaBeta
from contouring.dose.dvh import Dvh
from contouring.dose.limits.load import LimitSet
from contouring.dose.limits.verdict import Verdict
from contouring.dose.radiobiology import bed_per_eqd2
from contouring.dose.resample import GridSum
from contouring.dose.solid import Caps
from contouring.dose.volume import DoseVolume
from contouring.errors import ContouringError

__all__ = [
    "Bounds",
    "CourseFacts",
    "DoseAssessment",
    "DoseGrids",
    "Flag",
    "ReferenceImage",
    "RegistrationNumbers",
    "StructureAssessment",
    "TransformSource",
]

TransformSource = Literal["same_frame", "object", "computed_rigid", "computed_deformable"]
"""How the dose came to the reference image: it lies in its frame; by a registration object; by one that radgate
computed, which nobody has reviewed (a deformable one is qualitative)."""

Flag = Literal[
    "outside_dose_grid",
    "qualitative",
    "organ_not_aligned",
    "nominal_above_sum_of_maxima",
    "alpha_beta_is_default",
    "not_converged",
    "missing_planes",
    "non_positive_jacobian",
]
"""What a reader must know of a structure: part of it lies outside a dose grid; its sum rests on a deformable
registration; some of it has no voxel of the same organ within reach on another image; its sum exceeds what any
alignment of the organ with itself can give (a fault of the registration); no row in the table of alpha/beta; the
histogram still moved when it was refined; planes without contours; the deformation folds within it."""


@dataclass(frozen=True)
class ReferenceImage:
    """The image that everything is shown on."""

    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    modality: str


@dataclass(frozen=True, eq=False)
class RegistrationNumbers:
    """How good a computed registration is; only what was measured is there.

    Parameters
    ----------
    inverse_consistency_mm
        Largest distance (rigid) or 95th percentile (deformable) by which points miss themselves, there and back.
    body_dice
        Overlap of the two bodies afterwards.
    structure_dice
        Overlap of structures of the same name on both images.
    least_jacobian
        Smallest local change of volume in each structure, and over the body under "".
    picture_png
        The two images as a checkerboard, with the deformation; b"" where there is none.
    """

    inverse_consistency_mm: float
    body_dice: float
    structure_dice: Mapping[str, float] = field(default_factory=dict)
    least_jacobian: Mapping[str, float] = field(default_factory=dict)
    picture_png: bytes = b""


@dataclass(frozen=True, eq=False)
class CourseFacts:
    """One dose and how it was given.

    Parameters
    ----------
    letter
        "A", "B", ... in the order given: what tables call it.
    label
        RTPlanLabel, or what the caller calls it; may hold patient data and is not logged.
    dose_uid, plan_uids
        SOP instances of the dose, and of the plans that it names.
    frame_of_reference_uid
        Frame that the dose was stored in.
    fractions, fractions_source
        Fractions that the dose is made of, and who says so.
    prescription_gy
        Largest prescribed dose of the plan.
    transform_source
        How it came to the reference image.
    registration_uid
        The registration object that was used or made; "" where there is none.
    quality
        Of a computed registration.
    fractions_planned
        What the plan says, where it is there.
    is_of_several_plans
        Whether the dose is the sum of several plans: then no plan says its fractions or its prescription.
    header
        The dose's data set without its pixels.
    """

    letter: str
    label: str
    dose_uid: str
    plan_uids: tuple[str, ...]
    frame_of_reference_uid: str
    fractions: int | None
    fractions_source: Literal["plan", "stated", "unknown"]
    prescription_gy: float | None
    transform_source: TransformSource
    registration_uid: str = ""
    quality: RegistrationNumbers | None = None
    fractions_planned: int | None = None
    is_of_several_plans: bool = False
    header: Dataset = field(default_factory=Dataset, repr=False)

    @property
    def is_qualitative(self) -> bool:
        """Whether the dose was deformed by a registration that nobody has reviewed."""
        return self.transform_source == "computed_deformable"

    @property
    def dose_per_fraction_gy(self) -> float | None:
        """Prescribed dose per fraction, where both are known."""
        if self.fractions is None or self.prescription_gy is None:
            return None
        return self.prescription_gy / self.fractions


@dataclass(frozen=True, eq=False)
class Bounds:
    """How far the sum may be off because organs do not lie where the registration puts them (specification, 5.3).

    All are of EQD2 where the fractions of all courses are known, else of physical dose (`kind`).

    Parameters
    ----------
    kind
        What the doses are.
    radius_mm
        Reach of the search for each course; 0 for a course of the reference frame, which needs none.
    low, high
        Histograms of the least and the largest dose that each point of the organ may have received: from the voxels of
        the same organ on the other image within reach. None where the organ is not contoured on every image, or part
        of it has no such voxel ("organ not aligned").
    not_aligned_share
        Share of the organ without a voxel of the same organ within reach.
    sum_of_maxima_gy
        Largest dose of each course added up: no alignment of the organ with itself can exceed it, where all of it has
        dose.
    unrestricted_high_gy
        Largest dose when every tissue within reach counts: for information, it pulls in dose from the neighbour.
    sum_of_ceilings_gy
        The same with the most that finer sub-voxels can find of each course.
    misalignment_gy
        What 1 mm of misalignment changes where the sum is hottest: above the ceilings and this, a sum is a fault.
    maxima_are_known
        Whether all of the organ has each dose: what is not known may hold more than the sum of maxima.
    band_low, band_high
        Histograms of the sum less and plus what the gradient of each course changes within its radius: the band to draw
        about the curve where the organ is on one image alone. None where nothing was registered.
    reason
        Why low and high are absent, as a sentence.
    """

    kind: Literal["physical", "EQD2"]
    radius_mm: tuple[float, ...]
    low: Dvh | None
    high: Dvh | None
    not_aligned_share: float | None
    sum_of_maxima_gy: float
    unrestricted_high_gy: float | None
    sum_of_ceilings_gy: float
    misalignment_gy: float = 0.0
    maxima_are_known: bool = True
    band_low: Dvh | None = None
    band_high: Dvh | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class StructureAssessment:
    """One structure: a row of the table.

    Parameters
    ----------
    name, number
        ROIName (with its number behind it where two have the same) and ROINumber of the structure set.
    tg263
        What the name means; "" where that is not known, and then no limit is about it.
    interpreted_type, colour_rgb
        RTROIInterpretedType; ROIDisplayColor where there is one.
    alpha_beta
        With where it is from.
    courses, physical
        Histogram of physical dose of each course, and of their sum.
    course_eqd2, eqd2
        The same of EQD2; empty and None where a number of fractions is not known.
    bounds
        None for a single dose.
    flags
        What a reader must know.
    verdicts
        How the sum stands to each limit of the chosen sets that is about this structure.
    """

    name: str
    number: int
    tg263: str
    interpreted_type: str
    colour_rgb: tuple[int, int, int] | None
    alpha_beta: AlphaBeta
    courses: tuple[Dvh, ...]
    physical: Dvh
    course_eqd2: tuple[Dvh, ...]
    eqd2: Dvh | None
    bounds: Bounds | None
    flags: tuple[Flag, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def bed(self) -> Dvh | None:
        """Histogram of the summed biologically effective dose; None where there is no EQD2."""
        return None if self.eqd2 is None else self._as_bed(self.eqd2)

    @property
    def course_bed(self) -> tuple[Dvh, ...]:
        """The same of each course; empty where there is no EQD2."""
        return tuple(self._as_bed(d) for d in self.course_eqd2)

    def _as_bed(self, found: Dvh) -> Dvh:
        # With one alpha/beta, BED is the same multiple of EQD2 in every voxel, whatever its fraction dose.
        return replace(found, curve=found.curve.scaled(bed_per_eqd2(self.alpha_beta.gy)))

    @property
    def outside_share(self) -> float:
        """Share of the structure where not all doses are known."""
        return self.physical.curve.outside_share


@dataclass(frozen=True, eq=False)
class DoseGrids:
    """The doses as voxels on one grid in the reference frame, turned as the reference image.

    Parameters
    ----------
    courses
        Physical dose of each course.
    physical
        Their sum; `is_known` is False where one of them does not reach, and the sum holds the known part there.
    eqd2
        The sum of EQD2 by alpha/beta in Gy, made when asked for; empty where a number of fractions is not known.
    """

    courses: tuple[GridSum, ...]
    physical: GridSum
    eqd2: Mapping[float, GridSum] = field(default_factory=lambda: MappingProxyType({}))

    def difference_gy(self, first: int = 0, second: int = 1) -> DoseVolume:
        """One course minus another; NaN where either is not known."""
        a, b = self.courses[first], self.courses[second]
        known = a.is_known & b.is_known
        return DoseVolume(np.where(known, a.volume.dose_gy - b.volume.dose_gy, np.nan), self.physical.volume.grid)


@dataclass(frozen=True, eq=False)
class DoseAssessment:
    """What every structure has received from all courses.

    Parameters
    ----------
    reference
        The image.
    structure_set_uid
        The structures.
    courses
        The doses in the order given.
    structures
        One per structure with contours, in the order of the structure set.
    refused
        Structures that could not be evaluated, by name, and why.
    caps
        How structures end beyond their outermost contours.
    site, limit_sets
        The site that was chosen ("" for none), and the sets that were applied.
    warnings
        Sentences about the whole.
    grids
        The doses as voxels.
    mapped
        The doses as they are asked at points of the reference frame, which needs no grid: what stands at a cursor.
    registrations
        Files of the registration objects that radgate made, by SOP instance UID.
    """

    reference: ReferenceImage
    structure_set_uid: str
    courses: tuple[CourseFacts, ...]
    structures: tuple[StructureAssessment, ...]
    refused: Mapping[str, ContouringError]
    caps: Caps
    site: str
    limit_sets: tuple[LimitSet, ...]
    warnings: tuple[str, ...]
    grids: DoseGrids
    mapped: tuple[MappedDose, ...] = field(default=(), repr=False)
    registrations: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def has_eqd2(self) -> bool:
        """Whether the fractions of all courses are known."""
        return all(c.fractions is not None for c in self.courses)

    @property
    def is_qualitative(self) -> bool:
        """Whether a course was deformed by a registration that nobody has reviewed."""
        return any(c.is_qualitative for c in self.courses)

    def structure(self, name: str) -> StructureAssessment | None:
        """The structure of this name; None where there is none, or it was refused."""
        return next((s for s in self.structures if s.name == name), None)
