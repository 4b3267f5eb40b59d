"""WADO-RS: which form of an object a client gets, and the answer that carries it piece by piece."""

import itertools
import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pydicom
from fastapi import HTTPException
from fastapi.responses import Response, StreamingResponse
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_gateway.dicomweb.files import header_of, whole_of
from dicom_gateway.dicomweb.frames import frame_count, is_decodable, native_frames, stored_frames
from dicom_gateway.dicomweb.media import IMAGE_TYPES, MediaRange, Part, multipart_body, new_boundary
from dicom_gateway.dicomweb.metadata import bulk_value
from dicom_gateway.store import InstanceRow
from imaging.errors import ImagingError
from imaging.headers import PARSER_FAULTS

__all__ = ["bulk_answer", "frame_numbers", "frames_answer", "instances_answer"]

UNCOMPRESSED = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
CHUNK_BYTES = 1 << 20
MOST_FRAMES = 2000
OCTETS = "application/octet-stream"
NO_FORM = "The object cannot be given in this form; ask with transfer-syntax=* for it as it is stored."

StoredFile = tuple[InstanceRow, Path, str]
"""Row, file, and address."""


def instances_answer(items: Sequence[StoredFile], ranges: Sequence[MediaRange]) -> Response:
    """Whole instances as application/dicom: as stored, or as Explicit VR Little Endian where that is asked for.

    Raises
    ------
    HTTPException
        406: a form that cannot be given.
    """
    for wanted in ranges:
        multipart = wanted.type in {"*/*", "multipart/*", "multipart/related"} and wanted.part in {
            "*/*",
            "application/dicom",
        }
        single = wanted.type in {"application/dicom", "application/*"} and len(items) == 1
        if not (multipart or single):
            continue
        syntax = wanted.transfer_syntax or "*"
        if not all(_can_become(row.transfer_syntax_uid, syntax) for row, _, _ in items):
            continue
        if single:
            row, file, _ = items[0]
            return StreamingResponse(_file_chunks(row, file, syntax), media_type="application/dicom")
        parts = (
            Part(
                f"application/dicom; transfer-syntax={_outcome(row, syntax)}", _file_chunks(row, file, syntax), address
            )
            for row, file, address in items
        )
        return _multipart(parts, "application/dicom")
    raise HTTPException(406, NO_FORM)


def frame_numbers(text: str) -> list[int]:
    """Frame numbers of an address, from 1.

    Raises
    ------
    HTTPException
        400: no list of numbers, or too many.
    """
    if not re.fullmatch(r"[1-9][0-9]{0,5}(,[1-9][0-9]{0,5})*", text) or text.count(",") >= MOST_FRAMES:
        raise HTTPException(400, f"Frames are a list of at most {MOST_FRAMES} numbers from 1.")
    return [int(n) for n in text.split(",")]


def frames_answer(row: InstanceRow, file: Path, numbers: list[int], ranges: Sequence[MediaRange]) -> Response:
    """Frames as stored, or decoded to plain bytes where the client asks for those.

    Raises
    ------
    HTTPException
        404: no such frame; 406: a form that cannot be given.
    """
    try:
        header = header_of(file)
        count = frame_count(header)
        if not count or max(numbers) > count:
            raise HTTPException(404, f"The object has {count} frames.")
        stored = row.transfer_syntax_uid
        for wanted in ranges:
            form = _frame_form(wanted, stored)
            if form is None:
                continue
            content_type, as_stored = form
            frames = stored_frames(file, numbers) if as_stored else native_frames(file, numbers)
            first = next(frames)  # so that what cannot be decoded is answered before anything is sent
            syntax = stored if as_stored else ExplicitVRLittleEndian
            if wanted.type == OCTETS and len(numbers) == 1:
                return Response(first, media_type=content_type)
            parts = (
                Part(f"{content_type}; transfer-syntax={syntax}", (frame,))
                for frame in itertools.chain([first], frames)
            )
            return _multipart(parts, content_type)
    except (ImagingError, StopIteration) as error:
        raise HTTPException(406, error.message if isinstance(error, ImagingError) else NO_FORM) from error
    raise HTTPException(406, NO_FORM)


def bulk_answer(row: InstanceRow, file: Path, path: str, ranges: Sequence[MediaRange]) -> Response:
    """The bytes behind a BulkDataURI of the metadata; pixels frame by frame where they are compressed.

    Raises
    ------
    HTTPException
        400: no path of tags; 404: no such element; 406: a form that cannot be given.
    """
    if not re.fullmatch(r"[0-9A-Fa-f]{8}(/[0-9]{1,6}/[0-9A-Fa-f]{8}){0,32}", path):
        raise HTTPException(400, "A bulk data address is a path of tags and item numbers.")
    try:
        if path.upper() == "7FE00010" and row.transfer_syntax_uid not in UNCOMPRESSED:
            numbers = list(range(1, frame_count(header_of(file)) + 1))
            frames = stored_frames(file, numbers)
            syntax = row.transfer_syntax_uid
            kind = IMAGE_TYPES.get(syntax, OCTETS)
            return _multipart((Part(f"{kind}; transfer-syntax={syntax}", (f,)) for f in frames), kind)
        value = bulk_value(whole_of(file), path)
    except KeyError as error:
        raise HTTPException(404, "The instance has no such bulk data.") from error
    except (ImagingError, *PARSER_FAULTS) as error:
        raise HTTPException(406, "The object cannot be taken apart; retrieve it as application/dicom.") from error
    for wanted in ranges:
        if wanted.type in {"*/*", "multipart/*", "multipart/related"} and wanted.part in {"*/*", OCTETS}:
            return _multipart([Part(OCTETS, (value,))], OCTETS)
        if wanted.type in {OCTETS, "application/*"}:
            return Response(value, media_type=OCTETS)
    raise HTTPException(406, NO_FORM)


def _frame_form(wanted: MediaRange, stored: str) -> tuple[str, bool] | None:
    """Content type of the parts, and whether the frames go out as stored; None where `wanted` cannot be met."""
    syntax = wanted.transfer_syntax
    plain = stored in UNCOMPRESSED
    stored_type = OCTETS if plain else IMAGE_TYPES.get(stored, OCTETS)
    if wanted.type == OCTETS:
        part = OCTETS
    elif wanted.type in {"*/*", "multipart/*", "multipart/related"}:
        part = wanted.part
    else:
        return None
    if part == "*/*" and syntax in {None, "*", stored}:
        return stored_type, not plain
    if part in {OCTETS, "*/*"} and syntax in {None, ExplicitVRLittleEndian}:
        return (OCTETS, False) if plain or is_decodable(stored) else None
    if part == OCTETS and syntax in {"*", stored}:
        return OCTETS, not plain
    if part == stored_type and not plain and syntax in {None, "*", stored}:
        return stored_type, True
    return None


def _can_become(stored: str, wanted: str) -> bool:
    if wanted in {"*", stored}:
        return True
    return wanted == ExplicitVRLittleEndian and (stored in UNCOMPRESSED or is_decodable(stored))


def _outcome(row: InstanceRow, wanted: str) -> str:
    return row.transfer_syntax_uid if wanted == "*" else wanted


def _file_chunks(row: InstanceRow, file: Path, wanted: str) -> Iterator[bytes]:
    if wanted in {"*", row.transfer_syntax_uid}:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
        return
    dataset = pydicom.dcmread(file)
    if row.transfer_syntax_uid not in UNCOMPRESSED:
        dataset.decompress(generate_instance_uid=False)
    out = BytesIO()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(out, implicit_vr=False, little_endian=True, enforce_file_format=True)
    yield out.getvalue()


def _multipart(parts: Iterator[Part] | list[Part], kind: str) -> StreamingResponse:
    boundary = new_boundary()
    content_type = f'multipart/related; type="{kind}"; boundary={boundary}'
    return StreamingResponse(multipart_body(parts, boundary), headers={"Content-Type": content_type})
