"""Rows of the index, written in groups: associations that finish at the same time share one transaction and one sync.

The first caller that gets the lock writes for all that wait. Several processes may write the same database: a row that
another one inserted in between makes the transaction run again, and it then finds that row.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Column, Connection, Engine, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from dicom_gateway.errors import StoreUnavailable
from dicom_gateway.store.header import Header
from dicom_gateway.store.tables import instance, series, study

__all__ = ["Added", "Arrival", "Index"]

MEMORY = 10_000
"""Series that are remembered before the memory starts anew."""

ATTEMPTS = 5
"""How often a transaction is run again after another process was first."""

_STUDY = ("study_uid", *(c.name for c in study.columns if c.name in {f.name for f in fields(Header)} - {"study_uid"}))
_SERIES = tuple(c.name for c in series.columns if c.name in {f.name for f in fields(Header)})
_INSTANCE = tuple(c.name for c in instance.columns if c.name in {f.name for f in fields(Header)})


@dataclass(frozen=True)
class Arrival:
    """An object whose file is in place and whose row is not."""

    header: Header
    sha256: str
    size_bytes: int
    received: float
    origin: str
    peer: str
    association: str


@dataclass(frozen=True)
class Added:
    """What the index says of an arrival.

    Parameters
    ----------
    kind
        "stored", "duplicate" (same UID, same bytes), "differs" (same UID, other bytes), or "conflict" (series in two
        studies, or another patient's id in the same study).
    reason
        Code of a conflict.
    sha256
        Digest of the object that has the UID already.
    """

    kind: str
    reason: str = ""
    sha256: str = ""


class _Memory:
    """What is known of rows that do not change: each series' study, and each study's patient id.

    Dropped after every error, so that it never outlives what another process did to the rows.
    """

    def __init__(self) -> None:
        self.studies_of: dict[str, str] = {}
        self.patients: dict[str, str | None] = {}


class _Ticket:
    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self.added: Added | None = None
        self.error: StoreUnavailable | None = None


class Index:
    """The tables study, series and instance of one database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._memory = _Memory()
        self._waiting: list[_Ticket] = []
        self._waiting_lock = threading.Lock()
        self._commit_lock = threading.Lock()

    def add(self, arrival: Arrival) -> Added:
        """What became of an arrival, after its row is committed.

        Raises
        ------
        StoreUnavailable
            The database does not answer; the file stays, and is adopted at the next start.
        """
        ticket = _Ticket(arrival)
        with self._waiting_lock:
            self._waiting.append(ticket)
        with self._commit_lock:
            if ticket.added is None and ticket.error is None:
                with self._waiting_lock:
                    group, self._waiting = self._waiting, []
                self._settle(group)
        if ticket.error is not None:
            raise ticket.error
        if ticket.added is None:
            raise StoreUnavailable("The index lost an arrival; send the object again.")
        return ticket.added

    def add_all(self, arrivals: Sequence[Arrival]) -> list[Added]:
        """The same for many at once, in one transaction.

        Raises
        ------
        StoreUnavailable
            The database does not answer.
        """
        with self._commit_lock:
            return self._write(arrivals)

    def forget(self) -> None:
        """Drop what is remembered of rows, because they are being made again."""
        with self._commit_lock:
            self._memory = _Memory()

    def count_copy(self, sop_uid: str) -> None:
        """Note that the same data set came once more."""
        with self.engine.begin() as connection:
            connection.execute(
                update(instance).where(instance.c.sop_uid == sop_uid).values(copies=instance.c.copies + 1)
            )

    def _settle(self, group: list[_Ticket]) -> None:
        try:
            answers = self._write([t.arrival for t in group])
        except StoreUnavailable as error:
            if len(group) == 1 or error.fields.get("everyone"):
                for ticket in group:
                    ticket.error = error
            else:  # one of them may be what the database refuses: the others must not suffer
                for ticket in group:
                    self._settle([ticket])
            return
        for ticket, added in zip(group, answers, strict=True):
            ticket.added = added

    def _write(self, arrivals: Sequence[Arrival]) -> list[Added]:
        for _ in range(ATTEMPTS):
            try:
                memory, self._memory = self._memory, _Memory()
                with self.engine.begin() as connection:
                    answers = _insert(connection, arrivals, memory)
                if len(memory.studies_of) < MEMORY:
                    self._memory = memory
                return answers
            except IntegrityError:
                continue
            except SQLAlchemyError as error:
                name = type(error.orig).__name__ if isinstance(error, DBAPIError) else type(error).__name__
                raise StoreUnavailable(
                    f"The index cannot be written ({name}); check the database and its disk.",
                    everyone=isinstance(error, OperationalError),
                ) from None
        raise StoreUnavailable("The index cannot be written (too many writers); try again.")


def _insert(connection: Connection, arrivals: Sequence[Arrival], memory: "_Memory") -> list[Added]:
    sop_uids = {a.header.sop_uid for a in arrivals}
    known: dict[str, str] = _pairs(connection, instance.c.sop_uid, instance.c.sha256, sop_uids)
    studies_of, patients = memory.studies_of, memory.patients
    if series_uids := {a.header.series_uid for a in arrivals} - set(studies_of):
        studies_of |= _pairs(connection, series.c.series_uid, series.c.study_uid, series_uids)
    if study_uids := {a.header.study_uid for a in arrivals} - set(patients):
        patients |= _pairs(connection, study.c.study_uid, study.c.patient_id, study_uids)
    new_studies: dict[str, dict[str, Any]] = {}
    new_series: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    seen: dict[str, float] = {}
    answers = []
    for arrival in arrivals:
        header = arrival.header
        if header.sop_uid in known:
            added = _again(connection, arrival, known[header.sop_uid])
        elif studies_of.get(header.series_uid, header.study_uid) != header.study_uid:
            added = Added("conflict", "series_in_two_studies")
        elif _other_patient(patients.get(header.study_uid), header.patient_id):
            added = Added("conflict", "other_patient")
        else:
            added = Added("stored")
            values = asdict(header)
            times = {"first_received": arrival.received, "last_received": arrival.received}
            if header.study_uid not in patients:
                new_studies[header.study_uid] = {name: values[name] for name in _STUDY} | times
                patients[header.study_uid] = header.patient_id
            if header.series_uid not in studies_of:
                new_series[header.series_uid] = {name: values[name] for name in _SERIES} | times
                studies_of[header.series_uid] = header.study_uid
            rows.append(_row(arrival, values))
            known[header.sop_uid] = arrival.sha256
            for uid in (header.study_uid, header.series_uid) if arrival.origin == "received" else ():
                seen[uid] = max(arrival.received, seen.get(uid, 0.0))
        answers.append(added)
    _write_rows(connection, new_studies, new_series, rows, seen)
    return answers


def _pairs(connection: Connection, key: Column[Any], value: Column[Any], keys: Collection[str]) -> dict[str, Any]:
    """`value` by `key` for the rows with these keys."""
    return {row[0]: row[1] for row in connection.execute(select(key, value).where(key.in_(keys)))}


def _again(connection: Connection, arrival: Arrival, sha256: str) -> Added:
    """The answer for a UID that is there already; the same bytes are counted."""
    if sha256 != arrival.sha256:
        return Added("differs", sha256=sha256)
    connection.execute(
        update(instance).where(instance.c.sop_uid == arrival.header.sop_uid).values(copies=instance.c.copies + 1)
    )
    return Added("duplicate", sha256=sha256)


def _other_patient(known: str | None, got: str | None) -> bool:
    """Whether two patient ids in one study are both there and differ: a merge in mid-study, or a mix-up."""
    return bool(known) and bool(got) and known != got


def _row(arrival: Arrival, values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _INSTANCE} | {
        "sha256": arrival.sha256,
        "size_bytes": arrival.size_bytes,
        "origin": arrival.origin,
        "peer": arrival.peer[:64] or None,
        "association": arrival.association[:64] or None,
        "copies": 1,
        "received": arrival.received,
    }


def _write_rows(
    connection: Connection,
    new_studies: dict[str, dict[str, Any]],
    new_series: dict[str, dict[str, Any]],
    rows: list[dict[str, Any]],
    seen: dict[str, float],
) -> None:
    if not rows:
        return
    for new in (new_studies, new_series):
        for uid in set(new) & set(seen):
            new[uid]["last_received"] = seen[uid]
    if new_studies:
        connection.execute(insert(study), list(new_studies.values()))
    if new_series:
        connection.execute(insert(series), list(new_series.values()))
    connection.execute(insert(instance), rows)
    for table, key, new in ((study, study.c.study_uid, new_studies), (series, series.c.series_uid, new_series)):
        uids = ({row[key.name] for row in rows} & set(seen)) - set(new)
        for uid in uids:
            last = table.c.last_received
            connection.execute(update(table).where(key == uid, last < seen[uid]).values(last_received=seen[uid]))
