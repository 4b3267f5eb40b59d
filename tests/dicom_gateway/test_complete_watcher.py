"""The watcher: versions open with the first image, are decided once, survive restarts; late images make the next."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import OperationalError

from dicom_gateway.complete import Watcher, force_complete, watcher
from dicom_gateway.complete.versions import decide_version, decided_inputs
from dicom_gateway.errors import NotReceiving
from dicom_gateway.settings import Settings
from dicom_gateway.store import Receipt, Store
from dicom_gateway.store.tables import event, study, study_version
from tests.dicom_gateway.dimse import associated
from tests.dicom_gateway.making import STUDY, ct_slice, file_of, gateway_settings

QUICK = "[complete]\nquiet_s = 0.4\nknown_s = 0.1\ngap_wait_s = 1.0\nmax_wait_s = 30.0\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return gateway_settings(tmp_path, QUICK)


class Told(list[tuple[str, int]]):
    """What the watcher told the flow."""

    def __call__(self, study_uid: str, version: int) -> None:
        self.append((study_uid, version))

    def wait(self, count: int, timeout_s: float = 10.0) -> None:
        until = time.monotonic() + timeout_s
        while len(self) < count:
            assert time.monotonic() < until, f"told {len(self)} of {count}"
            time.sleep(0.01)


Begin = Callable[..., tuple[Watcher, Told]]


@pytest.fixture
def begin(store: Store, engine: Engine, settings: Settings) -> Iterator[Begin]:
    running: list[Watcher] = []

    def start(on_complete: Callable[[str, int], None] | None = None) -> tuple[Watcher, Told]:
        told = Told()
        started = Watcher(store, engine, settings, on_complete or told)
        started.start()
        running.append(started)
        return started, told

    yield start
    for each in running:
        each.stop()


def send(store: Store, *numbers: int, **tags: Any) -> list[Receipt]:
    return [store.receive(file_of(ct_slice(n, **tags)), peer="CT1") for n in numbers]


def versions(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(study_version).order_by(study_version.c.version)).mappings())


def kinds(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(event.c.kind).order_by(event.c.id)).scalars())


def test_a_whole_study_is_complete_after_the_silence(store: Store, engine: Engine, begin: Begin) -> None:
    send(store, *range(1, 9))
    _, told = begin()
    told.wait(1)

    assert told == [(STUDY, 1)]
    (version,) = versions(engine)
    assert (version["state"], version["evidence"]["by"]) == ("COMPLETE", "silence and geometry")
    assert version["evidence"]["instances"] == 8
    assert len(version["input_digest"]) == 64
    assert kinds(engine) == ["study_opened", "study_complete"]


def test_a_late_slice_makes_the_next_version(store: Store, engine: Engine, begin: Begin) -> None:
    # Sent before the watcher begins: a slow disk is no silence of the sender.
    send(store, *(n for n in range(1, 9) if n != 5))
    _, told = begin()
    told.wait(1)

    send(store, 5)
    told.wait(2)

    assert told == [(STUDY, 1), (STUDY, 2)]
    first, second = versions(engine)
    assert (first["state"], second["state"]) == ("INCOMPLETE", "COMPLETE")
    assert first["reason"].startswith("1 slices are missing")
    assert first["input_digest"] != second["input_digest"]
    assert "study_late" in kinds(engine)
    inputs = [decided_inputs(engine, STUDY, number) or [] for number in (1, 2)]
    assert [len(pairs) for pairs in inputs] == [7, 8]
    assert all(pair in inputs[1] for pair in inputs[0])


def test_repetitions_and_results_of_ours_make_no_new_version(store: Store, engine: Engine, begin: Begin) -> None:
    send(store, *range(1, 6))
    _, told = begin()
    told.wait(1)

    send(store, *range(1, 6))
    store.receive(file_of(ct_slice(77, series=5)), peer="radgate", origin="result")
    time.sleep(1.0)

    assert len(versions(engine)) == len(told) == 1


def test_a_known_number_is_honoured(store: Store, begin: Begin) -> None:
    _, told = begin()

    send(store, 1, 2, 3, NumberOfSeriesRelatedInstances="4")
    time.sleep(0.8)
    assert told == []
    send(store, 4)

    told.wait(1, timeout_s=2.0)


def test_nothing_is_decided_before_the_sender_has_gone(
    store: Store, engine: Engine, settings: Settings, begin: Begin
) -> None:
    from dicom_gateway.listen import Listener

    watcher, told = begin()
    listener = Listener(settings, store, watcher.received, on_closed=watcher.closed)
    listener.start()
    try:
        with associated(listener.port) as association:
            for number in range(1, 5):
                ds = ct_slice(number)
                file_of(ds)
                assert association.send_c_store(ds).Status == 0x0000
            time.sleep(1.2)
            assert told == []
        told.wait(1)
    finally:
        listener.stop()


def test_a_restart_takes_up_what_was_receiving(store: Store, engine: Engine, begin: Begin) -> None:
    watcher, _ = begin()
    send(store, *range(1, 5))
    while not versions(engine):
        time.sleep(0.01)
    watcher.stop()

    _, told = begin()
    told.wait(1)

    assert [v["state"] for v in versions(engine)] == ["COMPLETE"]


def test_a_restart_finds_instances_that_no_version_has_seen(store: Store, engine: Engine, begin: Begin) -> None:
    send(store, 1, 2, 3, 4)
    watcher, told = begin()
    told.wait(1)
    with engine.begin() as connection:
        connection.execute(update(study_version).values(state="DELIVERED"))
    watcher.stop()
    send(store, 5)

    _, told_later = begin()
    told_later.wait(1)

    assert told_later == [(STUDY, 2)]


def test_a_restart_after_the_clock_was_set_forward_sees_nothing_late(
    store: Store, engine: Engine, begin: Begin
) -> None:
    send(store, 1, 2, 3, 4)
    watcher, told = begin()
    told.wait(1)
    watcher.stop()
    with engine.begin() as connection:
        connection.execute(update(study_version).values(state="DELIVERED"))
        connection.execute(update(study).values(last_received=study.c.last_received + 600))

    begin()
    time.sleep(1.0)

    assert [v["version"] for v in versions(engine)] == [1]


def test_a_decision_that_nobody_took_is_told_again_after_a_restart(store: Store, begin: Begin) -> None:
    def fail(_study_uid: str, _version: int) -> None:
        raise RuntimeError("planted")

    watcher, _ = begin(fail)
    send(store, 1, 2, 3, 4)
    time.sleep(1.0)
    watcher.stop()

    _, told = begin()
    told.wait(1)

    assert told == [(STUDY, 1)]


def test_a_person_can_force_a_study_from_another_process(store: Store, engine: Engine, begin: Begin) -> None:
    _, told = begin()
    send(store, 1, 2, 3, NumberOfSeriesRelatedInstances="400")
    while not versions(engine):
        time.sleep(0.01)

    force_complete(engine, STUDY, "scanner broke down", time.time())
    told.wait(1)

    assert versions(engine)[0]["evidence"]["by"] == "person"


def test_a_word_on_one_version_decides_no_later_one(
    store: Store, engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart reads the events from the first on."""
    monkeypatch.setattr(watcher, "FORCE_POLL_S", 0.05)
    first, told = begin()
    send(store, 1, 2, 3, NumberOfSeriesRelatedInstances="400")
    while not versions(engine):
        time.sleep(0.01)
    force_complete(engine, STUDY, "scanner broke down", time.time())
    told.wait(1)
    send(store, 4, NumberOfSeriesRelatedInstances="400")
    while len(versions(engine)) < 2:
        time.sleep(0.01)
    first.stop()

    begin()
    time.sleep(0.6)

    assert [version["state"] for version in versions(engine)] == ["COMPLETE", "RECEIVING"]


def test_nobody_can_force_what_is_unknown_or_decided(store: Store, engine: Engine, begin: Begin) -> None:
    with pytest.raises(NotReceiving, match="check the Study Instance UID"):
        force_complete(engine, STUDY, "typing error", time.time())
    _, told = begin()
    send(store, 1)
    told.wait(1)
    with pytest.raises(NotReceiving, match="decided already"):
        force_complete(engine, STUDY, "too late", time.time())


def test_a_database_that_fails_at_the_decision_is_asked_again(
    store: Store, engine: Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fail_at_first(*arguments: Any) -> bool:
        asked.append(arguments)
        if len(asked) == 1:
            raise OperationalError("UPDATE study_version", {}, Exception("database or disk is full"))
        return decide_version(*arguments)

    monkeypatch.setattr(watcher, "decide_version", fail_at_first)
    monkeypatch.setattr(watcher, "RETRY_S", 0.05)
    _, told = begin()
    send(store, 1, 2, 3)
    told.wait(1)

    assert len(asked) == 2
    assert versions(engine)[0]["state"] == "COMPLETE"
