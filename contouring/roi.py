"""A region of interest to write: a numbered, named region with the way it came about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imaging.provenance import Algorithm
from imaging.volume import Region

if TYPE_CHECKING:
    from contouring.names import StructureName

__all__ = ["Generation", "Roi", "algorithms_of"]

Generation = Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]
"""ROIGenerationAlgorithm (3006,0036)."""


@dataclass(frozen=True, eq=False)
class Roi:
    """One structure of a structure set or a segmentation.

    Parameters
    ----------
    number
        ROINumber and SegmentNumber, from 1, unique within an object and stable across runs.
    name
        TG-263 name with codes, colour and interpreted type.
    region
        Its voxels on the grid of the image series.
    description
        A note for people; goes to ROIDescription.
    algorithm
        What made this region, where it differs from what made the whole object.
    generation
        ROIGenerationAlgorithm.
    """

    number: int
    name: "StructureName"
    region: Region
    description: str = ""
    algorithm: Algorithm | None = None
    generation: Generation = "AUTOMATIC"

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"ROI numbers begin at 1, not {self.number}")


def algorithms_of(rois: Sequence[Roi], algorithm: Algorithm) -> tuple[Algorithm, ...]:
    """What made the regions, each once, in their order; `algorithm` stands for those that name none of their own."""
    found: list[Algorithm] = []
    for made_by in (roi.algorithm or algorithm for roi in rois):
        if made_by not in found:
            found.append(made_by)
    return tuple(found) or (algorithm,)
