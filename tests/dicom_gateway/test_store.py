"""The store: durable before Success, one object for one UID, nothing lost, and an index that the files can rebuild."""

import errno
import os
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from dicom_gateway.errors import StoreFull, StoreUnavailable, UnknownObject
from dicom_gateway.store import Receipt, Store, open_engine
from dicom_gateway.store.part10 import file_meta
from tests.conftest import data_folder
from tests.dicom_gateway.making import CT_CLASS, STUDY, ct_slice, encoded, file_of, gateway_settings, uid

EXPLICIT = "1.2.840.10008.1.2.1"


def sent_by(peer: str, number: int = 1, **tags: Any) -> bytes:
    """A file as the listener makes it from what a peer sent."""
    return file_meta(CT_CLASS, uid(1, 1, number), EXPLICIT, peer) + encoded(ct_slice(number, **tags))


def objects_in(store: Store) -> list[Path]:
    return [p for p in (store.root / "objects").rglob("*") if p.is_file()]


def test_a_stored_object_is_found_by_uid_and_digest_with_its_bytes(store: Store) -> None:
    data = sent_by("CT1")

    receipt = store.receive(data, peer="CT1", association="a1")

    assert receipt.kind == "stored"
    assert store.path(receipt.sha256).read_bytes() == data
    (row,) = store.instances(study_uid=STUDY)
    assert (row.sop_uid, row.peer, row.association, row.origin) == (uid(1, 1, 1), "CT1", "a1", "received")
    assert (row.rows, row.columns, row.size_bytes) == (12, 20, len(data))
    assert store.study(STUDY).patient_name == "Wang^XiaoDong=王^小东"
    assert store.series(STUDY)[0].modality == "CT"


def test_a_stream_is_stored_like_bytes(store: Store) -> None:
    receipt = store.receive(BytesIO(sent_by("CT1")), peer="CT1")

    assert receipt.kind == "stored"
    assert store.path(receipt.sha256).read_bytes() == sent_by("CT1")


def test_the_same_instance_twice_is_one_instance(store: Store) -> None:
    first = store.receive(sent_by("CT1"), peer="CT1")

    second = store.receive(sent_by("CT1"), peer="CT1")

    assert (second.kind, second.sha256) == ("duplicate", first.sha256)
    assert [row.copies for row in store.instances()] == [2]
    assert len(objects_in(store)) == 1


def test_the_same_data_set_from_another_peer_is_the_same_instance(store: Store) -> None:
    first = store.receive(sent_by("CT1"), peer="CT1")

    second = store.receive(sent_by("PACS1"), peer="PACS1")

    assert (second.kind, second.sha256) == ("duplicate", first.sha256)
    assert len(objects_in(store)) == 1
    assert store.quarantined() == []


def test_other_content_under_a_known_uid_goes_to_quarantine_and_changes_nothing(store: Store) -> None:
    first = store.receive(sent_by("CT1"), peer="CT1")

    second = store.receive(sent_by("CT1", PatientID="P-4712"), peer="CT1")

    assert (second.kind, second.reason) == ("conflict", "other_bytes")
    assert [row.sha256 for row in store.instances()] == [first.sha256]
    (held,) = store.quarantined()
    assert (held.reason, held.sop_uid, held.peer) == ("other_bytes", uid(1, 1, 1), "CT1")
    assert (store.root / "quarantine" / held.sha256).is_file()
    assert "4712" not in held.message and "王" not in held.message


def test_quarantine_keeps_one_row_for_the_same_bytes_and_can_be_settled(store: Store) -> None:
    for _ in range(3):
        store.receive(b"no DICOM at all", peer="CT1")
    (held,) = store.quarantined()

    store.settle_quarantine(held.id)

    assert store.quarantined() == []
    assert len(store.quarantined(settled=True)) == 1


def test_an_instance_of_another_patient_in_the_same_study_is_kept_apart(store: Store) -> None:
    store.receive(sent_by("CT1", 1), peer="CT1")

    receipt = store.receive(sent_by("CT1", 2, PatientID="P-9999"), peer="CT1")

    assert (receipt.kind, receipt.reason) == ("conflict", "other_patient")
    assert len(store.instances()) == 1


def test_a_series_cannot_move_to_another_study(store: Store) -> None:
    store.receive(sent_by("CT1", 1), peer="CT1")

    receipt = store.receive(sent_by("CT1", 2, StudyInstanceUID=uid(2)), peer="CT1")

    assert (receipt.kind, receipt.reason) == ("conflict", "series_in_two_studies")


def test_an_object_that_is_not_the_announced_one_is_set_aside_only_when_asked(store: Store) -> None:
    data = file_meta(CT_CLASS, uid(1, 1, 77), EXPLICIT) + encoded(ct_slice(1))

    strict = store.receive(data, peer="CT1", strict=True)
    lenient = store.receive(data, peer="folder")

    assert (strict.kind, strict.reason) == ("unreadable", "uid_mismatch")
    assert lenient.kind == "stored"


def test_unknown_objects_and_studies_are_named_as_such(store: Store) -> None:
    for ask in (lambda: store.path("0" * 64), lambda: store.path("../../etc/passwd"), lambda: store.study(uid(5))):
        with pytest.raises(UnknownObject):
            ask()


def test_subscribers_hear_of_every_receipt(store: Store) -> None:
    heard: list[Receipt] = []
    store.subscribe(heard.append)

    store.receive(sent_by("CT1"), peer="CT1")
    store.receive(b"junk", peer="CT1")

    assert [r.kind for r in heard] == ["stored", "unreadable"]


def test_results_do_not_make_a_study_look_recently_received(store: Store) -> None:
    store.receive(sent_by("CT1", 1), peer="CT1")
    before = store.study(STUDY).last_received

    store.receive(sent_by("radgate", 2), peer="radgate", origin="result")

    assert store.study(STUDY).last_received == before
    assert [r.sop_uid for r in store.instances(origin="result")] == [uid(1, 1, 2)]


def spied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the durable steps in the order in which they happen."""
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def spy_fsync(handle: int) -> None:
        steps.append("sync folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "sync file")  # noqa: PTH112
        fsync(handle)

    def spy_rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "rename", spy_rename)
    return steps


def test_the_file_is_synced_named_and_its_folder_synced_before_the_row(
    store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import event

    steps = spied(monkeypatch)
    event.listen(engine, "commit", lambda _connection: steps.append("commit"))

    store.receive(sent_by("CT1"), peer="CT1")

    essential = [s for i, s in enumerate(steps) if i == 0 or s != steps[i - 1]]
    assert essential == ["sync file", "sync folder", "rename", "sync folder", "commit"]


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreUnavailable), (errno.EROFS, StoreUnavailable)]
)
def test_a_refusing_file_system_is_a_typed_error_and_leaves_no_trace(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    def refuse(_handle: int) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "fsync", refuse)

    with pytest.raises(kind):
        store.receive(sent_by("CT1"), peer="CT1")

    monkeypatch.undo()
    assert store.instances() == [] and objects_in(store) == []
    assert list((store.root / "incoming").iterdir()) == []
    assert store.receive(sent_by("CT1"), peer="CT1").kind == "stored"


def test_below_the_low_mark_images_are_refused_and_results_still_stored(store: Store, engine: Engine) -> None:
    tight = Store(store.root, engine, low_free=1.0, floor_free=0.0)

    with pytest.raises(StoreFull):
        tight.receive(sent_by("CT1"), peer="CT1")

    assert tight.receive(sent_by("radgate"), peer="radgate", origin="result").kind == "stored"
    assert tight.accepts_more()
    assert not Store(store.root, engine, floor_free=1.0).accepts_more()


def test_an_unreachable_index_is_no_success_and_the_file_is_adopted_later(store: Store, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE instance RENAME TO away"))
    with pytest.raises(StoreUnavailable):
        store.receive(sent_by("CT1"), peer="CT1")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO instance"))

    adopted = store.recover()

    assert adopted == 1
    assert [row.sop_uid for row in store.instances()] == [uid(1, 1, 1)]
    assert store.recover() == 0


def test_what_a_dead_writer_left_is_dropped_and_what_a_live_one_writes_is_not(store: Store) -> None:
    import fcntl

    (store.root / "incoming" / "1-1").write_bytes(b"half an object")
    alive = store.root / "incoming" / "2-1"

    with alive.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        store.recover()

        assert [p.name for p in (store.root / "incoming").iterdir()] == ["2-1"]


def all_rows(store: Store) -> list[Any]:
    studies = [store.study(uid) for uid in sorted({row.study_uid for row in store.instances()})]
    return [studies, [store.series(s.study_uid) for s in studies], store.instances()]


def fill(store: Store) -> None:
    for number in range(1, 6):
        store.receive(sent_by("CT1", number), peer="CT1", association="a1")
    store.receive(sent_by("CT1", 3), peer="CT1")
    store.receive(file_of(ct_slice(9, study=2, series=4)), peer="folder")
    store.receive(sent_by("radgate", 50, SeriesInstanceUID=uid(1, 2)), peer="radgate", origin="result")
    store.receive(sent_by("CT1", 2, StudyDate="20200101"), peer="CT1")


def test_the_index_is_equal_after_a_rebuild(store: Store) -> None:
    fill(store)
    before = all_rows(store)

    count = store.rebuild()

    assert count == 7
    assert all_rows(store) == before
    assert len(store.quarantined()) == 1


def test_a_lost_index_is_made_again_from_the_files_alone(store: Store, engine: Engine, tmp_path: Path) -> None:
    fill(store)
    before = store.instances()
    engine.dispose()
    for path in store.root.glob("radgate.sqlite*"):
        path.unlink()
    fresh_engine = open_engine(gateway_settings(tmp_path))
    fresh = Store(store.root, fresh_engine)

    fresh.rebuild()

    def known_to_files(rows: list[Any]) -> list[Any]:
        return [(r.sop_uid, r.sha256, r.origin, r.received, r.transfer_syntax_uid) for r in rows]

    assert known_to_files(fresh.instances()) == known_to_files(before)
    assert {r.peer for r in fresh.instances(series_uid=uid(1, 1))} == {"CT1"}
    assert [q.reason for q in fresh.quarantined()] == ["contradiction"]
    fresh_engine.dispose()


def in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_an_error_of_the_database_does_not_repeat_what_was_to_be_written(engine: Engine) -> None:
    with pytest.raises(DBAPIError) as met, engine.begin() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": "Zhang^San"})

    assert "nowhere" in str(met.value)
    assert "Zhang" not in str(met.value)


def test_many_writers_lose_nothing_and_share_commits(store: Store, engine: Engine) -> None:
    from sqlalchemy import event

    commits: list[int] = []
    event.listen(engine, "commit", lambda _connection: commits.append(1))
    kinds: list[str] = []

    def send(worker: int) -> None:
        numbers = range(100 * worker, 100 * worker + 25)
        kinds.extend(store.receive(sent_by("CT1", number), peer="CT1").kind for number in numbers)

    in_threads(8, send)

    assert kinds.count("stored") == 200
    assert len(store.instances()) == len(objects_in(store)) == 200
    assert len(commits) < 200


def test_the_same_object_from_many_threads_at_once_is_stored_once(store: Store) -> None:
    kinds: list[str] = []

    in_threads(8, lambda _worker: kinds.append(store.receive(sent_by("CT1"), peer="CT1").kind))

    assert sorted(kinds) == ["duplicate"] * 7 + ["stored"]
    assert [row.copies for row in store.instances()] == [8]


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_file_of_the_zoo_is_stored_or_set_aside_with_a_reason(store: Store) -> None:
    folder = data_folder("dicom_zoo")
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and (p.suffix == ".dcm" or p.name == "dicomdir")]

    receipts = {path: store.receive(path.read_bytes(), peer="ZOO") for path in files}

    assert len(files) == 130
    kinds = [r.kind for r in receipts.values()]
    assert kinds.count("unreadable") <= 10
    assert all(r.reason and r.message for r in receipts.values() if r.kind not in {"stored", "duplicate"})
    held = {q.sha256 for q in store.quarantined()}
    for path, receipt in receipts.items():
        if receipt.kind == "stored":
            assert path.read_bytes()[-200:] == store.path(receipt.sha256).read_bytes()[-200:]
        else:
            assert receipt.sha256 in held or receipt.kind == "duplicate"
