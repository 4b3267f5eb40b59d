"""Pages, metrics and searches on a real PostgreSQL, which forgives less than SQLite."""

from pathlib import Path

import httpx
import pytest

from dicom_gateway.store.tables import metadata
from dicom_gateway.web import create_app
from tests.dicom_gateway.test_postgresql import database_url
from tests.dicom_gateway.web_server import serving
from tests.dicom_gateway.web_site import filled_site

__all__ = ["database_url"]

pytestmark = pytest.mark.interop

PATHS = (
    "/?q=张三&modality=CT&state=PARTLY",
    "/?state=PROBLEM",
    "/quarantine",
    "/status",
    "/metrics",
    "/health/ready",
    "/dicomweb/studies?PatientName=zhang^san&ModalitiesInStudy=CT&StudyDate=20000101-&includefield=all",
    "/dicomweb/series?Modality=CT&limit=3",
    "/dicomweb/instances?InstanceNumber=2&offset=1",
)


def test_every_query_of_pages_and_dicomweb_is_understood(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue("database_url")

    with filled_site(tmp_path / "site", database_url=url) as site:
        with serving(create_app(site.settings, site.engine, site.store)) as address:
            answers = {path: httpx.get(f"{address}{path}") for path in (*PATHS, f"/study/{site.studies['finished']}")}
        metadata.drop_all(site.engine)

    assert {p: a.status_code for p, a in answers.items() if a.status_code != 200} == {}
    assert "张三" in answers[PATHS[0]].text
    assert len(answers[PATHS[6]].json()) == 1
    assert len(answers[PATHS[7]].json()) == 3
