"""States of studies and jobs follow from what happened."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, insert, select

from dicom_gateway.flow import record
from dicom_gateway.flow.journal import DatabaseJournal
from dicom_gateway.flow.plan import JobPlan
from dicom_gateway.store import tables
from imaging.errors import RadgateError


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{tmp_path / 'index.sqlite'}")
    tables.metadata.create_all(engine)
    now = time.time()
    with engine.begin() as connection:
        connection.execute(insert(tables.study).values(study_uid="1.2", first_received=now, last_received=now))
        for version in (1, 2):
            connection.execute(
                insert(tables.study_version).values(
                    study_uid="1.2", version=version, state="COMPLETE", opened=now, changed=now
                )
            )
    return engine


def job(version: int = 1, name: str = "j1") -> JobPlan:
    return JobPlan(name, "1.2", version, "s", "1.2.3", "r", ("b",), "auto", ("pacs",), "d", 5.0)


def deliver(engine: Engine, state: str, uid: str, job_id: str = "j1") -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(tables.delivery).values(
                sop_uid=uid, sha256="x", destination="pacs", study_uid="1.2", result_id=job_id, position=0, state=state,
                created=0.0, next_try=0.0,
            )
        )  # fmt: skip


def study_states(engine: Engine) -> dict[int, str]:
    version = tables.study_version
    with engine.connect() as connection:
        return {row.version: row.state for row in connection.execute(select(version.c.version, version.c.state))}


@pytest.mark.parametrize(
    ("sent", "state"),
    [
        (["ACCEPTED", "PENDING"], "DELIVERING"),
        (["ACCEPTED", "VERIFIED"], "DELIVERED"),
        (["ACCEPTED", "DEAD"], "PARTLY"),
        ([], "DELIVERED"),
    ],
)
def test_a_study_is_delivered_when_every_send_is(engine: Engine, sent: list[str], state: str) -> None:
    record.keep_jobs(engine, [job()])
    record.job_state(engine, "j1", "DELIVERING")
    record.study_state(engine, "1.2", 1, "DELIVERING")
    for number, one in enumerate(sent):
        deliver(engine, one, f"1.9.{number}")

    record.settle_study(engine, "1.2")

    assert study_states(engine)[1] == state


@pytest.mark.parametrize(
    ("jobs", "state"),
    [
        (["DELIVERED", "FAILED"], "PARTLY"),
        (["FAILED", "FAILED"], "FAILED"),
        (["DELIVERED", "RUN"], None),
        (["DELIVERED", "DELIVERING"], "DELIVERING"),
        ([], None),
    ],
)
def test_a_study_with_several_jobs_is_as_far_as_they_are(jobs: list[str], state: str | None) -> None:
    assert record.overall_state(jobs) == state


def test_jobs_and_results_written_twice_are_there_once(engine: Engine) -> None:
    document = {"status": "findings"}
    item = {"sop_uid": "1.9", "outlet": "seg", "sop_class_uid": "1", "sha256": "x", "size_bytes": 3}

    for _ in range(2):
        record.keep_jobs(engine, [job()])
        record.keep_result(engine, job(), document, [], [item])

    with engine.connect() as connection:
        assert len(connection.execute(select(tables.job)).all()) == 1
        assert len(connection.execute(select(tables.result)).all()) == 1
        assert len(connection.execute(select(tables.encoded_object)).all()) == 1


def test_a_job_that_is_planned_again_keeps_the_time_of_its_first_plan(engine: Engine) -> None:
    first = record.keep_jobs(engine, [job()])
    again = record.keep_jobs(engine, [replace(job(), created_at=99.0), replace(job(name="j2"), created_at=99.0)])

    assert first == {"j1": 5.0}
    assert again == {"j1": 5.0, "j2": 99.0}


def test_a_later_version_supersedes_the_earlier_and_its_unsent_objects(engine: Engine) -> None:
    record.keep_jobs(engine, [job(), job(2, "j2")])
    record.keep_result(engine, job(), {"status": "findings"}, [], [])
    deliver(engine, "PENDING", "1.9.1")
    deliver(engine, "ACCEPTED", "1.9.2")

    assert record.earlier_result(engine, "1.2", 2, "1.2.3", "r").result_id == "j1"
    assert record.earlier_result(engine, "1.2", 1, "1.2.3", "r").result_id == ""
    record.supersede_before(engine, "1.2", 2)

    assert study_states(engine) == {1: "SUPERSEDED", 2: "COMPLETE"}
    with engine.connect() as connection:
        sends = {row.sop_uid: row.state for row in connection.execute(select(tables.delivery))}
    assert sends == {"1.9.1": "CANCELLED", "1.9.2": "ACCEPTED"}


def test_what_other_routes_replaced_is_not_missing_even_where_a_later_version_is_just_coming(engine: Engine) -> None:
    record.keep_jobs(engine, [job(), job(name="old")])
    assert record.end_other_jobs(engine, "1.2", 1, ["j1"]) == ["old"]
    record.job_state(engine, "j1", "DELIVERING")
    record.study_state(engine, "1.2", 1, "DELIVERING")
    record.study_state(engine, "1.2", 2, "RECEIVING")
    deliver(engine, "ACCEPTED", "1.9.1")

    record.settle_study(engine, "1.2")

    assert study_states(engine) == {1: "DELIVERED", 2: "RECEIVING"}


def test_what_a_later_version_cut_off_is_missing(engine: Engine) -> None:
    record.keep_jobs(engine, [job(), job(name="cut")])
    record.job_state(engine, "j1", "DELIVERING")
    record.job_state(engine, "cut", "SUPERSEDED", "Version 2 of the study replaces this one.")
    record.study_state(engine, "1.2", 1, "DELIVERING")
    deliver(engine, "ACCEPTED", "1.9.1")

    record.settle_study(engine, "1.2")

    assert study_states(engine)[1] == "PARTLY"


def test_a_result_replaces_the_newest_before_it(engine: Engine) -> None:
    plans = [job(), job(2, "j2")]
    record.keep_jobs(engine, plans)
    for plan in plans:
        record.keep_result(engine, plan, {"status": "findings"}, [], [])

    assert record.earlier_result(engine, "1.2", 3, "1.2.3", "r").result_id == "j2"


def test_a_step_that_a_crash_cut_off_is_closed_when_it_starts_again(engine: Engine) -> None:
    with DatabaseJournal(engine, "1.2", 1).step("run", "j1"):
        with DatabaseJournal(engine, "1.2", 1).step("run", "j1"):
            pass
        with engine.connect() as connection:
            rows = connection.execute(select(tables.step_log).order_by(tables.step_log.c.id)).mappings().all()

    assert [(row["attempt"], row["state"]) for row in rows] == [(1, "failed"), (2, "done")]
    assert "Interrupted" in rows[0]["message"]


def test_the_text_of_a_foreign_error_is_not_written_down(engine: Engine) -> None:
    journal = DatabaseJournal(engine, "1.2", 1)

    with pytest.raises(ValueError, match="Zhang"), journal.step("qc", "j1"):
        raise ValueError("Zhang^San")
    with pytest.raises(RadgateError), journal.step("run", "j1"):
        raise RadgateError("The model is gone; add it again.")

    with engine.connect() as connection:
        messages = [row.message for row in connection.execute(select(tables.step_log.c.message))]
    assert "Zhang" not in str(messages)
    assert messages[1] == "The model is gone; add it again."
