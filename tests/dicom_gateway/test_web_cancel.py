"""The page of a study cancels a job, and starts it again: a name, a confirmation, and the proof of every form."""

import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select

from dicom_gateway.flow.cancelling import keep_for_again, start_again
from dicom_gateway.store import tables
from dicom_gateway.web import create_app
from tests.dicom_gateway.racing import plan
from tests.dicom_gateway.web_server import serving
from tests.dicom_gateway.web_site import FilledSite

PAGE = {"Accept": "text/html"}


@pytest.fixture
def client(site: FilledSite) -> Iterator[httpx.Client]:
    def begin_again(job_id: str, who: str) -> None:
        start_again(site.engine, job_id, who=who)

    with (
        serving(create_app(site.settings, site.engine, site.store, begin_again=begin_again)) as address,
        httpx.Client(base_url=address, headers=PAGE) as client,
    ):
        client.get("/language?to=en")
        yield client


def page(site: FilledSite, client: httpx.Client) -> str:
    return client.get(f"/study/{site.studies['running']}").text


def form(site: FilledSite, client: httpx.Client, **values: str) -> dict[str, str]:
    found = re.search(r'name="proof" value="([0-9a-f]+)"', page(site, client))
    assert found is not None
    return {"proof": found[1], **values}


def state(site: FilledSite, job_id: str = "job-2") -> str:
    with site.engine.connect() as connection:
        return str(connection.execute(select(tables.job.c.state).where(tables.job.c.id == job_id)).scalar_one())


def test_a_job_at_work_has_a_button_and_one_that_has_ended_has_none(site: FilledSite, client: httpx.Client) -> None:
    assert 'action="/jobs/job-2/cancel"' in page(site, client)
    assert "/cancel" not in client.get(f"/study/{site.studies['finished']}").text


def test_a_person_cancels_and_the_page_says_who_when_and_why(site: FilledSite, client: httpx.Client) -> None:
    filled = form(site, client, who="王<医生>", reason="wrong & late", sure="yes")

    answer = client.post("/jobs/job-2/cancel", data=filled)

    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/study/{site.studies['running']}?version=1#section-jobs"
    assert state(site) == "CANCELLED"
    shown = page(site, client)
    assert "Cancelled by 王&lt;医生&gt;" in shown and "wrong &amp; late" in shown
    assert "Nothing was made of it" in shown and "/cancel" not in shown
    assert "取消人：" in client.get(f"/study/{site.studies['running']}", headers={"Cookie": "radgate_language=zh"}).text


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"who": "x", "sure": "yes", "proof": "0" * 64}, 403),
        ({"who": "x"}, 422),
        ({"who": " ", "sure": "yes"}, 422),
        ({"who": "x" * 65, "sure": "yes"}, 422),
    ],
)
def test_without_proof_name_or_confirmation_nothing_is_cancelled(
    site: FilledSite, client: httpx.Client, values: dict[str, str], status: int
) -> None:
    assert client.post("/jobs/job-2/cancel", data=form(site, client) | values).status_code == status
    assert state(site) == "RUN"


def test_a_form_of_another_origin_cancels_nothing(site: FilledSite, client: httpx.Client) -> None:
    filled = form(site, client, who="x", sure="yes")

    assert client.post("/jobs/job-2/cancel", data=filled, headers={"Origin": "http://evil"}).status_code == 403
    assert state(site) == "RUN"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [("DELIVERING", "already being delivered"), ("FAILED", "has ended"), ("CANCELLED", "cancelled already")],
)
def test_what_cannot_be_cancelled_any_more_is_said(
    site: FilledSite, client: httpx.Client, changed: str, sentence: str
) -> None:
    filled = form(site, client, who="x", sure="yes")
    site.change(tables.job, tables.job.c.id == "job-2", state=changed)

    answer = client.post("/jobs/job-2/cancel", data=filled)

    assert answer.status_code == 409
    assert sentence in answer.text
    assert state(site) == changed
    assert client.post("/jobs/unknown/cancel", data=filled).status_code == 404


def test_a_cancelled_job_is_started_again_once_it_has_ended(site: FilledSite, client: httpx.Client) -> None:
    filled = form(site, client, who="x", sure="yes")
    client.post("/jobs/job-2/cancel", data=filled)
    assert "still ending" in page(site, client)
    assert client.post("/jobs/job-2/again", data=filled).status_code == 409
    keep_for_again(site.engine, plan("job-2", site.studies["running"]).to_json(), [])

    assert 'action="/jobs/job-2/again"' in page(site, client)
    assert client.post("/jobs/job-2/again", data=filled | {"proof": "0" * 64}).status_code == 403
    answer = client.post("/jobs/job-2/again", data=filled)

    assert answer.status_code == 303
    assert state(site) == "ROUTED"


def test_the_worklist_filters_the_cancelled_and_metrics_count_them(site: FilledSite, client: httpx.Client) -> None:
    version = tables.study_version.c
    site.change(tables.job, tables.job.c.id == "job-2", state="CANCELLED")
    site.change(tables.study_version, version.study_uid == site.studies["running"], state="CANCELLED")

    found = client.get("/", params={"state": "CANCELLED"}).text

    assert site.studies["running"] in found and site.studies["finished"] not in found
    assert 'radgate_jobs{state="CANCELLED"} 1' in client.get("/metrics").text
