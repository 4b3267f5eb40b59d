"""What is to be done with a study version: one job for each stack and route, with an id that the same input repeats."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imaging.provenance import digest

__all__ = ["Earlier", "InputFile", "JobPlan", "input_digest"]


@dataclass(frozen=True)
class InputFile:
    """One received object: its UID, the hash of its bytes, and where they are."""

    sop_uid: str
    sha256: str
    path: Path


@dataclass(frozen=True)
class Earlier:
    """A result of an earlier version: its id, and (outlet, SOP class, SOP instance, series) of each of its objects."""

    result_id: str = ""
    objects: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True)
class JobPlan:
    """One stack on one route; plain values only, so that it can be kept in the durable record.

    Parameters
    ----------
    id
        Digest of study, input, stack and route: the same input gives the same job.
    stack
        Id of the stack within the study version.
    series_uid
        The series that the stack belongs to.
    route, bundles, profile, deliver
        The route's name (several with + between them), its bundles in order, the protocol profile of image QC, the
        destinations' names.
    input_digest
        Digest of all received objects of this study version.
    created_at
        UTC seconds since the epoch at which the job was planned; every date inside its objects comes from here.
    supersedes
        Id of the result of an earlier version of the study that this job's result replaces.
    predecessors
        Its objects, as in `Earlier`.
    """

    id: str
    study_uid: str
    version: int
    stack: str
    series_uid: str
    route: str
    bundles: tuple[str, ...]
    profile: str
    deliver: tuple[str, ...]
    input_digest: str
    created_at: float
    supersedes: str = ""
    predecessors: tuple[tuple[str, str, str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "JobPlan":
        """The plan that `to_json` wrote."""
        lists = {name: tuple(value[name]) for name in ("bundles", "deliver")}
        return cls(**{**value, **lists, "predecessors": tuple(tuple(p) for p in value["predecessors"])})


def input_digest(files: Iterable[InputFile]) -> str:
    """sha256 over the sorted (SOP instance UID, sha256) pairs."""
    return digest(sorted([f.sop_uid, f.sha256] for f in files))
