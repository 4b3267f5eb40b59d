"""An assessment to everything that leaves: the one way of commands and gateway, with every check before the end."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydicom.dataset import Dataset

from contouring.dose.assessment import DoseAssessment
from imaging.series import load_volume
from reports.dose.gate import require_valid_dose
from reports.dose.objects import named_objects
from reports.dose.report import DoseReport, dose_report
from reports.encode.encoded import EncodedObject

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = ["DoseResults", "dose_results"]

Step = Callable[[str], AbstractContextManager[object]]
"""What surrounds each step, by its name: a journal, or nothing."""


@dataclass(frozen=True, eq=False)
class DoseResults:
    """The report, and its objects in sending order by a name that is fit for a file."""

    report: DoseReport
    objects: Mapping[str, EncodedObject]


def dose_results(
    assessment: DoseAssessment,
    stack: "Stack",
    rtstruct: Dataset,
    created_at: datetime,
    *,
    language: Literal["zh", "en"] = "zh",
    bed: bool = False,
    step: Step = lambda _: nullcontext(),
) -> DoseResults:
    """Report and objects of an assessment, which keep every rule (dciodvfy's too, where it is installed).

    Parameters
    ----------
    assessment
        Made on `stack` with the structures of `rtstruct`.
    stack, rtstruct
        The reference image and the structure set.
    created_at
        Time of the run.
    language
        Of the structured report's content.
    bed
        Adds an RTDOSE of biologically effective dose for each alpha/beta.
    step
        Entered for "encode" and "validate".

    Raises
    ------
    RadgateError
        The image has no regular geometry, an object cannot be written, or breaks a rule (`InvalidObject`): nothing is
        returned, because half a result must not be sent.
    """
    with step("encode"):
        report = dose_report(assessment, stack, load_volume(stack), rtstruct, created_at)
        objects = named_objects(report, language=language, bed=bed)
    with step("validate"):
        require_valid_dose(tuple(objects.values()), report, outside=True)
    return DoseResults(report, objects)
