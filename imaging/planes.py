"""What every series of planes has, with or without a place in the patient: its instances, their headers and files."""

from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from pydicom.dataset import Dataset

from imaging.attributes import text
from imaging.headers import PixelLocation
from imaging.provenance import digest
from imaging.volume import SourceInstance

__all__ = ["PlaneSeries"]


@dataclass(frozen=True, eq=False)
class PlaneSeries:
    """The planes of one series in order, with their headers and without their pixels.

    It is either a `imaging.series.Stack`, whose planes lie on a grid in the patient, or an
    `imaging.pictures.PictureSeries`, whose planes lie nowhere.

    Parameters
    ----------
    sources
        The instance (and frame) behind each plane.
    files
        The file of each plane; the same file for all frames of a multi-frame object.
    headers
        The header of each plane; of a multi-frame object with the frame's functional groups at top level.
    pixels
        Where each plane's file keeps its pixel data.
    """

    sources: tuple[SourceInstance, ...]
    files: tuple[Path, ...]
    headers: tuple[Dataset, ...]
    pixels: tuple[PixelLocation, ...] = field(repr=False)

    @property
    def header(self) -> Dataset:
        """Header of the first plane."""
        return self.headers[0]

    @property
    def modality(self) -> str:
        """Modality, such as CT."""
        return text(self.header, "Modality")

    @property
    def study_instance_uid(self) -> str:
        """Study that the series belongs to."""
        return text(self.header, "StudyInstanceUID")

    @property
    def series_instance_uid(self) -> str:
        """The series itself."""
        return self.sources[0].series_instance_uid

    @property
    def shape(self) -> tuple[int, int, int]:
        """(planes, rows, columns)."""
        raise NotImplementedError

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame that coordinates refer to; "" where there are none, or the series names none."""
        return ""

    @cached_property
    def id(self) -> str:
        """Short digest of the ordered sources: the same planes have the same id, wherever their files are."""
        return digest([[s.sop_instance_uid, s.frame_number] for s in self.sources])[:16]

    def detached(self) -> Self:
        """The same series with header data sets of its own.

        pydicom converts a value in place when it is asked for, and its bytes are gone. Who asks a detached series
        leaves the bytes here as they were received, for those who copy them.
        """
        return replace(self, headers=tuple(_detached(header) for header in self.headers))


def _detached(header: Dataset) -> Dataset:
    """A data set that shares its elements, but not their place, with another."""
    twin = copy(header)
    twin.__dict__["_dict"] = dict(header._dict)
    return twin
