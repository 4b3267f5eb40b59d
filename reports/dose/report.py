"""What every outlet of a dose report is made from: the assessment, the image, the outlines, the table."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset

from contouring.dose.assessment import DoseAssessment
from contouring.rtstruct_read import read_rtstruct
from imaging.provenance import Algorithm, deterministic_uid, digest
from imaging.volume import Volume
from reports.dose.picture import Outline
from reports.dose.registration import registration_reports
from reports.dose.table import DoseTable, colour_of, dose_table
from reports.wording import radgate_version

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = ["ENCODER_VERSION", "DoseReport", "dose_report"]

ENCODER_VERSION = 3
"""Part of every UID: to be raised when the same assessment gives other bytes."""


@dataclass(frozen=True, eq=False)
class DoseReport:
    """A finished assessment with what is needed to show it.

    Parameters
    ----------
    assessment
        The numbers and the grids.
    stack, volume
        The reference image, as headers and as voxels.
    outlines
        The structures on it.
    created_at
        Time of the run, which stands in the objects.
    """

    assessment: DoseAssessment
    stack: "Stack"
    volume: Volume
    outlines: tuple[Outline, ...]
    created_at: datetime

    @cached_property
    def table(self) -> DoseTable:
        """Every printed number."""
        return dose_table(self.assessment)

    @cached_property
    def algorithm(self) -> Algorithm:
        """What made it."""
        return Algorithm("radgate dose sum", radgate_version(), deterministic=True)

    @cached_property
    def uid_parts(self) -> list[Any]:
        """What all UIDs follow from: the doses that were added, how, and what came out."""
        found = self.assessment
        content = hashlib.sha256(np.ascontiguousarray(found.grids.physical.volume.dose_gy, dtype="<f4").tobytes())
        return [
            found.reference.study_instance_uid,
            [
                [c.dose_uid, c.label, c.fractions, c.fractions_source, c.prescription_gy, c.registration_uid]
                for c in found.courses
            ],
            [found.structure_set_uid, found.site, list(found.warnings), sorted(found.refused)],
            digest(self.table.to_json()),
            [[r.to_json(), hashlib.sha256(r.picture_png).hexdigest()] for r in registration_reports(found)],
            content.hexdigest(),
            [radgate_version(), ENCODER_VERSION],
        ]

    def uid(self, kind: str, *parts: str) -> str:
        """UID of an object or a series of this report."""
        return deterministic_uid(f"dose {kind}", [self.uid_parts, *parts])


def dose_report(
    assessment: DoseAssessment, stack: "Stack", volume: Volume, rtstruct: Dataset, created_at: datetime
) -> DoseReport:
    """The report of an assessment; a structure that cannot be drawn on the image keeps its numbers.

    Parameters
    ----------
    assessment
        Made on `stack` with the structures of `rtstruct`.
    stack, volume
        The reference image.
    rtstruct
        The structure set.
    created_at
        Time of the run.

    Raises
    ------
    NotAStructureSet
        The structure set is none, or damaged.
    """
    numbers = {s.number: (n, s) for n, s in enumerate(assessment.structures)}
    read = read_rtstruct(
        rtstruct, volume.grid, offgrid="nearest", overlap="union", frame_check=False, numbers_wanted=tuple(numbers)
    )
    outlines = []
    for roi in read.structures:
        if roi.number in numbers and roi.region.crop.any():
            place, structure = numbers[roi.number]
            outlines.append(Outline(structure.name, colour_of(structure, place), roi.region))
    return DoseReport(assessment, stack, volume, tuple(outlines), created_at)
