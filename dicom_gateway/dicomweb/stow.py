"""STOW-RS: a multipart body taken apart while it arrives, each part stored like a C-STORE, one answer per instance."""

import re
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, cast

import pydicom
from anyio.to_thread import run_sync
from pydicom.tag import Tag

from dicom_gateway.dicomweb.answers import JsonDataset, element
from dicom_gateway.errors import GatewayError, StoreFull, StoreUnavailable
from dicom_gateway.store import InstanceRow, Receipt, Store
from imaging.headers import PARSER_FAULTS

__all__ = ["BadBody", "StowAnswer", "parts_of", "store_parts"]

LARGEST_PART_BYTES = 4 << 30
LARGEST_PART_HEAD_BYTES = 8 << 10
IN_MEMORY_BYTES = 8 << 20
"""Parts up to this size stay in memory, larger ones go through a temporary file."""
MOST_PARTS = 20_000

DUPLICATE, OUT_OF_RESOURCES, MISMATCH, NOT_UNDERSTOOD = 0x0111, 0xA700, 0xA900, 0xC000
"""Failure reasons of PS3.18 table 10.5.3-1 and PS3.4 table B.2-1."""


class BadBody(GatewayError):
    """The body is no multipart/related message; the text says where it stops being one."""


@dataclass
class StowAnswer:
    """What became of the parts so far."""

    base: str
    stored: list[InstanceRow] = field(default_factory=list)
    failed: list[tuple[Receipt | None, int]] = field(default_factory=list)

    @property
    def status(self) -> int:
        """200 all stored, 202 some, 503 none for lack of space or index, 409 none for other reasons."""
        if self.stored:
            return 202 if self.failed else 200
        return 503 if self.failed and all(r == OUT_OF_RESOURCES for _, r in self.failed) else 409

    def to_json(self) -> JsonDataset:
        """The body of the answer (PS3.18 table 10.5.3-1)."""
        answer: JsonDataset = {}
        studies = {r.study_uid for r in self.stored}
        if len(studies) == 1:
            answer |= element("RetrieveURL", f"{self.base}/studies/{studies.pop()}")
        if self.failed:
            items = [_reference(r) | element("FailureReason", reason) for r, reason in self.failed]
            answer["00081198"] = {"vr": "SQ", "Value": items}
        if self.stored:
            items = [_stored_reference(self.base, row) for row in self.stored]
            answer["00081199"] = {"vr": "SQ", "Value": items}
        return answer


async def parts_of(body: AsyncIterator[bytes], boundary: str) -> AsyncIterator[IO[bytes]]:
    """The content of each part, as a file at its beginning, which the caller closes.

    Raises
    ------
    BadBody
        No boundary, a part that is too large, has no end, or is no application/dicom.
    """
    delimiter = b"\r\n--" + boundary.encode("ascii", "replace")
    buffer = bytearray(b"\r\n")
    chunks = aiter(body)
    count = 0
    await _read_until(buffer, chunks, delimiter, None)
    while not await _is_close(buffer, chunks):
        count += 1
        if count > MOST_PARTS:
            raise BadBody(f"More than {MOST_PARTS} parts; send them in several requests.")
        await _read_part_head(buffer, chunks)
        part = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
        try:
            await _read_until(buffer, chunks, delimiter, part)
            part.seek(0)
        except BaseException:
            part.close()
            raise
        yield part
    if count == 0:
        raise BadBody("The body has no part; send at least one instance.")


async def store_parts(
    parts: AsyncIterator[IO[bytes]], store: Store, answer: StowAnswer, *, peer: str, study_uid: str | None
) -> None:
    """Hand every part to the store and note what became of it in `answer`.

    Raises
    ------
    BadBody
        The body breaks off; what was stored before stays stored, and is in the answer.
    """
    async for part in parts:
        with part:
            await run_sync(_store_one, part, store, peer, study_uid, answer)


def _store_one(part: IO[bytes], store: Store, peer: str, study_uid: str | None, answer: StowAnswer) -> None:
    if study_uid is not None:
        found = _uids(part)
        if found.study_uid != study_uid:
            answer.failed.append((found, MISMATCH))
            return
    try:
        receipt = store.receive(cast("BinaryIO", part), peer=peer)
        rows = store.instances(sop_uid=receipt.sop_uid) if receipt.kind in {"stored", "duplicate"} else []
    except (StoreFull, StoreUnavailable):
        answer.failed.append((None, OUT_OF_RESOURCES))
        return
    if rows:
        answer.stored.append(rows[0])
    elif receipt.kind == "conflict":
        answer.failed.append((receipt, DUPLICATE if receipt.reason == "other_bytes" else MISMATCH))
    else:
        answer.failed.append((receipt, NOT_UNDERSTOOD))


def _uids(part: IO[bytes]) -> Receipt:
    """UIDs of a part whose study the address prescribes; empty where it cannot be read."""
    keywords = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "SOPClassUID")
    try:
        dataset = pydicom.dcmread(
            cast("BinaryIO", part), stop_before_pixels=True, force=True, specific_tags=[Tag(k) for k in keywords]
        )
        sop_uid, series_uid, study_uid = (str(dataset.get(k, "")) for k in keywords[:3])
    except PARSER_FAULTS:
        sop_uid = series_uid = study_uid = ""
    part.seek(0)
    return Receipt("unreadable", sop_uid, series_uid, study_uid, "")


def _reference(receipt: Receipt | None) -> JsonDataset:
    if receipt is None or not receipt.sop_uid:
        return {}
    return element("ReferencedSOPInstanceUID", receipt.sop_uid)


def _stored_reference(base: str, row: InstanceRow) -> JsonDataset:
    address = f"{base}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_uid}"
    return (
        element("ReferencedSOPClassUID", row.sop_class_uid)
        | element("ReferencedSOPInstanceUID", row.sop_uid)
        | element("RetrieveURL", address)
    )


async def _more(buffer: bytearray, chunks: AsyncIterator[bytes]) -> None:
    try:
        buffer += await anext(chunks)
    except StopAsyncIteration:
        raise BadBody("The body ends before its closing boundary; send it again.") from None


async def _read_until(
    buffer: bytearray, chunks: AsyncIterator[bytes], delimiter: bytes, sink: IO[bytes] | None
) -> None:
    """Move what lies before the delimiter into the sink, and the delimiter away.

    Raises
    ------
    BadBody
        The part is too large, or the body ends.
    """
    size = 0
    limit = LARGEST_PART_BYTES if sink is not None else LARGEST_PART_HEAD_BYTES
    while (found := buffer.find(delimiter)) < 0:
        safe = max(0, len(buffer) - len(delimiter))
        if sink is not None and safe:
            await run_sync(cast("Callable[[Any], int]", sink.write), bytes(buffer[:safe]))
        size += safe
        del buffer[:safe]
        if size > limit:
            raise BadBody("A part is too large, or the boundary is missing.")
        await _more(buffer, chunks)
    if sink is not None:
        sink.write(bytes(buffer[:found]))
    del buffer[: found + len(delimiter)]


async def _is_close(buffer: bytearray, chunks: AsyncIterator[bytes]) -> bool:
    while len(buffer) < 2:
        await _more(buffer, chunks)
    return buffer.startswith(b"--")


async def _read_part_head(buffer: bytearray, chunks: AsyncIterator[bytes]) -> None:
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if len(buffer) > LARGEST_PART_HEAD_BYTES:
            raise BadBody("The head of a part is too long.")
        await _more(buffer, chunks)
    head = bytes(buffer[:end]).decode("latin-1")
    del buffer[: end + 4]
    found = re.search(r"^content-type:\s*([^\s;]+)", head, re.IGNORECASE | re.MULTILINE)
    if found is not None and found[1].lower() != "application/dicom":
        raise BadBody("A part is no application/dicom; only whole instances can be stored.")
