"""`radgate deliver`: what was given up is listed, and sent again while the service runs."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update
from typer.testing import CliRunner

from dicom_gateway.cli.app import app
from dicom_gateway.deliver import Courier, Pace, Parcel, enqueue, rows
from dicom_gateway.errors import DeliveryError, StoreUnavailable
from dicom_gateway.settings import Settings, load_settings
from dicom_gateway.store import Store, open_engine, tables
from tests.dicom_gateway.fake_pacs import FakePacs
from tests.dicom_gateway.making import STUDY, ct_slice, file_of, uid

CONFIG = """[store]
root = "store"
low_free = 0.0
floor_free = 0.0
[[destination]]
name = "pacs"
aet = "FAKEPACS"
host = "127.0.0.1"
port = {port}
"""


@contextmanager
def ledger(folder: Path, port: int = 11119) -> Iterator[tuple[Path, Settings, Engine]]:
    """A settings file with a ledger of three deliveries: DEAD, VERIFIED, REJECTED."""
    config = folder / "radgate.toml"
    config.write_text(CONFIG.format(port=port), encoding="utf-8")
    settings = load_settings(config)
    engine = open_engine(settings)
    store = Store(settings.store.root, engine)
    parcels = []
    for number in (1, 2, 3):
        receipt = store.receive(file_of(ct_slice(number)), peer="radgate", origin="result")
        parcels.append(Parcel(uid(1, 1, number), receipt.sha256, "seg", number))
    enqueue(engine, "r1", STUDY, parcels, settings.destinations, now=time.time() - 100)
    with engine.begin() as connection:
        for position, state in ((1, "DEAD"), (2, "VERIFIED"), (3, "REJECTED")):
            change = update(tables.delivery).where(tables.delivery.c.position == position)
            connection.execute(change.values(state=state, attempts=7, last_error="The destination was away."))
    try:
        yield config, settings, engine
    finally:
        engine.dispose()


def run(*arguments: object) -> Any:
    """What a command prints as JSON."""
    outcome = CliRunner().invoke(app, ["deliver", *map(str, arguments), "--json"])
    if outcome.exception is not None:
        raise outcome.exception
    return json.loads(outcome.stdout)


def states(engine: Engine) -> list[str]:
    return [row.state for row in rows(engine)]


def test_deliveries_are_listed_all_or_by_state(tmp_path: Path) -> None:
    with ledger(tmp_path) as (config, _, engine):
        everything = run("list", "--config", config)
        dead = run("list", "--config", config, "--state", "dead")
        elsewhere = run("list", "--config", config, "--destination", "tps")
        text = CliRunner().invoke(app, ["deliver", "list", "--config", str(config)]).stdout

        assert [r["state"] for r in everything] == states(engine) == ["DEAD", "VERIFIED", "REJECTED"]
        assert [r["sop_uid"] for r in dead] == [uid(1, 1, 1)]
        assert elsewhere == []
        assert "The destination was away." in text and text.endswith("3 deliveries\n")


def test_what_was_given_up_is_sent_again_and_what_arrived_is_not(tmp_path: Path) -> None:
    with ledger(tmp_path) as (config, _, engine):
        answer = run("resend", "--dead", "--config", config)

        assert len(answer["resent"]) == 2
        assert sorted(states(engine)) == ["PENDING", "PENDING", "VERIFIED"]


def test_one_delivery_is_sent_again_by_its_number(tmp_path: Path) -> None:
    with ledger(tmp_path) as (config, _, engine):
        arrived = next(r for r in rows(engine) if r.state == "VERIFIED")

        assert run("resend", arrived.id, "--config", config) == {"resent": [arrived.id], "being_sent": 0}
        assert sorted(states(engine)) == ["DEAD", "PENDING", "REJECTED"]


def test_a_running_courier_takes_up_what_the_command_put_back(tmp_path: Path) -> None:
    with FakePacs() as pacs, ledger(tmp_path, pacs.port) as (config, settings, engine):
        courier = Courier(Store(settings.store.root, engine), engine, settings, lambda _study: None, pace=Pace())
        courier.start()
        try:
            run("resend", "--dead", "--config", config)
            until = time.monotonic() + 15
            while "PENDING" in states(engine) or "SENDING" in states(engine):
                assert time.monotonic() < until, states(engine)
                time.sleep(0.05)
        finally:
            courier.stop()

        assert sorted(states(engine)) == ["ACCEPTED", "ACCEPTED", "VERIFIED"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "or give --dead"), (["1", "--dead"], "or give --dead"), (["4711"], "There is no delivery 4711")],
)
def test_a_command_that_names_nothing_to_send_is_refused(tmp_path: Path, arguments: list[str], words: str) -> None:
    with ledger(tmp_path) as (config, _, engine):
        with pytest.raises(DeliveryError, match=words):
            run("resend", *arguments, "--config", config)

        assert "PENDING" not in states(engine)


def test_a_destination_that_is_gone_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    with ledger(tmp_path) as (config, _, engine):
        config.write_text(CONFIG.format(port=104).replace('"pacs"', '"archive"'), encoding="utf-8")

        with pytest.raises(DeliveryError, match="'pacs', which the settings do not have"):
            run("resend", "--dead", "--config", config)

        assert "PENDING" not in states(engine)


def test_a_wrong_store_is_refused_and_not_made(tmp_path: Path) -> None:
    config = tmp_path / "radgate.toml"
    config.write_text('[store]\nroot = "elsewhere"\n', encoding="utf-8")

    with pytest.raises(StoreUnavailable, match="no database in the store yet"):
        run("list", "--config", config)

    assert not (tmp_path / "elsewhere").exists()
