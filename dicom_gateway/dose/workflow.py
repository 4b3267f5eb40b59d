"""The durable workflow of a sum of doses: made, published, delivered; after kill -9 it goes on where it was.

Making is one step: an assessment is too large to pass between steps, and nothing leaves the house before it is done.
"""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfiguredInstance
from sqlalchemy import Engine, update

from dicom_gateway.deliver import Parcel, enqueue
from dicom_gateway.dose import record
from dicom_gateway.dose.candidates import doses_of
from dicom_gateway.dose.choice import propose
from dicom_gateway.dose.work import DoseJob, make
from dicom_gateway.errors import StoreError
from dicom_gateway.flow.durable import AGAIN
from dicom_gateway.flow.journal import places, reason_of
from dicom_gateway.flow.kept import kept_json
from dicom_gateway.flow.passing import is_passing
from dicom_gateway.flow.record import insert_once
from dicom_gateway.flow.workflows import BROKEN_OFF, Attendance, begin
from dicom_gateway.settings import Settings
from dicom_gateway.store import tables
from dicom_gateway.store.store import Store
from imaging.errors import RadgateError

__all__ = ["DoseFlow", "pages_folder"]

log = logging.getLogger(__name__)


def pages_folder(settings: Settings, sum_id: str) -> Path:
    """Where the page's arrays of a sum lie."""
    return settings.store.root / "dose" / sum_id


@DBOS.dbos_class()
class DoseFlow(DBOSConfiguredInstance):
    """The workflow with what it works on.

    Parameters
    ----------
    settings, engine, store
        As the service has opened them.
    on_sendable
        Called when new rows stand in the delivery ledger.
    name
        Under which recovery finds this instance; one process holds each name once.
    """

    def __init__(
        self, settings: Settings, engine: Engine, store: Store, on_sendable: Callable[[], None], *, name: str = "dose"
    ) -> None:
        super().__init__(config_name=name)
        self._settings = settings
        self._engine = engine
        self._store = store
        self._on_sendable = on_sendable
        self._attendance = Attendance()

    def consider(self, study_uid: str) -> None:
        """Propose a sum where a study brought what was missing for one; a fault here must not hold up the study."""
        try:
            choice = propose(doses_of(self._engine, self._store, study_uid))
            if choice is not None:
                record.keep_proposal(self._engine, choice)
        except Exception as error:  # noqa: BLE001 - the study's own path is more important than a proposal
            log.error("no dose proposal: %s at %s", type(error).__name__, places(error))

    def start(self, sum_id: str) -> None:
        """Enqueue the work on a sum; a second call changes nothing, unless the first broke off or was refused."""
        begin(
            f"dose:{sum_id}",
            self.process,
            sum_id,
            again=lambda status: status in BROKEN_OFF or self._is_asked_again(sum_id, status),
        )

    def resume(self) -> None:
        """Start what was asked for and not started before a crash, and settle what was being delivered."""
        for sum_id in record.unfinished(self._engine):
            self.start(sum_id)
        record.settle(self._engine)

    def care(self) -> None:
        """Take up again what ended or stands still without an outcome; called every minute or so."""
        sums = record.unfinished(self._engine)
        self._attendance.resume_stalled(f"dose:{sum_id}" for sum_id in sums)
        for sum_id in sums:
            self.start(sum_id)

    @DBOS.workflow()
    def process(self, sum_id: str) -> str:
        """Make a sum and bring it to the ledger; returns the sentence of a failure, or nothing."""
        with self._attendance.at_work():
            failure = DBOS.run_step({"name": "make", **AGAIN}, self._make, sum_id)
            return failure or DBOS.run_step({"name": "publish", **AGAIN}, self._publish, sum_id)

    def _is_asked_again(self, sum_id: str, status: str) -> bool:
        """Whether the last attempt ended with a refusal and a person asked once more."""
        row = record.row_of(self._engine, sum_id)
        return status == "SUCCESS" and row is not None and row.state == "QUEUED"

    def _make(self, sum_id: str) -> str:
        """Make the objects; the sentence of a refusal, or nothing.

        Raises
        ------
        Exception
            One that passes by itself (`is_passing`), for which the step waits.
        """
        row = record.row_of(self._engine, sum_id)
        if row is None:
            return "The sum is no longer in the index."
        record.set_state(self._engine, sum_id, "RUNNING", progress="read")

        def tell(what: str) -> None:
            record.set_state(self._engine, sum_id, "RUNNING", progress=what[:64])

        pages = pages_folder(self._settings, sum_id)
        job = DoseJob(row, self._folder(sum_id), pages, self._settings, self._engine, self._store, tell)
        try:
            make(job)
        except Exception as error:  # the boundary of the step: counted, logged by code, shown as a state
            if is_passing(error):
                raise
            if isinstance(error, RadgateError):
                log.warning("dose sum refused: %s", error.code)
                record.set_state(self._engine, sum_id, "REFUSED", error.message)
                return error.message
            log.error("dose sum failed: %s at %s", type(error).__name__, places(error))
            record.set_state(self._engine, sum_id, "FAILED", reason_of(error))
            return reason_of(error)
        return ""

    def _publish(self, sum_id: str) -> str:
        """Objects into the store, rows of the result, sends into the ledger; the sentence of a failure, or nothing.

        Raises
        ------
        Exception
            One that passes by itself (`is_passing`), for which the step waits.
        """
        row = record.row_of(self._engine, sum_id)
        if row is None:
            return "The sum is no longer in the index."
        folder = self._folder(sum_id)
        try:
            objects = self._stored(folder)
            self._keep_result(row, kept_json(folder / "result.json"), objects)
            parcels = [Parcel(o["sop_uid"], o["sha256"], o["outlet"], n) for n, o in enumerate(objects)]
            enqueue(self._engine, sum_id, row.study_uid, parcels, self._settings.destinations)
        except Exception as error:  # the boundary of the step: counted, logged by code, shown as a state
            if is_passing(error):
                raise
            log.error("dose delivery failed: %s at %s", type(error).__name__, places(error))
            record.set_state(self._engine, sum_id, "FAILED", reason_of(error))
            return reason_of(error)
        record.set_state(self._engine, sum_id, "DELIVERING")
        record.settle(self._engine, row.study_uid)
        shutil.rmtree(folder, ignore_errors=True)
        self._on_sendable()
        return ""

    def _stored(self, folder: Path) -> list[dict[str, Any]]:
        """Put the objects into the store; their list.

        Raises
        ------
        StoreError
            An object could not be stored as it is.
        """
        objects: list[dict[str, Any]] = kept_json(folder / "objects.json")
        for item in objects:
            # UIDs follow from the content: what an earlier sum has made of the same doses is there, with its date.
            there = self._store.instances(sop_uid=item["sop_uid"], origin="result")
            if there:
                item.update(sha256=there[0].sha256, size_bytes=there[0].size_bytes)
                continue
            receipt = self._store.receive((folder / item["file"]).read_bytes(), peer="radgate", origin="result")
            if receipt.kind not in {"stored", "duplicate"}:
                raise StoreError(f"An object of the sum was not stored: {receipt.reason}", outlet=item["outlet"])
        return objects

    def _keep_result(self, row: record.DoseRow, document: dict[str, Any], objects: list[dict[str, Any]]) -> None:
        """The rows that downloads are found by; version 0, because a sum belongs to no version of a study."""
        with self._engine.begin() as connection:
            values = {
                "id": row.id,
                "job_id": row.id,
                "study_uid": row.study_uid,
                "version": 0,
                "status": document["status"],
                "document": document,
                "pictures": [],
                "created": row.created,
            }
            if not insert_once(connection, tables.result, values):
                connection.execute(update(tables.result).where(tables.result.c.id == row.id).values(document=document))
            for position, item in enumerate(objects):
                columns = {k: item[k] for k in ("sop_uid", "outlet", "sop_class_uid", "sha256", "size_bytes")}
                insert_once(
                    connection,
                    tables.encoded_object,
                    {**columns, "result_id": row.id, "position": position, "created": row.created},
                )

    def _folder(self, sum_id: str) -> Path:
        return self._settings.store.root / "work" / f"dose-{sum_id}"
