"""The parts of a result: study, input, runs, structures. Frozen, checked when made, free of any encoding."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from contouring.names import StructureName
from imaging.geometry import Grid
from imaging.pictures import PictureSeries
from imaging.provenance import Algorithm, digest
from imaging.volume import Region
from reports.errors import InvalidResult

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = [
    "GateDecision",
    "InputVersion",
    "ObjectRef",
    "RefusedPart",
    "Run",
    "RunStatus",
    "StackRef",
    "Structure",
    "StudyRef",
    "geometry_digest",
    "input_version",
    "mask_digest",
    "series_digest",
]

RunStatus = Literal["ok", "failed", "refused", "held"]
GateDecision = Literal["RUN", "RUN_WITH_WARNING", "HOLD", "REFUSE"]


@dataclass(frozen=True)
class StudyRef:
    """The study and its patient, as the source's header has them, decoded.

    Parameters
    ----------
    study_uid
        StudyInstanceUID.
    patient_name
        All component groups, as in ``Zhang^San=张^三``.
    raw_patient_name
        The bytes as received, for a peer that compares bytes; they mean what `character_set` says.
    study_date, study_time, birth_date
        As DICOM writes them (DA, TM), empty where unknown.
    undecodable
        Keywords of attributes that are empty here because they do not decode in `character_set`.
    """

    study_uid: str
    accession: str = ""
    study_date: str = ""
    study_time: str = ""
    description: str = ""
    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    sex: str = ""
    referring: str = ""
    institution: str = ""
    character_set: str = ""
    raw_patient_name: bytes = b""
    undecodable: tuple[str, ...] = ()


@dataclass(frozen=True)
class StackRef:
    """One stack of planes that went in."""

    id: str
    series_uid: str
    frame_of_reference: str
    n: int
    modality: str = ""
    description: str = ""


@dataclass(frozen=True)
class RefusedPart:
    """A part of the study that was not used, with the code of the refusal and its sentence."""

    series_uid: str
    code: str
    reason: str


@dataclass(frozen=True, order=True)
class ObjectRef:
    """A DICOM object that was sent before."""

    outlet: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True)
class InputVersion:
    """What went in: `digest` is the sha256 over the sorted list of (SOP instance UID, sha256 of its file)."""

    digest: str
    stacks: tuple[StackRef, ...] = ()
    refused: tuple[RefusedPart, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "stacks", tuple(sorted(self.stacks, key=lambda s: s.id)))
        object.__setattr__(self, "refused", tuple(sorted(self.refused, key=lambda r: (r.series_uid, r.code))))


@dataclass(frozen=True)
class Run:
    """One algorithm on one or more stacks.

    Parameters
    ----------
    targets
        Ids of the stacks.
    settings_digest
        Hash of everything that was set by a person.
    reason
        One sentence: why a run has no output. Required unless `status` is "ok".
    reason_zh
        The same in Chinese, where there is one.
    action
        What a person can do about it, for a refused run.
    gate
        What image quality said before the run.
    scope_covered
        Whether the region of interest was completely inside the images. Without it "none found" is never said.
    """

    id: str
    algorithm: Algorithm
    status: RunStatus
    targets: tuple[str, ...] = ()
    settings_digest: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    device: str = "CPU"
    reason: str = ""
    reason_zh: str = ""
    action: str = ""
    warnings: tuple[str, ...] = ()
    gate: GateDecision = "RUN"
    scope_covered: bool = False

    def __post_init__(self) -> None:
        if self.status not in get_args(RunStatus):
            raise InvalidResult(f"A run has no status '{self.status}'; use one of {', '.join(get_args(RunStatus))}.")
        if self.status != "ok" and not self.reason:
            raise InvalidResult("A run without output has to say why; give it a reason.", run=self.id)
        if self.status == "ok" and self.gate in {"HOLD", "REFUSE"}:
            raise InvalidResult(f"The gate said {self.gate}, so this run cannot have ended well.", run=self.id)


@dataclass(frozen=True, eq=False)
class Structure:
    """One structure that a run found.

    Parameters
    ----------
    id
        Unique in the result; stable for the same run and name.
    number
        Segment and ROI number, from 1.
    region
        Its voxels; None where the result came back from its JSON form without masks.
    mask_sha256, geometry_digest
        Hashes of the mask and of the grid it lies on.
    volume_cc
        Number of voxels x volume of a voxel, cm3; None on pictures, whose pixels have no size.
    run
        Id of the run that made it.
    tracking_uid
        The same in every object and every later version.
    edited
        A person changed it.
    areas_px
        On pictures: (number of the picture in its series from 1, pixels) where it has any.
    """

    id: str
    number: int
    name: StructureName
    region: Region | None
    mask_sha256: str
    geometry_digest: str
    volume_cc: float | None
    run: str
    tracking_uid: str
    edited: bool = False
    areas_px: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.number < 1:
            raise InvalidResult(f"Structures are numbered from 1, not {self.number}.", structure=self.id)
        if (self.volume_cc is None) != bool(self.areas_px):
            raise InvalidResult("A structure has a volume, or areas on pictures; give one.", structure=self.id)
        sizes = [pixels for _, pixels in self.areas_px] if self.volume_cc is None else [self.volume_cc]
        if not all(size > 0 for size in sizes):
            raise InvalidResult("A structure without volume is no finding; leave it out.", structure=self.id)
        if self.region is not None and mask_digest(self.region) != self.mask_sha256:
            raise InvalidResult("The mask is not the one that was measured; measure it again.", structure=self.id)

    @property
    def voxel_count(self) -> int:
        """Voxels of the mask, or pixels on all pictures; 0 without its mask."""
        return 0 if self.region is None else self.region.voxel_count

    @property
    def largest_area_px(self) -> tuple[int, int]:
        """The picture that shows most of it, by its number, and its pixels there; (0, 0) in a volume."""
        return max(self.areas_px, key=lambda area: (area[1], -area[0]), default=(0, 0))


def geometry_digest(grid: Grid) -> str:
    """sha256 of a grid: its voxel centres, in steps of 0.0001 mm, its shape and its frame of reference."""
    corners = [
        grid.points_lps(k, [[0, 0], [grid.columns - 1, 0], [0, grid.rows - 1]]).round(4).tolist()
        for k in range(grid.shape[0])
    ]
    return digest([list(grid.shape), grid.frame_of_reference_uid, [[[x + 0.0 for x in p] for p in c] for c in corners]])


def series_digest(series: "Stack | PictureSeries") -> str:
    """What a structure's `geometry_digest` is on this series; on pictures, of their instances, frames and size."""
    if isinstance(series, PictureSeries):
        return digest([list(series.shape), [[s.sop_instance_uid, s.frame_number] for s in series.sources]])
    return geometry_digest(series.grid)


def mask_digest(region: Region) -> str:
    """sha256 of a mask: shape of the grid, place of the voxels' box, and the voxels packed to bits.

    Equal for regions of the same voxels, however much empty room their crops leave around them.
    """
    start, crop = _tight(region)
    head = f"{tuple(region.shape)}{start}{crop.shape}".encode()
    return hashlib.sha256(head + np.packbits(crop, axis=None).tobytes()).hexdigest()


def _tight(region: Region) -> tuple[tuple[int, int, int], NDArray[np.bool_]]:
    """First voxel and crop of the smallest box; quick where the crop is that box already."""
    crop = region.crop
    if crop.size and all(np.take(crop, end, axis=axis).any() for axis in range(3) for end in (0, -1)):
        return region.start, crop
    small = Region.from_mask(crop)
    k, j, i = (a + b for a, b in zip(region.start, small.start, strict=True))
    return (k, j, i), small.crop


def input_version(
    instances: Iterable[tuple[str, str]], stacks: Iterable[StackRef] = (), refused: Iterable[RefusedPart] = ()
) -> InputVersion:
    """The input of (SOP instance UID, sha256 of the file) pairs, in any order."""
    return InputVersion(digest([list(pair) for pair in sorted(instances)]), tuple(stacks), tuple(refused))
