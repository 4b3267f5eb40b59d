"""The quality of computed registrations, as PDF, SR and page all print it; none of them rounds for itself."""

from dataclasses import dataclass
from typing import Any

from contouring.dose.assessment import CourseFacts, DoseAssessment
from reports.dose.wording import TRANSFORM_WORDS
from reports.numbers import format_number

__all__ = [
    "NOT_REVIEWED",
    "PICTURE_WORDS",
    "Measured",
    "RegistrationReport",
    "RegistrationRow",
    "registration_notes",
    "registration_reports",
]

NOT_REVIEWED = ("软件计算，未经审核", "computed, not reviewed")
PICTURE_WORDS = (
    "上：两幅影像的棋盘格，轮廓应连续；下：除刚性运动外组织的位移。",
    "Above: both images as a checkerboard, in which outlines should go on; below: how far tissue was displaced "
    "besides the rigid motion.",
)
WHOLE = ("全身", "whole body")
MILLIMETRES, SHARES = 2, 3
"""Decimals of distances, and of overlaps and changes of volume."""


@dataclass(frozen=True)
class Measured:
    """A number without a unit, or in mm; None where it was not measured."""

    value: float | None
    decimals: int = SHARES

    @property
    def text(self) -> str:
        """As it is printed."""
        return "—" if self.value is None else format_number(self.value, self.decimals)

    def to_json(self) -> dict[str, Any]:
        """Number and printed form."""
        return {"value": self.value, "text": self.text}


@dataclass(frozen=True)
class RegistrationRow:
    """What was measured in one structure, or in the whole body ("").

    Parameters
    ----------
    structure
        Its name in the structure set of the reference image.
    dice
        Overlap with its counterpart on the other image.
    jacobian
        Smallest local change of volume; 0 and below is a fold.
    """

    structure: str
    dice: Measured
    jacobian: Measured

    @property
    def folds(self) -> bool:
        """Whether the deformation turns tissue inside out here."""
        return self.jacobian.value is not None and self.jacobian.value <= 0

    @property
    def words(self) -> tuple[str, str]:
        """What to call it in both languages."""
        return (self.structure, self.structure) if self.structure else WHOLE


@dataclass(frozen=True)
class RegistrationReport:
    """The registration that brought one course to the reference image.

    Parameters
    ----------
    letter
        Of the course.
    kind
        How it was registered, in both languages.
    is_deformable
        Whether tissue was deformed: then there is a Jacobian, and there and back is a percentile.
    there_and_back
        In mm.
    rows
        The whole body first.
    picture_png
        Checkerboard and displacement; b"" where there is none.
    """

    letter: str
    kind: tuple[str, str]
    is_deformable: bool
    there_and_back: Measured
    rows: tuple[RegistrationRow, ...]
    picture_png: bytes = b""

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the picture."""
        return {
            "letter": self.letter,
            "kind": list(self.kind),
            "is_deformable": self.is_deformable,
            "there_and_back_mm": self.there_and_back.to_json(),
            "rows": [
                {
                    "structure": list(row.words),
                    "dice": row.dice.to_json(),
                    "jacobian": row.jacobian.to_json(),
                    "folds": row.folds,
                }
                for row in self.rows
            ],
        }


def registration_reports(assessment: DoseAssessment) -> tuple[RegistrationReport, ...]:
    """One for each course that came to the image by a registration that radgate computed."""
    return tuple(found for course in assessment.courses if (found := _of(course)) is not None)


def registration_notes(report: RegistrationReport) -> tuple[tuple[str, str], ...]:
    """What its numbers are, and why some are missing: sentences in both languages."""
    miss = ("95 百分位", "the 95th percentile") if report.is_deformable else ("最大值", "the largest")
    notes = [
        (
            f"往返：体内各点配准过去再配准回来后偏离原处的距离（{miss[0]}）。"
            "Dice：两幅影像上同名结构的重叠，1 为完全重合。",
            f"There and back: by how much points of the body miss themselves ({miss[1]}). Dice: overlap of structures "
            "of one name on both images, 1 where they coincide.",
        )
    ]
    if report.is_deformable:
        notes.append((
            "最小雅可比：局部体积变化的最小值，1 为不变，0 及以下为折叠。",
            "Smallest Jacobian: the least local change of volume, 1 where there is none, a fold at 0 and below.",
        ))
    else:
        notes.append((
            "刚性配准不改变体积，因此没有雅可比。",
            "A rigid motion changes no volume, so it has no Jacobian.",
        ))
    if all(row.dice.value is None for row in report.rows if row.structure):
        notes.append((
            "两幅影像上没有同名结构，因此没有结构的重叠。",
            "No structure of one name is on both images, so there is no overlap of structures.",
        ))
    return tuple(notes)


def _of(course: CourseFacts) -> RegistrationReport | None:
    quality = course.quality
    if quality is None:
        return None
    names = ["", *sorted({*quality.structure_dice, *quality.least_jacobian} - {""})]
    overlaps = {"": quality.body_dice, **quality.structure_dice}
    return RegistrationReport(
        course.letter,
        TRANSFORM_WORDS[course.transform_source],
        course.transform_source == "computed_deformable",
        Measured(quality.inverse_consistency_mm, MILLIMETRES),
        tuple(
            RegistrationRow(name, Measured(overlaps.get(name)), Measured(quality.least_jacobian.get(name)))
            for name in names
        ),
        quality.picture_png,
    )
