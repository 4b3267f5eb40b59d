"""Which of the files that are no stack are colour pictures: for those who can work on pictures, beside the stacks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydicom.uid import (
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    VideoEndoscopicImageStorage,
    VideoMicroscopicImageStorage,
    VideoPhotographicImageStorage,
    VLEndoscopicImageStorage,
    VLMicroscopicImageStorage,
    VLPhotographicImageStorage,
)

from imaging.attributes import text, whole
from imaging.belonging import check_instance_uids, check_one_patient
from imaging.colours import check_colours
from imaging.errors import (
    MissingAttribute,
    MixedGrid,
    NotAnImageStack,
    RadgateError,
    TruncatedFile,
)
from imaging.headers import Header, PixelLocation, read_header
from imaging.pictures import PictureSeries
from imaging.quiet import quiet_pydicom
from imaging.series import Leftover, Scan
from imaging.volume import SourceInstance

__all__ = ["with_pictures"]

FILMS = frozenset({VideoEndoscopicImageStorage, VideoPhotographicImageStorage, VideoMicroscopicImageStorage})
PICTURES = frozenset({VLEndoscopicImageStorage, VLPhotographicImageStorage, VLMicroscopicImageStorage}) | FILMS

CAPTURES = frozenset({SecondaryCaptureImageStorage, MultiFrameTrueColorSecondaryCaptureImageStorage})
MULTI_FRAME = FILMS | {MultiFrameTrueColorSecondaryCaptureImageStorage}
"""Kinds of object whose frames others may refer to by number; all other kinds hold one picture (PS3.3 table 10-3)."""

CAPTURED = frozenset({"ES"})
"""Secondary captures are pictures where their modality says so; of a CT they are screen shots, and stay leftovers."""

LEAST_FRAME_BYTES = 8
"""A compressed frame has an item header of this length; more frames than that the file cannot hold."""


def with_pictures(found: Scan) -> Scan:
    """The same files with the series of colour pictures apart; every file is still in exactly one place.

    Pictures that cannot be used together (of several patients or sizes, grey, not of 8 bits) stay leftovers, with the
    reason that is theirs. The result does not depend on the order or the names of the files.
    """
    leftovers: list[Leftover] = []
    series: dict[tuple[str, ...], list[Header]] = {}
    with quiet_pydicom():
        for leftover in found.leftovers:
            headers = _pictured(leftover)
            others = tuple(f for f in leftover.files if f not in {h.file for h in headers})
            if others:
                leftovers.append(replace(leftover, files=others))
            for header in headers:
                keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID")
                series.setdefault(tuple(text(header.dataset, k) for k in keywords), []).append(header)
        pictures = []
        for key, members in series.items():
            try:
                pictures.append(_series(members))
            except RadgateError as reason:
                files = tuple(sorted(h.file for h in members))
                modality = text(members[0].dataset, "Modality")
                leftovers.append(Leftover(files, reason, key[1], key[0], modality))
    pictures.sort(key=lambda s: (s.study_instance_uid, s.series_instance_uid, s.id))
    leftovers.sort(key=lambda item: (item.study_instance_uid, item.series_instance_uid, str(item.files[0])))
    return replace(found, leftovers=tuple(leftovers), pictures=(*found.pictures, *pictures))


def _pictured(leftover: Leftover) -> list[Header]:
    """Headers of those files of a leftover that are pictures."""
    if not isinstance(leftover.reason, NotAnImageStack):
        return []
    found = []
    for file in leftover.files:
        try:
            header = read_header(file)
        except RadgateError:
            continue  # changed since the scan: it stays what it was
        if _is_picture(header):
            found.append(header)
    return found


def _is_picture(header: Header) -> bool:
    kind = text(header.dataset, "SOPClassUID")
    return kind in PICTURES or (kind in CAPTURES and text(header.dataset, "Modality") in CAPTURED)


def _series(headers: Sequence[Header]) -> PictureSeries:
    """The pictures of one series and SOP class, frames behind one another.

    Raises
    ------
    MixedGrid
        They differ in size.
    RadgateError
        They cannot be used together for another reason.
    """
    check_one_patient(headers)
    check_instance_uids(headers)
    for header in headers:
        check_colours(header.dataset)
    sizes = {(whole(h.dataset, "Rows"), whole(h.dataset, "Columns")) for h in headers}
    if len(sizes) > 1:
        said = " and ".join(f"{rows} x {columns}" for rows, columns in sorted(sizes))
        raise MixedGrid(f"The series mixes pictures of {said} (rows x columns); split it by size.", sizes=sorted(sizes))
    ordered = sorted(headers, key=lambda h: (_number(h), text(h.dataset, "SOPInstanceUID")))
    planes = [plane for header in ordered for plane in _planes(header)]
    return PictureSeries(
        sources=tuple(source for source, *_ in planes),
        files=tuple(file for _, file, *_ in planes),
        headers=tuple(header.dataset for _, _, header, _ in planes),
        pixels=tuple(location for *_, location in planes),
    )


def _number(header: Header) -> int:
    """InstanceNumber; those without one come first."""
    try:
        return whole(header.dataset, "InstanceNumber", -1)
    except MissingAttribute:
        return -1


def _planes(header: Header) -> list[tuple[SourceInstance, Path, Header, PixelLocation]]:
    """One entry for each frame; a picture without NumberOfFrames, or with one frame, has no frame number.

    Raises
    ------
    MissingAttribute
        There are no pixels.
    NotAnImageStack
        An object of a kind that holds one picture has several frames: no result could say which one it means.
    TruncatedFile
        The header claims more frames than the file can hold.
    """
    if header.pixels is None:
        raise MissingAttribute("PixelData is absent; export the pictures again with them.", keyword="PixelData")
    count = whole(header.dataset, "NumberOfFrames", 1)
    if count * LEAST_FRAME_BYTES > max(header.file.stat().st_size, LEAST_FRAME_BYTES):
        raise TruncatedFile("The header claims more frames than the file can hold; send it again.", frames=count)
    if count > 1 and text(header.dataset, "SOPClassUID") not in MULTI_FRAME:
        raise NotAnImageStack(
            f"The object has {count} frames and is of a kind that holds one picture; export it as a video or "
            "multi-frame secondary capture, or each frame by itself.",
            frames=count,
        )
    uids = [text(header.dataset, k) for k in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")]
    numbers = range(1, count + 1) if count > 1 else (None,)
    return [(SourceInstance(uids[0], uids[1], uids[2], n), header.file, header, header.pixels) for n in numbers]
