"""Files and index brought together again: after a crash, and when the index is lost.

A crash can leave three things: a half-written file in `incoming` (nobody was told that it is stored: deleted), a synced
object without a row (adopted), and a file in quarantine without a row (its reason is found again).
"""

import logging
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, update

from dicom_gateway.errors import Unreadable
from dicom_gateway.store.files import ObjectFiles, mapped
from dicom_gateway.store.header import Header, read_header
from dicom_gateway.store.index import Arrival, Index
from dicom_gateway.store.part10 import Frame
from dicom_gateway.store.tables import instance, quarantine, series, study, study_version

__all__ = ["rebuild", "recover"]

logger = logging.getLogger(__name__)

BATCH = 500
"""Objects in one transaction."""

CLOCK_MARGIN_S = 7200.0
"""How far a clock may have jumped between a crash and the next start without an orphan being missed."""

_MARK = "recovered"


def recover(files: ObjectFiles, index: Index) -> int:
    """Delete abandoned pieces and adopt files without rows; only folders changed since the last time are looked at.

    Returns
    -------
    int
        Number of objects adopted.
    """
    mark = files.root / _MARK
    since = mark.stat().st_mtime - CLOCK_MARGIN_S if mark.exists() else 0.0
    started = time.time()
    dropped = files.drop_abandoned()
    adopted = sum(_adopt(files, index, batch) for batch in _batches(files.all_objects(since)))
    found = _index_quarantine(files, index)
    mark.touch()
    if adopted or found or dropped:
        logger.warning("store recovered adopted=%d quarantined=%d dropped=%d", adopted, found, dropped)
    logger.info("store checked seconds=%.1f", time.time() - started)
    return adopted


def rebuild(files: ObjectFiles, index: Index) -> int:
    """Make study, series and instance again from the files; what files do not know is kept from the old rows.

    Files do not know the association, how often a copy came, and (beside C-STORE) the sender.

    Returns
    -------
    int
        Number of objects in the index.
    """
    with index.engine.begin() as connection:
        old = {
            (row["sop_uid"], row["sha256"]): {name: row[name] for name in ("association", "copies", "peer")}
            for row in connection.execute(select(instance)).mappings()
        }
        connection.execute(delete(instance))
        versions = select(study_version.c.study_uid)
        connection.execute(delete(series).where(series.c.study_uid.not_in(versions)))
        connection.execute(delete(study).where(study.c.study_uid.not_in(versions)))
    index.forget()
    paths = sorted(files.all_objects(), key=lambda path: (path.stat().st_mtime_ns, path.name))
    count = 0
    for batch in _batches(paths):
        arrivals = [arrival for path in batch if (arrival := _arrival(files, path)) is not None]
        answers = index.add_all(arrivals)
        count += sum(answer.kind == "stored" for answer in answers)
        with index.engine.begin() as connection:
            for arrival in arrivals:
                kept = old.get((arrival.header.sop_uid, arrival.sha256))
                if kept:
                    connection.execute(
                        update(instance).where(instance.c.sop_uid == arrival.header.sop_uid).values(**kept)
                    )
    _index_quarantine(files, index)
    logger.info("index rebuilt objects=%d", count)
    return count


def _batches(paths: Iterable[Path]) -> Iterator[list[Path]]:
    rest = iter(paths)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _adopt(files: ObjectFiles, index: Index, batch: list[Path]) -> int:
    """Number of these files that had no row and have one now; one that contradicts the index goes to quarantine."""
    digests = {path.name[:64]: path for path in batch}
    with index.engine.connect() as connection:
        known = set(connection.execute(select(instance.c.sha256).where(instance.c.sha256.in_(digests))).scalars())
    orphans = [path for digest, path in digests.items() if digest not in known]
    arrivals = {path: arrival for path in orphans if (arrival := _arrival(files, path)) is not None}
    answers = index.add_all(list(arrivals.values())) if arrivals else []
    count = 0
    for path, answer in zip(arrivals, answers, strict=True):
        if answer.kind == "stored":
            count += 1
        else:
            files.set_aside(path, path.name[:64])
    return count


def _arrival(files: ObjectFiles, path: Path) -> Arrival | None:
    read = _read(path)
    if read is None:
        files.set_aside(path, path.name[:64])
        return None
    header, frame = read
    status = path.stat()
    return Arrival(
        header, path.name[:64], status.st_size, status.st_mtime_ns / 1e9, files.origin(path), frame.sender, ""
    )


def _read(path: Path) -> tuple[Header, Frame] | None:
    try:
        return read_header(mapped(path))
    except Unreadable:
        return None


def _index_quarantine(files: ObjectFiles, index: Index) -> int:
    """Rows for files in quarantine that have none."""
    paths = {path.name: path for path in files.quarantine.iterdir() if path.is_file()}
    with index.engine.begin() as connection:
        known = set(connection.execute(select(quarantine.c.sha256)).scalars())
        rows = [_quarantine_row(path) for digest, path in sorted(paths.items()) if digest not in known]
        if rows:
            connection.execute(insert(quarantine), rows)
    return len(rows)


def _quarantine_row(path: Path) -> dict[str, Any]:
    status = path.stat()
    row: dict[str, Any] = {
        "sha256": path.name,
        "size_bytes": status.st_size,
        "received": status.st_mtime_ns / 1e9,
        "reason": "contradiction",
        "message": "The object contradicts one in the store, which stays in use; if this one is right, send it "
        "again under a UID of its own.",
        "sop_uid": None,
        "study_uid": None,
        "peer": None,
    }
    try:
        header, frame = read_header(mapped(path))
        row |= {"sop_uid": header.sop_uid, "study_uid": header.study_uid, "peer": frame.sender or None}
    except Unreadable as error:
        row |= {"reason": error.fields["reason"], "message": error.message}
    return row
