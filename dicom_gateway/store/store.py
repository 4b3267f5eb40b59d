"""The store: objects come in, are durable and indexed before anyone is told so, and are found by UID or digest."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Engine, Select, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from dicom_gateway.errors import StoreFull, StoreUnavailable, UnknownObject, Unreadable
from dicom_gateway.settings import Settings
from dicom_gateway.store import recovery
from dicom_gateway.store.files import Incoming, ObjectFiles, mapped
from dicom_gateway.store.header import Header, read_header
from dicom_gateway.store.index import Added, Arrival, Index
from dicom_gateway.store.part10 import open_frame, with_frame
from dicom_gateway.store.rows import InstanceRow, QuarantineRow, Receipt, SeriesRow, StudyRow
from dicom_gateway.store.tables import instance, quarantine, series, study

__all__ = ["Store"]

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20


_CONFLICTS = {
    "other_bytes": "An object with this UID is already there with other content and stays in use; "
    "if the new one is right, send it again under a UID of its own.",
    "series_in_two_studies": "The series is already there in another study; correct the study at its source.",
    "other_patient": "The study is already there for another patient id; settle which patient it belongs to.",
}


class Store:
    """Files and index below one root; safe to use from many threads and several processes.

    Parameters
    ----------
    root
        Folder of the files, on one file system.
    engine
        Of `dicom_gateway.store.database.open_engine`.
    low_free
        Share of free space below which received objects are refused.
    floor_free
        Share below which `accepts_more` says no, and below which results are refused too.
    clock_ns
        UTC nanoseconds since the epoch.

    Raises
    ------
    StoreUnavailable
        The folders cannot be made.
    """

    def __init__(
        self,
        root: Path,
        engine: Engine,
        *,
        low_free: float = 0.0,
        floor_free: float = 0.0,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.root = root
        self.engine = engine
        self.low_free = low_free
        self.floor_free = floor_free
        self.files = ObjectFiles(root)
        self._index = Index(engine)
        self._clock_ns = clock_ns
        self._listeners: list[Callable[[Receipt], None]] = []

    @classmethod
    def open(cls, settings: Settings, engine: Engine) -> "Store":
        """The store of a site, with what a crash left put right.

        Raises
        ------
        StoreUnavailable
            The folders cannot be made, or the index does not answer.
        """
        store = cls(settings.store.root, engine, low_free=settings.store.low_free, floor_free=settings.store.floor_free)
        store.recover()
        return store

    def subscribe(self, listener: Callable[[Receipt], None]) -> None:
        """Call `listener` with every receipt from now on, from the thread that stored the object; it must not raise."""
        self._listeners.append(listener)

    def receive(
        self,
        data: bytes | BinaryIO,
        *,
        peer: str,
        association: str = "",
        origin: str = "received",
        strict: bool = False,
    ) -> Receipt:
        """Store one object; when this returns, a power cut can no longer lose it.

        Parameters
        ----------
        data
            A DICOM file; missing preamble or file meta information is added. A stream is copied piece by piece.
        peer
            Who sent it: an AE title, or a word for another way in.
        association
            Any id of the connection it came by.
        origin
            "received", or "result" for an object that radgate made (which does not make a study start again).
        strict
            Whether file meta information and data set must name the same object. It is what C-STORE announced there;
            in files of other origin it is wrong too often.

        Returns
        -------
        Receipt
            Also for an object that was put into quarantine.

        Raises
        ------
        StoreFull
            Free space is below the mark, or a write was refused for lack of it.
        StoreUnavailable
            File system or index do not answer.
        """
        mark = self.floor_free if origin == "result" else self.low_free
        if mark and self.files.free_share() < mark:
            raise StoreFull("Free space is below the mark; free some on the store's file system.", errno="mark")
        received_ns = self._clock_ns()
        if isinstance(data, bytes):
            file, read = self._take_bytes(data, received_ns)
        else:
            file, read = self._take_stream(data, received_ns)
        sender = (peer, association, origin)
        if strict and isinstance(read, Header):
            read = _as_announced(read, file.path)
        if isinstance(read, Unreadable):
            receipt = self._set_aside(file.path, file, sender, str(read.fields["reason"]), read.message, read.fields)
        else:
            receipt = self._index_file(file, read, sender)
        for listener in self._listeners:
            listener(receipt)
        return receipt

    def _take_bytes(self, data: bytes, received_ns: int) -> tuple[Incoming, Header | Unreadable]:
        read: Header | Unreadable
        try:
            read, frame = read_header(memoryview(data))
            data = with_frame(data, frame, read.sop_class_uid, read.sop_uid)
        except Unreadable as error:
            read = error
        return self.files.write((data,), received_ns), read

    def _take_stream(self, stream: BinaryIO, received_ns: int) -> tuple[Incoming, Header | Unreadable]:
        file = self.files.write(iter(lambda: stream.read(CHUNK_BYTES), b""), received_ns)
        try:
            view = mapped(file.path)
            header, frame = read_header(view)
            whole = None if frame.complete else bytes(view)
        except Unreadable as error:
            return file, error
        if whole is None:
            return file, header
        self.files.remove(file.path)
        framed = with_frame(whole, frame, header.sop_class_uid, header.sop_uid)
        return self.files.write((framed,), received_ns), header

    def _index_file(self, file: Incoming, header: Header, sender: tuple[str, str, str]) -> Receipt:
        peer, association, origin = sender
        path = self.files.keep(file, origin)
        # The same bytes may have been there already: the time of a file is the time of its row.
        file = replace(file, received=path.stat().st_mtime_ns / 1e9)
        added = self._index.add(Arrival(header, file.sha256, file.size_bytes, file.received, origin, peer, association))
        return self._settle(added, path, file, header, sender)

    def _settle(
        self, added: Added, path: Path, file: Incoming, header: Header, sender: tuple[str, str, str]
    ) -> Receipt:
        """The receipt after the index has spoken; the file of a contradiction goes to quarantine."""
        kind, sha256, reason = added.kind, added.sha256 or file.sha256, added.reason
        if kind == "differs":
            if self._same_data_set(path, added.sha256):
                self.files.remove(path)
                self._index.count_copy(header.sop_uid)
                kind = "duplicate"
            else:
                kind, reason = "conflict", "other_bytes"
        if kind == "conflict":
            uids = {"sop_uid": header.sop_uid, "series_uid": header.series_uid, "study_uid": header.study_uid}
            return self._set_aside(path, file, sender, reason, _CONFLICTS[reason], uids, kind="conflict")
        peer, association, origin = sender
        return Receipt(
            kind,
            header.sop_uid,
            header.series_uid,
            header.study_uid,
            sha256,
            peer=peer,
            association=association,
            origin=origin,
            received=file.received,
        )

    def _same_data_set(self, path: Path, sha256: str) -> bool:
        """Whether two files differ only in their frames (another sender, another file meta information)."""
        known = self.files.find(sha256)
        if known is None:
            return False
        new, old = mapped(path), mapped(known)
        new_frame, old_frame = open_frame(new), open_frame(old)
        return new_frame.transfer_syntax_uid == old_frame.transfer_syntax_uid and (
            new[new_frame.data_set_at :] == old[old_frame.data_set_at :]
        )

    def _set_aside(
        self,
        path: Path,
        file: Incoming,
        sender: tuple[str, str, str],
        reason: str,
        message: str,
        uids: dict[str, Any],
        kind: str = "unreadable",
    ) -> Receipt:
        peer, association, origin = sender
        self.files.set_aside(path, file.sha256)
        row = {
            "sha256": file.sha256,
            "size_bytes": file.size_bytes,
            "reason": reason,
            "message": message,
            "sop_uid": uids.get("sop_uid"),
            "study_uid": uids.get("study_uid"),
            "peer": peer[:64] or None,
            "received": file.received,
        }
        try:
            with self.engine.begin() as connection:
                known = connection.execute(
                    select(quarantine.c.id).where(quarantine.c.sha256 == file.sha256, quarantine.c.settled.is_(None))
                ).first()
                if known is None:
                    connection.execute(insert(quarantine).values(**row))
        except SQLAlchemyError as error:
            raise StoreUnavailable(
                f"The index cannot be written ({type(error).__name__}); check the database and its disk."
            ) from None
        logger.warning("object set aside reason=%s bytes=%d", reason, file.size_bytes)
        return Receipt(
            kind,
            str(uids.get("sop_uid") or ""),
            str(uids.get("series_uid") or ""),
            str(uids.get("study_uid") or ""),
            file.sha256,
            reason,
            message,
            peer,
            association,
            origin,
            file.received,
        )

    def accepts_more(self) -> bool:
        """Whether free space is above the floor, so that new associations are welcome."""
        return not self.floor_free or self.files.free_share() >= self.floor_free

    def path(self, sha256: str) -> Path:
        """File of an object.

        Raises
        ------
        UnknownObject
            There is none with this digest.
        """
        return self.files.path(sha256)

    def instances(
        self,
        *,
        study_uid: str | None = None,
        series_uid: str | None = None,
        sop_uid: str | None = None,
        origin: str | None = None,
    ) -> list[InstanceRow]:
        """Objects of the index that fit all that is given, by series, instance number and UID."""
        query = select(instance).order_by(instance.c.series_uid, instance.c.instance_number, instance.c.sop_uid)
        for column, value in (
            (instance.c.study_uid, study_uid),
            (instance.c.series_uid, series_uid),
            (instance.c.sop_uid, sop_uid),
            (instance.c.origin, origin),
        ):
            if value is not None:
                query = query.where(column == value)
        return [InstanceRow(**row) for row in self._rows(query)]

    def series(self, study_uid: str) -> list[SeriesRow]:
        """Series of a study, by number and UID."""
        query = select(series).where(series.c.study_uid == study_uid)
        rows = self._rows(query.order_by(series.c.series_number, series.c.series_uid))
        return [SeriesRow(**row) for row in rows]

    def study(self, study_uid: str) -> StudyRow:
        """One study of the index.

        Raises
        ------
        UnknownObject
            It is not in the store.
        """
        rows = self._rows(select(study).where(study.c.study_uid == study_uid))
        if not rows:
            raise UnknownObject("The store has no study with this UID; send it first.", study_uid=study_uid)
        return StudyRow(**rows[0])

    def quarantined(self, *, settled: bool = False) -> list[QuarantineRow]:
        """Objects in quarantine that wait for a person, or those that no longer do, oldest first."""
        condition = quarantine.c.settled.is_not(None) if settled else quarantine.c.settled.is_(None)
        return [
            QuarantineRow(**row) for row in self._rows(select(quarantine).where(condition).order_by(quarantine.c.id))
        ]

    def recover(self) -> int:
        """Bring files and index together after a crash; the number of objects that were adopted."""
        return recovery.recover(self.files, self._index)

    def rebuild(self) -> int:
        """Make the index again from the files; the number of objects in it."""
        return recovery.rebuild(self.files, self._index)

    def settle_quarantine(self, row_id: int) -> None:
        """Note that a person dealt with an object; its file stays in quarantine."""
        with self.engine.begin() as connection:
            connection.execute(
                update(quarantine).where(quarantine.c.id == row_id).values(settled=self._clock_ns() / 1e9)
            )

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _as_announced(header: Header, path: Path) -> Header | Unreadable:
    """The header, unless its UIDs are not those of the file meta information."""
    frame = open_frame(mapped(path))
    if (frame.sop_uid, frame.sop_class_uid) == (header.sop_uid, header.sop_class_uid):
        return header
    return Unreadable(
        "The object is not the one that was announced (UIDs differ); repair the sender.",
        reason="uid_mismatch",
        sop_uid=header.sop_uid,
        series_uid=header.series_uid,
        study_uid=header.study_uid,
    )
