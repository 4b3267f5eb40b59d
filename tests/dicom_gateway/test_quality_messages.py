"""Alerts: kept once, withdrawn and not deleted, and told once by every way, however the others fare."""

import json
import random
import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from dicom_gateway.quality.board import read_board, read_series
from dicom_gateway.quality.messages import MAIL, Messenger, Sender, Way, message_of, send, ways_of
from dicom_gateway.quality.record import Told, acknowledge, keep_judgement, reject_series
from dicom_gateway.settings import Quality, Settings
from dicom_gateway.store import Store, tables
from dicom_gateway.store.quality_tables import alert, alert_message, judged_series, point
from tests.dicom_gateway.quality_site import hook, judged, mailed, observing, rows
from tests.e2e.peers import wait_for


def test_alerts_coalesce_by_series_and_cause_and_are_withdrawn_not_deleted(engine: Engine) -> None:
    keep_judgement(engine, judged("WARN", checks=("ct.x", "ct.y")))
    keep_judgement(engine, judged("WARN", checks=("ct.x",)))
    [one] = rows(engine, alert)
    assert acknowledge(engine, one.id, "李技师", "")
    keep_judgement(engine, judged("FAIL", checks=("ct.x",)))
    [worse] = rows(engine, alert)
    keep_judgement(engine, judged("PASS", checks=(), provisional=False))
    [gone] = rows(engine, alert)

    assert len(one.findings) == 1 and one.grade == "WARN"
    assert worse.grade == "FAIL" and worse.acknowledged is None  # what is worse has to be seen again
    assert gone.state == "withdrawn" and gone.first_seen == one.first_seen


def test_a_late_provisional_word_does_not_replace_a_final_one(engine: Engine) -> None:
    keep_judgement(engine, judged("PASS", provisional=False, checks=()))
    keep_judgement(engine, judged("FAIL"))
    assert rows(engine, judged_series)[0].grade == "PASS"
    keep_judgement(engine, judged("FAIL", planes=10))

    assert rows(engine, judged_series)[0].grade == "FAIL"


def test_a_second_verdict_on_a_series_replaces_its_points(engine: Engine) -> None:
    for _ in range(2):
        keep_judgement(engine, judged(provisional=False))

    assert [(p.check_id, p.value, p.time) for p in rows(engine, point)] == [("ct.x", 3.5, 1_790_000_000.0)]


def test_a_person_rejects_a_judged_series_once_and_it_is_in_the_audit_trail(engine: Engine) -> None:
    keep_judgement(engine, judged())
    assert not reject_series(engine, "1.2.3", "李技师", "运动伪影")  # it is still arriving
    keep_judgement(engine, judged(provisional=False))

    assert reject_series(engine, "1.2.3", "李技师", "运动伪影")
    assert not reject_series(engine, "1.2.3", "李技师", "运动伪影")
    with engine.connect() as connection:
        view = read_series(connection, "1.2.3")
        board = read_board(connection)
    assert view is not None and view.row["reject_reason"] == "运动伪影"
    assert board.series[0]["rejected"] is not None
    assert [e.kind for e in rows(engine, tables.event)] == ["quality_rejected"]


# Messages


__all__ = ["mailed"]

TOLD = Told(1, "1.2", "1.2.3", "positioning", "FAIL", judged()["verdict"]["results"], 1_790_000_000.0)


def test_an_alert_reaches_the_webhook_once_however_often_it_is_seen(
    settings: Settings, engine: Engine, store: Store
) -> None:
    with hook() as (address, heard):
        told_to = replace(settings, quality=Quality(webhooks=(address,), board_url="http://board"))
        with observing(told_to, engine, store):
            for planes in (9, 10, 11):
                keep_judgement(engine, judged(planes=planes))
            wait_for("the message", lambda: heard, 10)
            keep_judgement(engine, judged(planes=12))
            time.sleep(2.5)

    assert len(heard) == 1
    assert heard[0]["page"] == "http://board/quality/series/1.2.3"
    assert heard[0]["findings"][0]["action"]["zh"] == "请居中"


@pytest.mark.parametrize(("status", "taken"), [(204, True), (500, False), (307, False)])
def test_a_webhook_that_refuses_or_redirects_has_not_taken_it(status: int, taken: bool) -> None:
    with hook(status) as (address, heard):
        assert send(Quality(webhooks=(address,)), TOLD, Way("hook", address)) is taken
        assert len(heard) == 1


def test_a_webhook_that_is_down_is_no_error() -> None:
    settings = Quality(webhooks=("http://127.0.0.1:1/",))

    assert [send(settings, TOLD, way) for way in ways_of(settings)] == [False]


@pytest.mark.parametrize("down", [MAIL, "hook"])
def test_a_way_that_is_down_sends_nothing_twice_by_the_other_and_is_tried_less_and_less_often(
    engine: Engine, down: str
) -> None:
    settings = Quality(webhooks=("http://127.0.0.1:1/token",), smtp_host="mail.example", mail_to=("ct@example",))
    tried: list[tuple[str, str]] = []
    is_up = False

    def sender(_settings: Quality, item: Told, way: Way) -> bool:
        name = MAIL if way.key == MAIL else "hook"
        tried.append((name, item.grade))
        return is_up or name != down

    keep_judgement(engine, judged("FAIL"))
    for messenger, begin in ((Messenger(engine, settings, sender), 0), (Messenger(engine, settings, sender), 3600)):
        for second in range(begin, begin + 3600):
            messenger.round(float(second))
    other = "hook" if down == MAIL else MAIL
    while_down = list(tried)
    is_up = True
    for second in range(7200, 7900):
        messenger.round(float(second))

    assert while_down.count((other, "FAIL")) == 1  # not once more after a restart either
    assert 2 <= while_down.count((down, "FAIL")) <= 2 * 13
    assert tried[len(while_down) :] == [(down, "FAIL")]
    assert [a.told_grade for a in rows(engine, alert)] == ["FAIL"]
    assert "token" not in repr(rows(engine, alert_message))


def test_a_worse_grade_is_told_again_and_a_refused_alert_holds_up_no_other(engine: Engine) -> None:
    settings = Quality(webhooks=("http://127.0.0.1:1/",), alert_from="WARN")
    tried: list[tuple[str, str]] = []

    def sender(_settings: Quality, item: Told, way: Way) -> bool:
        tried.append((item.series_uid, item.grade))
        return item.series_uid != "1.2.3"

    keep_judgement(engine, judged("WARN"))
    keep_judgement(engine, {**judged("WARN"), "series": "1.2.4"})
    messenger = Messenger(engine, settings, sender)
    for second in range(60):
        messenger.round(float(second))
    keep_judgement(engine, {**judged("FAIL", planes=10), "series": "1.2.4"})
    for second in range(60, 120):
        messenger.round(float(second))

    assert [t for t in tried if t[0] == "1.2.4"] == [("1.2.4", "WARN"), ("1.2.4", "FAIL")]
    assert 2 <= tried.count(("1.2.3", "WARN")) <= 6


BOTH = Quality(webhooks=("http://127.0.0.1:1/",), smtp_host="mail.example", mail_to=("ct@example",))


def listening(heard: list[tuple[str, str]], down: set[str], series: str = "1.2.3") -> Sender:
    """Notes way ("mail" or "hook") and grade of what is taken of a series; ways that are down take nothing."""

    def sender(_settings: Quality, item: Told, way: Way) -> bool:
        name = MAIL if way.key == MAIL else "hook"
        if name not in down and item.series_uid == series:
            heard.append((name, item.grade))
        return name not in down

    return sender


def test_who_was_told_of_an_alert_is_told_when_it_is_withdrawn_and_again_when_it_returns(engine: Engine) -> None:
    heard: list[tuple[str, str]] = []
    down = {MAIL}
    messenger = Messenger(engine, BOTH, listening(heard, down))

    def go_on(seconds: range) -> list[tuple[str, str]]:
        heard.clear()
        for second in seconds:
            messenger.round(float(second))
        return list(heard)

    keep_judgement(engine, judged("FAIL"))
    first = go_on(range(10))
    keep_judgement(engine, judged("PASS", planes=12, checks=()))
    down.clear()  # mail has not heard of the fault, and need not hear that it is gone
    gone = go_on(range(1000, 1010))
    after = go_on(range(2000, 2010))
    keep_judgement(engine, judged("FAIL", planes=13))
    again = go_on(range(3000, 3010))

    assert (first, gone, after) == ([("hook", "FAIL")], [("hook", "WITHDRAWN")], [])
    assert sorted(again) == [("hook", "FAIL"), (MAIL, "FAIL")]


def test_a_way_that_heard_of_a_withdrawal_hears_of_the_return_though_another_way_was_down(engine: Engine) -> None:
    heard: list[tuple[str, str]] = []
    down: set[str] = set()
    messenger = Messenger(engine, BOTH, listening(heard, down))
    for second, (verdict, unreached) in enumerate([
        (judged("FAIL"), set()),
        (judged("PASS", planes=10, checks=()), {MAIL}),
        (judged("FAIL", planes=11), {MAIL}),
        (judged("FAIL", planes=12), set()),
    ]):
        down.clear()
        down.update(unreached)
        keep_judgement(engine, verdict)
        for part in range(3):
            messenger.round(1000.0 * second + part)

    assert [grade for way, grade in heard if way == "hook"] == ["FAIL", "WITHDRAWN", "FAIL"]
    assert [grade for way, grade in heard if way == MAIL] == ["FAIL"]


def test_every_way_ends_where_the_alert_does_whatever_it_was_told_on_the_way(engine: Engine) -> None:
    rng = random.Random(7)
    for world in range(40):
        heard: list[tuple[str, str]] = []
        down: set[str] = set()
        series = f"1.2.3.{world}"
        messenger = Messenger(engine, BOTH, listening(heard, down, series))
        grade = "FAIL"
        for second in range(7):
            down.clear()
            down.update(rng.sample([MAIL, "hook"], rng.choice([0, 0, 1])) if second < 6 else ())
            grade = rng.choice(["FAIL", "WARN", "PASS"])
            verdict = judged(grade, planes=9 + second, checks=() if grade == "PASS" else ("ct.x",))
            keep_judgement(engine, {**verdict, "series": series})
            for part in range(3):
                messenger.round(10_000.0 * (second + 1) + part)

        last = dict(heard)
        ends = {"FAIL"} if grade == "FAIL" else {"WITHDRAWN"}
        assert set(last.values()) <= ends, (world, grade, last)
        assert len(last) == 2 or grade != "FAIL"


def test_an_alert_that_sinks_below_what_is_told_is_withdrawn_and_told_when_it_returns(engine: Engine) -> None:
    heard: list[str] = []

    def sender(_settings: Quality, item: Told, _way: Way) -> bool:
        heard.append(item.grade)
        return True

    messenger = Messenger(engine, Quality(webhooks=("http://127.0.0.1:1/",), alert_from="FAIL"), sender)
    for second, verdict in enumerate([
        judged("FAIL"),
        judged("WARN", planes=10),
        judged("PASS", planes=11, checks=()),
        judged("WARN", planes=12),
        judged("FAIL", planes=13),
    ]):
        keep_judgement(engine, verdict)
        for part in range(3):
            messenger.round(float(10 * second + part))

    assert heard == ["FAIL", "WITHDRAWN", "FAIL"]


def test_an_alert_that_nobody_was_told_of_goes_silently(engine: Engine) -> None:
    heard: list[str] = []

    def sender(_settings: Quality, item: Told, _way: Way) -> bool:
        heard.append(item.grade)
        return True

    keep_judgement(engine, judged("FAIL"))
    keep_judgement(engine, judged("PASS", planes=12, checks=()))
    Messenger(engine, Quality(webhooks=("http://127.0.0.1:1/",)), sender).round(0.0)

    assert heard == []


@pytest.mark.parametrize(
    ("told", "words", "has_action"),
    [
        (TOLD, "结论可能改变", True),
        (replace(TOLD, is_final=True), "偏心", True),
        (replace(TOLD, grade="WITHDRAWN"), "已撤回", False),
    ],
)
def test_a_mail_says_whether_more_may_come_and_when_it_is_withdrawn(
    mailed: list[Any], told: Told, words: str, has_action: bool
) -> None:
    send(Quality(smtp_host="mail.example", mail_to=("ct@example",)), told, Way(MAIL))

    text = mailed[0].get_content()
    assert words in text.splitlines()[0]
    assert ("请居中" in text) is has_action
    assert message_of(told, "")["final"] is told.is_final


def test_a_mail_goes_to_the_addresses_of_the_settings_only(mailed: list[Any]) -> None:
    quality = Quality(smtp_host="mail.example", mail_from="radgate@example", mail_to=("ct@example", "phys@example"))

    assert [send(quality, TOLD, way) for way in ways_of(quality)] == [True]
    assert mailed[0]["To"] == "ct@example, phys@example"
    assert "请居中" in mailed[0].get_content()


def test_a_message_says_nothing_of_the_patient() -> None:
    text = json.dumps(message_of(TOLD, ""), ensure_ascii=False)

    assert set(json.loads(text)) == {
        "kind", "series_instance_uid", "study_instance_uid", "cause", "grade", "final", "first_seen", "findings",
        "page",
    }  # fmt: skip
