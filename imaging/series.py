"""Files to stacks: which files make up one regular series, and what was no stack and why.

`scan` looks at headers only; `load_volume` reads the pixels of one stack and refuses what no affine can describe.
"""

import filecmp
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imaging.attributes import text
from imaging.belonging import check_instance_uids, check_one_patient
from imaging.cines import CineSeries
from imaging.errors import DuplicateInstance, Localiser, NotAnImageStack, RadgateError
from imaging.frames import ENHANCED, SINGLE_FRAME, Plane, planes_of
from imaging.geometry import Grid
from imaging.headers import Header, read_header
from imaging.pictures import PictureSeries
from imaging.pixels import PlanePixels, read_pixels
from imaging.planes import PlaneSeries
from imaging.quiet import quiet_pydicom
from imaging.stacking import stack_planes
from imaging.volume import Volume

__all__ = ["Leftover", "Scan", "Stack", "load_volume", "scan"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Stack(PlaneSeries):
    """The planes of one series in the order of its grid, with their headers and without their pixels.

    Parameters
    ----------
    grid
        Geometry; may be uneven or tilted.
    sources, files, headers, pixels
        See `PlaneSeries`.
    """

    grid: Grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """(planes, rows, columns)."""
        return self.grid.shape

    @property
    def frame_of_reference_uid(self) -> str:
        """Frame that the coordinates refer to; "" where the series names none."""
        return self.grid.frame_of_reference_uid


@dataclass(frozen=True, eq=False)
class Leftover:
    """Files that are no stack, and why.

    Parameters
    ----------
    files
        The files; together with those of all stacks and other leftovers, exactly the input.
    reason
        The typed refusal, with what to do.
    series_instance_uid, study_instance_uid, modality
        Where they could be read, else "".
    """

    files: tuple[Path, ...]
    reason: RadgateError
    series_instance_uid: str = ""
    study_instance_uid: str = ""
    modality: str = ""


@dataclass(frozen=True, eq=False)
class Scan:
    """What a number of files turned out to be: every file is in exactly one stack, picture series or leftover.

    Parameters
    ----------
    stacks
        Planes on grids.
    leftovers
        What is none, and why.
    pictures
        Colour pictures, where somebody asked for them by `imaging.picture_scan.with_pictures`; `scan` itself leaves
        them among the leftovers, for most of what works on images takes measurements only.
    cines
        Phases of one plane, where somebody asked for them by `imaging.cine_scan.with_cines`.
    """

    stacks: tuple[Stack, ...]
    leftovers: tuple[Leftover, ...]
    pictures: tuple[PictureSeries, ...] = ()
    cines: tuple[CineSeries, ...] = ()


def scan(paths: Iterable[Path], progress: Progress | None = None) -> Scan:
    """Sort files into stacks and leftovers; the result does not depend on the order or the names of the files.

    Parameters
    ----------
    paths
        Files, and folders that are walked to the bottom.
    progress
        Called with (files read, files in all) after each file.

    Raises
    ------
    FileNotFoundError
        One of the paths does not exist.
    """
    files = _all_files(paths)
    headers: list[Header] = []
    leftovers: list[Leftover] = []
    with quiet_pydicom():
        for number, file in enumerate(files, start=1):
            try:
                headers.append(read_header(file))
            except RadgateError as reason:
                leftovers.append(_unread(file, reason))
            if progress is not None:
                progress(number, len(files))
        stacks: list[Stack] = []
        for series in _by_series(_without_copies(headers, leftovers)):
            stack = _stack_of_series(series, leftovers)
            if stack is not None:
                stacks.append(stack)
        stacks.sort(key=lambda s: (s.study_instance_uid, s.series_instance_uid, s.id))
    leftovers.sort(key=lambda item: (item.study_instance_uid, item.series_instance_uid, str(item.files[0])))
    return Scan(tuple(stacks), tuple(leftovers))


def load_volume(stack: Stack) -> Volume:
    """The pixels of a stack after rescaling, on its grid.

    Returns
    -------
    Volume
        CT in HU: int16 where every value is a whole number that fits, else float32. Values of PixelPaddingValue are
        rescaled like all others. MONOCHROME1 is not inverted: the stored values are the measurement.

    Raises
    ------
    GantryTilt
        The planes are shifted against each other.
    MissingSlices
        The planes are not evenly spaced, or one single plane has no thickness.
    MissingAttribute
        An attribute that pixels need is absent, such as RescaleIntercept of CT.
    UndecodablePixels
        No decoder, or a damaged stream.
    TruncatedFile
        A file holds fewer pixels than its header says, or has changed since the scan.
    """
    _ = stack.grid.affine_lps
    planes = [
        PlanePixels(header, file, source.frame_number, location)
        for header, file, source, location in zip(stack.headers, stack.files, stack.sources, stack.pixels, strict=True)
    ]
    array, unit = read_pixels(planes, stack.grid.shape)
    return Volume(array=array, grid=stack.grid, sources=stack.sources, unit=unit)


def _all_files(paths: Iterable[Path]) -> list[Path]:
    """Regular files below the paths, each once; links to folders are not followed, for they may form a ring.

    Raises
    ------
    FileNotFoundError
        One of the paths does not exist.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            for folder, _, names in os.walk(path):
                for name in names:
                    file = Path(folder, name)
                    if file.is_file() or file.is_symlink():
                        found.setdefault(file.absolute(), file)
        elif path.exists():
            found.setdefault(path.absolute(), path)
        else:
            raise FileNotFoundError("One of the paths to scan does not exist.")
    return sorted(found.values())


def _unread(file: Path, reason: RadgateError) -> Leftover:
    """A file that could not be read, with the series it was cut from where the reason knows it."""
    return Leftover(
        files=(file,),
        reason=reason,
        series_instance_uid=reason.fields.get("series_instance_uid", ""),
        study_instance_uid=reason.fields.get("study_instance_uid", ""),
    )


def _leftover(headers: Sequence[Header], reason: RadgateError) -> Leftover:
    first = headers[0].dataset
    return Leftover(
        files=tuple(h.file for h in headers),
        reason=reason,
        series_instance_uid=text(first, "SeriesInstanceUID"),
        study_instance_uid=text(first, "StudyInstanceUID"),
        modality=text(first, "Modality"),
    )


def _without_copies(headers: Sequence[Header], leftovers: list[Leftover]) -> list[Header]:
    """The headers without byte-identical copies of one instance, which become leftovers."""
    kept: dict[str, list[Header]] = {}
    for header in headers:
        same = kept.setdefault(text(header.dataset, "SOPInstanceUID"), [])
        if any(filecmp.cmp(header.file, other.file, shallow=False) for other in same):
            reason = DuplicateInstance("The file is a copy of an instance that is used already; nothing is lost.")
            leftovers.append(_leftover([header], reason))
        else:
            same.append(header)
    return [h for same in kept.values() for h in same]


def _by_series(headers: Sequence[Header]) -> list[list[Header]]:
    series: dict[tuple[str, ...], list[Header]] = {}
    for header in headers:
        keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID")
        series.setdefault(tuple(text(header.dataset, k) for k in keywords), []).append(header)
    return list(series.values())


def _stack_of_series(headers: Sequence[Header], leftovers: list[Leftover]) -> Stack | None:
    """The one stack of the instances of one series and SOP class; what is none is added to `leftovers`."""
    if text(headers[0].dataset, "SOPClassUID") not in SINGLE_FRAME | ENHANCED:
        other = NotAnImageStack("The object is no CT, MR or PET image; it is passed by when images are stacked.")
        leftovers.extend(_leftover([h], other) for h in headers)
        return None
    localisers = [h for h in headers if _is_localiser(h)]
    screens = [h for h in headers if _is_screen_capture(h)]
    images = [h for h in headers if h not in localisers and h not in screens]
    if localisers:
        scout = Localiser("The image is a localiser (scout); it is passed by when images are stacked.")
        leftovers.append(_leftover(localisers, scout))
    if screens:
        screen = NotAnImageStack("The image is a secondary capture without a position in space; it is passed by.")
        leftovers.append(_leftover(screens, screen))
    if not images:
        return None
    try:
        check_one_patient(images)
        check_instance_uids(images)
        planes = [plane for h in images for plane in planes_of(h)]
        grid, ordered = stack_planes(planes)
    except RadgateError as reason:
        leftovers.append(_leftover(images, reason))
        return None
    return _stack(grid, ordered)


def _stack(grid: Grid, planes: Sequence[Plane]) -> Stack:
    return Stack(
        grid=grid,
        sources=tuple(p.source for p in planes),
        files=tuple(p.file for p in planes),
        headers=tuple(p.header for p in planes),
        pixels=tuple(p.pixels for p in planes),
    )


def _image_type(header: Header) -> list[str]:
    return text(header.dataset, "ImageType").upper().split("\\")


def _is_localiser(header: Header) -> bool:
    return "LOCALIZER" in _image_type(header)


def _is_screen_capture(header: Header) -> bool:
    """Whether an image without any position says of itself that it is secondary (a dose report, a screen shot)."""
    is_secondary = "SECONDARY" in _image_type(header)[1:2] and text(header.dataset, "SOPClassUID") in SINGLE_FRAME
    return is_secondary and not any(
        text(header.dataset, k) for k in ("ImagePositionPatient", "ImageOrientationPatient")
    )
