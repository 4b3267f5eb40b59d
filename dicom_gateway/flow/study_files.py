"""The files of one study version: scanned once, with the image that is being worked on kept in memory."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path

from dicom_gateway.flow.plan import InputFile
from imaging.cine_scan import load_cine, with_cines
from imaging.cines import Cine, CineSeries
from imaging.colours import load_pictures
from imaging.errors import ImagingError
from imaging.headers import read_header, text
from imaging.picture_scan import with_pictures
from imaging.pictures import Pictures, PictureSeries
from imaging.series import Leftover, Scan, Stack, load_volume, scan
from imaging.volume import Volume

__all__ = ["StudyFiles", "hashed_inputs", "image_series"]


class StudyFiles:
    """Stacks, series of pictures, cines, leftovers and images of a set of files.

    Parameters
    ----------
    paths
        Files, or folders that are walked.
    inputs
        The received objects, where their UIDs and hashes are known; else they are read from the files.
    progress
        Called with (files read, files in all) while headers are read.

    Attributes
    ----------
    asked
        What the outside validator was asked about objects of this study, by their sha256; gone after a crash, and then
        asked again.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        inputs: Sequence[InputFile] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._paths = tuple(paths)
        self._inputs = inputs
        self._progress = progress
        self._image: tuple[str, Volume | Pictures | Cine] | None = None
        self.asked: dict[str, Future[tuple[str, ...] | None]] = {}

    @cached_property
    def scan(self) -> Scan:
        """All stacks, series of pictures, cines and leftovers; read at the first use."""
        return with_cines(with_pictures(scan(self._paths, self._progress)))

    @cached_property
    def inputs(self) -> tuple[InputFile, ...]:
        """UID and hash of every DICOM object among the files."""
        return tuple(hashed_inputs(self.scan) if self._inputs is None else self._inputs)

    def stack(self, stack_id: str) -> Stack | PictureSeries | CineSeries:
        """The stack, the series of pictures or the cine with this id.

        Raises
        ------
        KeyError
            No such stack in these files.
        """
        for stack in image_series(self.scan):
            if stack.id == stack_id:
                return stack
        raise KeyError(stack_id)

    def leftovers_of(self, study_uid: str) -> tuple[Leftover, ...]:
        """Leftovers of one study."""
        return tuple(item for item in self.scan.leftovers if item.study_instance_uid == study_uid)

    def image(self, stack_id: str) -> Volume | Pictures | Cine:
        """Volume, pictures or phases of a series; the last one is kept, so that a study needs the memory of one.

        Raises
        ------
        GeometryRefused
            The planes make up no regular grid.
        UndecodablePixels
            A plane cannot be decoded.
        """
        if self._image is None or self._image[0] != stack_id:
            self._image = None
            stack = self.stack(stack_id)
            self._image = (stack_id, _loaded(stack))
        return self._image[1]


def _loaded(series: Stack | PictureSeries | CineSeries) -> Volume | Pictures | Cine:
    """The pixels of a series."""
    if isinstance(series, PictureSeries):
        return load_pictures(series)
    return load_cine(series) if isinstance(series, CineSeries) else load_volume(series)


def image_series(found: Scan) -> tuple[Stack | PictureSeries | CineSeries, ...]:
    """Everything in a scan that a route can choose: stacks, then series of pictures, then cines."""
    return (*found.stacks, *found.pictures, *found.cines)


def hashed_inputs(found: Scan) -> list[InputFile]:
    """UID, hash and path of every object of a scan; what has no UID is no object and stands in the leftovers."""
    uids: dict[Path, str] = {}
    for stack in image_series(found):
        for source, file in zip(stack.sources, stack.files, strict=True):
            uids[file] = source.sop_instance_uid
    for leftover in found.leftovers:
        for file in leftover.files:
            try:
                uids[file] = text(read_header(file).dataset, "SOPInstanceUID")
            except ImagingError:
                continue
    inputs = []
    for file, uid in sorted(uids.items()):
        if uid:
            with file.open("rb") as stream:
                inputs.append(InputFile(uid, hashlib.file_digest(stream, "sha256").hexdigest(), file))
    return inputs
