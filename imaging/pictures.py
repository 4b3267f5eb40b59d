"""Colour pictures without a place in the patient: frames of an endoscope, photographs, microscopy.

They are no `Volume`: they measure nothing, have no spacing and no affine, and nothing here gives them one.
Which files are such pictures is told by `imaging.picture_scan`, how they are decoded by `imaging.colours`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.attributes import whole
from imaging.planes import PlaneSeries
from imaging.volume import SourceInstance

__all__ = ["PictureSeries", "Pictures"]

CHANNELS = 3


@dataclass(frozen=True, eq=False)
class Pictures:
    """Colour pictures of one size.

    Parameters
    ----------
    array
        uint8, shape (planes, rows, columns, 3): red, green and blue of each pixel.
    sources
        The instance and frame behind each picture, in the same order; empty for pictures that radgate computed.
    """

    array: NDArray[np.uint8]
    sources: tuple[SourceInstance, ...] = ()

    def __post_init__(self) -> None:
        if self.array.dtype != np.uint8 or self.array.ndim != 4 or self.array.shape[3] != CHANNELS:
            raise ValueError(f"pictures are uint8 of shape (planes, rows, columns, 3), not {self.array.shape}")
        if not self.array.size:
            raise ValueError("pictures without a pixel")
        if self.sources and len(self.sources) != len(self.array):
            raise ValueError(f"{len(self.sources)} sources for {len(self.array)} pictures")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(planes, rows, columns): the shape of a `Region` on these pictures."""
        return (self.array.shape[0], self.array.shape[1], self.array.shape[2])


@dataclass(frozen=True, eq=False)
class PictureSeries(PlaneSeries):
    """The pictures of one series in order of their instance numbers and frames, without their pixels.

    Parameters
    ----------
    sources, files, headers, pixels
        See `PlaneSeries`; all frames of a multi-frame object have its one header.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """(planes, rows, columns)."""
        return (len(self.sources), whole(self.header, "Rows"), whole(self.header, "Columns"))
