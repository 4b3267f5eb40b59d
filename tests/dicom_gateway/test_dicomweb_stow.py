"""STOW-RS: what is stored, what is refused, and what is said about it."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from dicom_gateway.dicomweb import router
from tests.dicom_gateway.dicomweb_site import Site, encoded, instance_path, new_series, running_site
from tests.dicom_gateway.web_server import serving


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def test_stored_instances_are_answered_one_by_one_and_found_again(site: Site) -> None:
    datasets = new_series(20)

    answer = site.client.store_instances(datasets)

    assert len(answer.ReferencedSOPSequence) == 2
    assert {i.ReferencedSOPInstanceUID for i in answer.ReferencedSOPSequence} == {d.SOPInstanceUID for d in datasets}
    assert all(i.ReferencedSOPClassUID == datasets[0].SOPClassUID for i in answer.ReferencedSOPSequence)
    assert len(site.client.search_for_instances(datasets[0].StudyInstanceUID)) == 2
    assert site.store.instances(study_uid=datasets[0].StudyInstanceUID)[0].peer == "STOW-RS"


def body_of(*parts: bytes) -> bytes:
    head = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + part + b"\r\n" for part in parts) + b"--edge--\r\n"


def test_what_cannot_be_stored_is_named_beside_what_was(site: Site) -> None:
    good, changed = new_series(21)
    site.store.receive(encoded(changed), peer="CT1")
    changed.PatientComments = "other bytes under the same UID"

    answer = site.post(body_of(encoded(good), encoded(changed), b"no DICOM at all"))

    document = answer.json()
    assert answer.status_code == 202
    assert [i["00081155"]["Value"] for i in document["00081199"]["Value"]] == [[good.SOPInstanceUID]]
    assert [i["00081197"]["Value"] for i in document["00081198"]["Value"]] == [[0x0111], [0xC000]]
    assert {q.reason for q in site.store.quarantined()} >= {"other_bytes"}


def test_an_instance_of_another_study_than_the_address_is_refused_and_not_kept(site: Site) -> None:
    good, _ = new_series(22)

    answer = site.post(body_of(encoded(good)), path=f"/studies/{site.plain[0].StudyInstanceUID}")

    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]
    assert not site.store.instances(sop_uid=good.SOPInstanceUID)


def test_the_same_instance_twice_is_success_and_one_instance(site: Site) -> None:
    good, _ = new_series(23)

    answers = [site.post(body_of(encoded(good))) for _ in range(2)]

    assert [a.status_code for a in answers] == [200, 200]
    assert len(site.store.instances(sop_uid=good.SOPInstanceUID)) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"--edge--\r\n",
        b"no boundary anywhere",
        b"--edge\r\nContent-Type: application/dicom\r\n\r\nand then nothing",
        b"--edge\r\n" + b"x" * 20_000,
        b"--edge\r\nContent-Type: text/html\r\n\r\n<p>\r\n--edge--\r\n",
        b"x" * 100_000,
    ],
)
def test_a_malformed_body_is_refused_in_words(site: Site, content: bytes) -> None:
    answer = site.post(content)

    assert answer.status_code == 400
    assert "instances before it are stored" in answer.json()["detail"]


def test_what_came_before_the_body_broke_off_stays_stored(site: Site) -> None:
    good, _ = new_series(24)

    answer = site.post(body_of(encoded(good)).removesuffix(b"--\r\n") + b"\r\nContent-Type: application/dicom\r\n\r\n0")

    assert answer.status_code == 400
    assert answer.json()["detail"].endswith("1 instances before it are stored.")
    assert site.store.instances(sop_uid=good.SOPInstanceUID)


def test_nothing_is_read_or_written_without_the_token(site: Site) -> None:
    good, _ = new_series(25)

    assert httpx.get(f"{site.dicomweb}/studies").status_code == 401
    assert httpx.get(f"{site.dicomweb}{instance_path(site.plain[0])}/rendered").status_code == 401
    assert site.post(body_of(encoded(good)), token="another").status_code == 401
    assert not site.store.instances(sop_uid=good.SOPInstanceUID)


def test_without_a_configured_token_storing_is_refused(site: Site) -> None:
    app = FastAPI()
    app.include_router(router(site.store, site.engine))
    with serving(app) as address:
        reading = httpx.get(f"{address}/dicomweb/studies")
        storing = httpx.post(f"{address}/dicomweb/studies", content=b"")

    assert reading.status_code == 200
    assert storing.status_code == 403
    assert "web.token_file" in storing.json()["detail"]
