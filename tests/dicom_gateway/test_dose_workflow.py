"""The durable work on a sum: delivered once, tried again when a person asks again, never in the way of a study."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from dicom_gateway.dose import DoseFlow, record, workflow
from dicom_gateway.dose.choice import propose
from dicom_gateway.dose.work import DoseJob
from dicom_gateway.flow.durable import StudyFlow, launch, shut_down
from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.kept import keep_json
from dicom_gateway.settings import Destination
from dicom_gateway.store import tables
from imaging.errors import RadgateError
from monai_bundles import run_bundle
from tests.dicom_gateway.dose_site import DoseSite, dose_site
from tests.e2e.peers import wait_for


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DoseSite]:
    with dose_site(tmp_path / "site") as made:
        made.settings = replace(made.settings, destinations=(Destination(name="pacs", aet="PACS", host="10.1.2.3"),))
        yield made


@pytest.fixture
def told() -> list[int]:
    return []


@pytest.fixture
def flow(site: DoseSite, told: list[int]) -> Iterator[DoseFlow]:
    name = site.root.parent.name
    flow = DoseFlow(site.settings, site.engine, site.store, lambda: told.append(1), name=name)
    tools = Tools({}, run_bundle)
    launch(
        site.engine,
        lambda: StudyFlow(site.settings, site.engine, site.store, tools, lambda: None, name=name),
        executor="test",
        version="test",
        at_once=1,
    )
    yield flow
    shut_down()


def asked(site: DoseSite) -> str:
    choice = propose(site.patient)
    assert choice is not None
    return record.ask(site.engine, choice)


def state(site: DoseSite, sum_id: str) -> str:
    row = record.row_of(site.engine, sum_id)
    return row.state if row else ""


def made_nothing(job: DoseJob) -> None:
    """In place of the real work: a sum without objects."""
    job.folder.mkdir(parents=True, exist_ok=True)
    keep_json(job.folder / "result.json", {"status": "findings"})
    keep_json(job.folder / "objects.json", [])


def test_a_study_that_brings_a_second_dose_gets_a_proposal(site: DoseSite, flow: DoseFlow) -> None:
    flow.consider(site.study_uid)
    flow.consider(site.study_uid)

    assert [r.state for r in record.rows_of_studies(site.engine)] == ["PROPOSED"]


def test_a_fault_of_the_proposal_does_not_reach_the_study(
    site: DoseSite, flow: DoseFlow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def planted(*_: Any) -> None:
        raise ValueError("Zhang^San")

    monkeypatch.setattr(workflow, "doses_of", planted)

    flow.consider(site.study_uid)

    assert "ValueError" in caplog.text
    assert "Zhang" not in caplog.text


def test_a_sum_is_made_stored_and_in_the_ledger(site: DoseSite, flow: DoseFlow, told: list[int]) -> None:
    sum_id = asked(site)

    flow.start(sum_id)
    flow.start(sum_id)

    wait_for("the sum", lambda: state(site, sum_id) == "DELIVERING", 120)
    with site.engine.connect() as connection:
        rows = connection.execute(select(tables.delivery.c.sop_uid, tables.delivery.c.position)).all()
        made = connection.execute(select(tables.encoded_object.c.sop_uid, tables.encoded_object.c.outlet)).all()
    assert len(rows) == len({r.sop_uid for r in rows}) == len(made)
    assert {m.outlet for m in made} == {"rtdose", "rtstruct", "sc", "sr", "pdf"}
    assert {i.sop_uid for i in site.store.instances(origin="result")} == {m.sop_uid for m in made}
    wait_for("the word to the courier", lambda: told == [1], 60)
    assert not (site.settings.store.root / "work" / f"dose-{sum_id}").exists()
    site.sum_id = sum_id
    assert (site.pages / "page.json").is_file()


def test_the_same_doses_with_other_limits_make_a_second_sum_beside_the_first(site: DoseSite, flow: DoseFlow) -> None:
    choice = propose(site.patient)
    assert choice is not None
    for limits in ("", "conventional"):
        sum_id = record.ask(site.engine, replace(choice, site=limits))
        with site.engine.begin() as connection:
            earlier = tables.dose_sum.c.created - (1000.0 if limits else 0.0)
            connection.execute(update(tables.dose_sum).where(tables.dose_sum.c.id == sum_id).values(created=earlier))
        flow.start(sum_id)
        wait_for("the sum", lambda made=sum_id: state(site, made) == "DELIVERING", 120)

    uids = [i.sop_uid for i in site.store.instances(origin="result")]
    with site.engine.connect() as connection:
        outlets = list(connection.execute(select(tables.encoded_object.c.outlet)).scalars())
    assert len(uids) == len(set(uids)) == len(outlets)
    assert outlets.count("sr") == outlets.count("pdf") == 2, "the reports differ"
    assert outlets.count("rtstruct") == 1, "the isodose lines are the same object"
    assert site.store.quarantined() == []


def test_a_refused_sum_is_tried_again_when_a_person_asks_again(
    site: DoseSite, flow: DoseFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(job: DoseJob) -> None:
        raise RadgateError("The dose has no scaling; export it again.")

    monkeypatch.setattr(workflow, "make", refused)
    sum_id = asked(site)
    flow.start(sum_id)
    wait_for("the refusal", lambda: state(site, sum_id) == "REFUSED", 60)
    row = record.row_of(site.engine, sum_id)
    assert row is not None
    assert row.reason == "The dose has no scaling; export it again."
    flow.start(sum_id)
    assert state(site, sum_id) == "REFUSED", "nobody asked again"
    monkeypatch.setattr(workflow, "make", made_nothing)

    assert asked(site) == sum_id
    flow.start(sum_id)

    wait_for("the sum", lambda: state(site, sum_id) == "DELIVERED", 60)


def test_a_fault_of_the_program_ends_a_sum_with_its_type_and_no_text(
    site: DoseSite, flow: DoseFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(job: DoseJob) -> None:
        raise ValueError("Zhang^San")

    monkeypatch.setattr(workflow, "make", planted)
    sum_id = asked(site)

    flow.start(sum_id)

    wait_for("the failure", lambda: state(site, sum_id) == "FAILED", 60)
    row = record.row_of(site.engine, sum_id)
    assert row is not None
    assert "ValueError" in row.reason
    assert "Zhang" not in row.reason


@pytest.mark.parametrize(
    "fault",
    [
        OperationalError("select", {}, ConnectionError("the database restarts")),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_a_database_that_restarts_or_a_full_disk_is_waited_for(
    site: DoseSite, flow: DoseFlow, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    left = [fault]

    def planted(job: DoseJob) -> None:
        if left:
            raise left.pop()
        made_nothing(job)

    monkeypatch.setattr(workflow, "make", planted)
    sum_id = asked(site)

    flow.start(sum_id)

    wait_for("the sum", lambda: state(site, sum_id) == "DELIVERED", 60)


def test_what_was_asked_for_and_not_started_goes_on_at_the_start(
    site: DoseSite, flow: DoseFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow, "make", made_nothing)
    sum_id = asked(site)

    flow.resume()

    wait_for("the sum", lambda: state(site, sum_id) == "DELIVERED", 60)
