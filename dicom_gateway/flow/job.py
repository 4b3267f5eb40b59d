"""One job while it is worked on, and what its steps work with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from contouring.names import NameTable
from dicom_gateway.errors import JobCancelled
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.plan import JobPlan
from dicom_gateway.flow.study_files import StudyFiles
from imaging.cines import Cine, CineSeries
from imaging.errors import ImagingError
from imaging.pictures import Pictures, PictureSeries
from imaging.series import Stack
from imaging.volume import Volume
from monai_bundles import Bundle, BundleOutput
from reports import Capability

__all__ = ["Job", "Runner", "Tools"]

Runner = Callable[..., BundleOutput]
"""Takes a bundle, an image and a callable for progress; a bundle of several series its others as `companions` too."""


@dataclass(frozen=True)
class Tools:
    """What the steps work with.

    Parameters
    ----------
    bundles
        Registered bundles by name.
    run
        Runs a bundle on a volume and reports its progress: a warm worker process, or the same process.
    destinations
        What each destination accepts, by its name.
    names
        Names of structures, with the site's aliases.
    undelivered
        The form of objects that have no destination.
    profiles
        Files and folders with the site's profiles of image quality.
    """

    bundles: Mapping[str, Bundle]
    run: Runner
    destinations: Mapping[str, Capability] = field(default_factory=dict)
    names: NameTable = field(default_factory=NameTable.default)
    undelivered: Capability = field(default_factory=Capability)
    profiles: tuple[Path, ...] = ()

    def capabilities(self, names: Sequence[str]) -> tuple[Capability, ...]:
        """What the named destinations accept, each kind once; without a destination, what everybody accepts.

        Every object is written whatever outlets a destination takes, because the embedded store keeps them all. A name
        that is in the settings no longer, since its job was planned, takes what everybody accepts.
        """
        known = [self.destinations.get(name, self.undelivered) for name in names]
        everything = [replace(capability, outlets=Capability().outlets) for capability in known]
        return tuple(dict.fromkeys(everything)) or (self.undelivered,)


@dataclass(frozen=True)
class Job:
    """One job while it is worked on.

    Parameters
    ----------
    set_aside
        Objects of its study that lie in quarantine.
    is_cancelled
        Whether a person has cancelled it; asked often.
    """

    plan: JobPlan
    files: StudyFiles
    folder: Path
    tools: Tools
    journal: Journal
    set_aside: int = 0
    is_cancelled: Callable[[], bool] = lambda: False

    def require_wanted(self) -> None:
        """Nothing, while the job is wanted.

        Raises
        ------
        JobCancelled
            A person has cancelled it.
        """
        if self.is_cancelled():
            raise JobCancelled("The job was cancelled.")

    @cached_property
    def stack(self) -> Stack | PictureSeries | CineSeries:
        """The planes and their headers."""
        return self.files.stack(self.plan.stack)

    @cached_property
    def refusal(self) -> ImagingError | None:
        """Why there is no image, or None where there is one."""
        try:
            self.files.image(self.plan.stack)
        except ImagingError as error:
            return error
        return None

    @property
    def image(self) -> Volume | Pictures | Cine | None:
        """Volume, pictures or phases, or None where geometry or pixels were refused."""
        return None if self.refusal else self.files.image(self.plan.stack)

    @property
    def created_at(self) -> datetime:
        """The time that stands in the objects."""
        return datetime.fromtimestamp(self.plan.created_at, UTC)
