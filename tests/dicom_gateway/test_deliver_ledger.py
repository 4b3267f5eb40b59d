"""The ledger and its arithmetic: classes of answers, backoff, order, idempotence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from dicom_gateway.deliver import (
    Outcome,
    Pace,
    Parcel,
    cancel,
    classify_status,
    enqueue,
    ledger,
    resend,
    rows,
    unsettled,
)
from dicom_gateway.settings import Destination
from tests.dicom_gateway.making import STUDY, uid

PACS = Destination("pacs", aet="PACS", host="127.0.0.1", port=104)
TPS = Destination("tps", aet="TPS", host="127.0.0.1", port=104, outlets=("rtstruct",))
PACE = Pace()
PARCELS = (Parcel(uid(7, 1), "a" * 64, "seg", 0), Parcel(uid(7, 2), "b" * 64, "rtstruct", 1))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0x0000, "accepted"),
        (0x0111, "accepted"),
        (0xB000, "warned"),
        (0xB006, "warned"),
        (0xB007, "warned"),
        (0xA700, "retry"),
        (0xA7FF, "retry"),
        (0x0110, "retry"),
        (None, "retry"),
        (0x0124, "misconfigured"),
        (0xA900, "permanent"),
        (0xC000, "permanent"),
        (0xCFFF, "permanent"),
        (0x0122, "permanent"),
    ],
)
def test_each_answer_has_its_class(status: int | None, kind: str) -> None:
    assert classify_status(status).kind == kind


@given(st.integers(0, 0xFFFF))
def test_success_is_never_read_into_another_answer(status: int) -> None:
    outcome = classify_status(status)

    assert (outcome.kind == "accepted") == (status in {0x0000, 0x0111})
    assert outcome.kind == "accepted" or outcome.message


def test_waits_double_up_to_the_cap_and_are_spread() -> None:
    assert [PACE.wait_s(n, 0.0) for n in (1, 2, 3, 8, 9, 500)] == [5.0, 10.0, 20.0, 640.0, 900.0, 900.0]
    assert (PACE.wait_s(1, -1.0), PACE.wait_s(1, 1.0)) == (4.0, 6.0)


def test_enqueueing_twice_writes_once_and_only_what_a_destination_takes(engine: Engine) -> None:
    first = enqueue(engine, "r1", STUDY, PARCELS, [PACS, TPS], now=100.0)

    again = enqueue(engine, "r1", STUDY, iter(PARCELS), [PACS, TPS], now=200.0)

    assert (first, again) == (3, 0)
    assert [(r.destination, r.sop_uid) for r in rows(engine, destination="tps")] == [("tps", uid(7, 2))]
    assert unsettled(engine, STUDY) == 3


def test_nothing_overtakes_within_a_result(engine: Engine) -> None:
    enqueue(engine, "r1", STUDY, PARCELS, [PACS], now=100.0)
    enqueue(engine, "r2", STUDY, [Parcel(uid(8, 1), "c" * 64, "seg", 0)], [PACS], now=101.0)
    first = rows(engine, result_id="r1")[0]
    ledger.claim(engine, first)
    ledger.record(engine, first, classify_status(0xA700), PACS, PACE, 102.0, 0.0)

    due, next_at = ledger.to_send(engine, "pacs", 103.0)

    assert [r.result_id for r in due] == ["r2"]
    assert next_at == 107.0
    assert [r.position for r in ledger.to_send(engine, "pacs", 108.0)[0] if r.result_id == "r1"] == [0, 1]


def test_a_row_is_claimed_once(engine: Engine) -> None:
    enqueue(engine, "r1", STUDY, PARCELS, [PACS], now=100.0)
    row = rows(engine)[0]

    assert [ledger.claim(engine, row), ledger.claim(engine, row)] == [True, False]


def test_a_crash_puts_claimed_rows_back(engine: Engine) -> None:
    enqueue(engine, "r1", STUDY, PARCELS, [PACS], now=100.0)
    ledger.claim(engine, rows(engine)[0])

    assert ledger.release_claims(engine, ["pacs"], 105.0) == 1

    assert {r.state for r in rows(engine)} == {"PENDING"}


def test_a_row_that_is_too_old_is_dead_and_can_be_revived(engine: Engine) -> None:
    enqueue(engine, "r1", STUDY, PARCELS, [PACS], now=0.0)
    row = rows(engine)[0]
    ledger.claim(engine, row)
    late = PACS.give_up_h * 3600 + 1

    state = ledger.record(engine, row, Outcome("retry", "no_connection", "Away."), PACS, PACE, late, 0.0)

    assert state == "DEAD"
    assert resend(engine, row.id, late)
    assert rows(engine, result_id="r1")[-1].state == "PENDING"


def test_a_waiting_row_can_be_cancelled_and_a_settled_one_not(engine: Engine) -> None:
    enqueue(engine, "r1", STUDY, PARCELS, [PACS], now=0.0)
    first, second = rows(engine)
    ledger.claim(engine, first)
    ledger.record(engine, first, classify_status(0x0000), PACS, PACE, 1.0, 0.0)

    assert (cancel(engine, first.id, 2.0), cancel(engine, second.id, 2.0)) == (False, True)
    assert unsettled(engine, STUDY) == 0
