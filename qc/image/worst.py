"""One value for a series of pictures: that of the worst picture, with its instance as the place."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from qc.image.picture import Picture
from qc.image.registry import Measured, NotEvaluable
from qc.image.result import Location

__all__ = ["worst_found", "worst_picture", "worst_state"]

PictureFunction = Callable[[Picture, Dataset], Measured | NotEvaluable]


def worst_picture(
    inputs: Inputs, measure: PictureFunction, badness: Callable[[float], float]
) -> Measured | NotEvaluable:
    """The value of the worst picture of a series, with its instance as the place.

    Parameters
    ----------
    inputs
        Its pictures are measured one by one.
    measure
        What one picture says.
    badness
        Larger is worse.

    Returns
    -------
    Measured or NotEvaluable
        Pictures that could not be judged are counted in the evidence; where none could, the first one's reason.
    """
    return worst_found(inputs, measure, lambda found: badness(float(found.value)))


def worst_state(inputs: Inputs, measure: PictureFunction, severity: Mapping[str, float]) -> Measured | NotEvaluable:
    """As `worst_picture` for a categorical check; `severity` orders its states."""
    return worst_found(inputs, measure, lambda found: severity[str(found.value)])


def worst_found(
    inputs: Inputs, measure: PictureFunction, badness: Callable[[Measured], float]
) -> Measured | NotEvaluable:
    """As `worst_picture` where more than the value says how bad a picture is."""
    if not inputs.pictures:
        return NotEvaluable("no_volume")
    results = [(p, measure(p, inputs.headers[p.header])) for p in inputs.pictures]
    judged = [(p, found) for p, found in results if isinstance(found, Measured)]
    if not judged:
        first = results[0][1]
        return first if isinstance(first, NotEvaluable) else NotEvaluable("error")
    # Equal values: the instance with the smaller UID, so that the order of arrival does not matter.
    picture, worst = max(judged, key=lambda item: (badness(item[1]), _negated(_uid(inputs, item[0]))))
    place: dict[str, Any] = {"sop_instance_uid": [_uid(inputs, picture)]}
    if picture.frame_number is not None:
        place["frame"] = picture.frame_number
    evidence = {
        **worst.evidence,
        "pictures": float(len(judged)),
        "pictures_unjudged": float(len(results) - len(judged)),
    }
    return replace(worst, where=(Location("instances", place), *worst.where), evidence=evidence)


def _uid(inputs: Inputs, picture: Picture) -> str:
    return str(inputs.headers[picture.header].get("SOPInstanceUID", ""))


def _negated(uid: str) -> tuple[int, ...]:
    return tuple(-ord(c) for c in uid)
