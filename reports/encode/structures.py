"""Structures on their way to `contouring`: regions to write, checked against the grid of the series."""

from typing import TYPE_CHECKING

from contouring.roi import Roi
from imaging.provenance import digest
from reports.errors import ForeignGeometry, MissingMask, NotForSending
from reports.model import Result
from reports.parts import series_digest
from reports.wording import radgate_version

if TYPE_CHECKING:
    from imaging.pictures import PictureSeries
    from imaging.series import Stack

__all__ = ["rois_of", "settings_digest"]


def rois_of(result: Result, stack: "Stack | PictureSeries") -> tuple[Roi, ...]:
    """The structures of a result as regions to write, by number.

    Raises
    ------
    NotForSending
        There is no structure: an empty segmentation or structure set is never written.
    MissingMask
        A structure has no mask.
    ForeignGeometry
        A structure was measured on another grid than that of `stack`.
    """
    if not result.structures:
        raise NotForSending(f"A result that is '{result.status}' has no structures to write; send its report alone.")
    expected = series_digest(stack)
    rois = []
    for structure in result.structures:
        if structure.region is None:
            raise MissingMask("The mask of a structure is missing; load the result with its masks.", id=structure.id)
        if structure.geometry_digest != expected:
            raise ForeignGeometry(
                "A structure was measured on another grid than the series that it is to be written for; "
                "give the series that the algorithm read.",
                id=structure.id,
            )
        rois.append(
            Roi(
                number=structure.number,
                name=structure.name,
                region=structure.region,
                algorithm=result.algorithm_of(structure),
                generation="SEMIAUTOMATIC" if structure.edited else "AUTOMATIC",
            )
        )
    return tuple(rois)


def settings_digest(result: Result) -> str:
    """What makes the UIDs of segmentation and structure set depend on the whole of the result's UID parts."""
    return digest([result.uid_parts, radgate_version()])
