"""Files to verdicts: one for each stack, and one for what was no stack and that a person should know of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from pydicom.dataset import Dataset

from imaging.errors import RadgateError
from imaging.headers import read_header
from imaging.series import Leftover, Scan, load_volume, scan
from qc.image.illustrate import SeriesPictures, pictures_of_planar, pictures_of_stack
from qc.image.inputs import PLANAR
from qc.image.judgeable import is_secondary_capture
from qc.image.planar import read_planar
from qc.image.registry import OTHER_MODALITIES
from qc.image.result import SeriesVerdict
from qc.image.run import check_pictures, check_refused, check_series
from qc.image.study import frames_in_time, surroundings

__all__ = ["accompanying", "check_files", "check_scan", "headers_by_series"]

HARMLESS = ("localiser", "not_an_image_stack", "duplicate_instance")
"""What accompanies many series; its headers are not judged as if it were one."""

NO_IMAGES = OTHER_MODALITIES - {"OT", "SC"}
"""Plans, doses, masks, reports: what a study holds beside its images. An image of another kind is told so."""


def check_files(
    files: Sequence[Path],
    profile: str = "auto",
    *,
    intent: str = "",
    order: Mapping[str, str] | None = None,
    today: date | None = None,
    profile_folders: Sequence[Path] = (),
    context: Sequence[Path] = (),
) -> list[SeriesVerdict]:
    """The quality of every series among files and folders; the order and the names of the files do not matter.

    Series of one study help to judge each other: the CT of a PET, the phases of a four-dimensional CT. What only goes
    with them (`accompanying`) gets no verdict, except where there is nothing else.

    Parameters
    ----------
    files
        Files, and folders that are walked.
    context
        Files of other series of the study, which help and are not judged.
    profile, intent, order, today, profile_folders
        As in `check_series`.

    Raises
    ------
    FileNotFoundError
        One of the paths does not exist.
    ProfileInvalid
        A profile file breaks a rule.
    UnknownProfile
        There is no profile of that id.
    """
    return check_scan(
        scan(files),
        profile,
        intent=intent,
        order=order,
        today=today,
        profile_folders=profile_folders,
        context=context,
        alone=True,
    )


def check_scan(
    scanned: Scan,
    profile: str = "auto",
    *,
    intent: str = "",
    order: Mapping[str, str] | None = None,
    today: date | None = None,
    profile_folders: Sequence[Path] = (),
    context: Sequence[Path] = (),
    alone: bool = False,
    illustrated: Callable[[SeriesVerdict, SeriesPictures], None] | None = None,
) -> list[SeriesVerdict]:
    """As `check_files`, of files that were scanned.

    Parameters
    ----------
    alone
        Whether what only goes with images gets a verdict where there is nothing else.
    illustrated
        Told each verdict with its pictures, which are drawn only then.

    Raises
    ------
    FileNotFoundError
        A path of the context does not exist.
    ProfileInvalid
        A profile file breaks a rule.
    UnknownProfile
        There is no profile of that id.
    """
    at_hand = (*scanned.stacks, *(scan(context).stacks if context else ()))
    verdicts = []
    for stack in scanned.stacks:
        volume, refusal = None, None
        try:
            volume = load_volume(stack)
        except RadgateError as reason:
            refusal = reason
        around = surroundings(stack, at_hand)
        verdicts.append(
            check_series(
                stack,
                volume,
                profile,
                intent=intent,
                refusal=refusal,
                order=order,
                today=today,
                profile_folders=profile_folders,
                companion=around.companion,
                frames=around.frames,
                siblings=around.siblings,
            )
        )
        if illustrated is not None:
            illustrated(verdicts[-1], pictures_of_stack(verdicts[-1], stack, volume))
    leftovers = _by_series(scanned.leftovers)
    images = [item for item in leftovers if not _accompanies(*item)]
    for left, headers in leftovers if alone and not images and not scanned.stacks else images:
        is_secondary = any(is_secondary_capture(h) for h in headers)
        if left.modality in PLANAR and left.reason.code == "not_an_image_stack" and not is_secondary:
            series = read_planar(left.files)
            verdicts.append(
                check_pictures(
                    series, profile, intent=intent, order=order, today=today, profile_folders=profile_folders
                )
            )
            if illustrated is not None:
                illustrated(verdicts[-1], pictures_of_planar(verdicts[-1], series))
            continue
        verdicts.append(
            check_refused(
                () if left.reason.code in HARMLESS and not is_secondary else headers,
                left.reason,
                profile,
                series_instance_uid=left.series_instance_uid,
                modality=left.modality,
                profile_folders=profile_folders,
                frames=frames_in_time(left.files) if left.reason.code == "four_dimensional" else (),
            )
        )
        if illustrated is not None:
            illustrated(verdicts[-1], pictures_of_planar(verdicts[-1], read_planar(left.files[:1])))
    return verdicts


def accompanying(scanned: Scan) -> list[Leftover]:
    """What a study holds beside the images that are judged, one for each series: plans, masks, reports, localisers."""
    return [left for left, headers in _by_series(scanned.leftovers) if _accompanies(left, headers)]


def _accompanies(left: Leftover, headers: Sequence[Dataset]) -> bool:
    if left.reason.code == "localiser":
        return True
    has_signal = any("Rows" in header or "WaveformSequence" in header for header in headers)
    return left.reason.code == "not_an_image_stack" and (left.modality in NO_IMAGES or not has_signal)


def headers_by_series(files: Sequence[Path]) -> list[tuple[str, tuple[Dataset, ...]]]:
    """SeriesInstanceUID and headers of all that `check_files` would judge, without reading a pixel.

    Raises
    ------
    FileNotFoundError
        One of the paths does not exist.
    """
    scanned = scan(files)
    stacks = [(stack.series_instance_uid, tuple(stack.headers)) for stack in scanned.stacks]
    return stacks + [
        (left.series_instance_uid, headers)
        for left, headers in _by_series(scanned.leftovers)
        if headers and (left.modality in PLANAR or left.reason.code not in HARMLESS)
    ]


def _by_series(leftovers: Sequence[Leftover]) -> list[tuple[Leftover, tuple[Dataset, ...]]]:
    """One leftover for all files of a series that were refused for the same reason, with the headers that can be read.

    What was taken from a screen stays apart from the images that it was sent with. Files stand in the order of their
    identity, because file names follow the digest of the content and say nothing.
    """
    groups: dict[tuple[str, str, bool], list[tuple[str, Path, Leftover, Dataset | None]]] = {}
    for left in leftovers:
        for file in left.files if left.series_instance_uid else ():
            try:
                header: Dataset | None = read_header(file).dataset
            except RadgateError:
                header = None
            is_secondary = header is not None and is_secondary_capture(header)
            uid = "" if header is None else str(header.get("SOPInstanceUID", ""))
            key = (left.series_instance_uid, left.reason.code, is_secondary)
            groups.setdefault(key, []).append((uid, file, left, header))
    found = []
    for members in groups.values():
        members.sort(key=lambda m: m[0])
        merged = replace(members[0][2], files=tuple(file for _, file, _, _ in members))
        found.append((merged, tuple(header for _, _, _, header in members if header is not None)))
    return found
