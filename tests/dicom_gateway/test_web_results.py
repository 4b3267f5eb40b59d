"""The study's page shows what was found: findings, scores, and what a version in the shadow found beside them."""

import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select

from dicom_gateway.store import tables
from dicom_gateway.web import create_app
from tests.dicom_gateway.web_server import serving
from tests.dicom_gateway.web_site import FilledSite


@pytest.fixture
def client(site: FilledSite) -> Iterator[httpx.Client]:
    with (
        serving(create_app(site.settings, site.engine, site.store)) as address,
        httpx.Client(base_url=address) as client,
    ):
        yield client


def test_findings_with_their_measurements_and_scores_of_pictures_are_listed(
    site: FilledSite, client: httpx.Client
) -> None:
    with site.store.engine.begin() as connection:
        document = dict(connection.execute(select(tables.result.c.document)).scalar_one())
    document["structures"] = [{**document["structures"][0], "id": "r1.GTV_1"}]
    document["structures"][0]["name"] = {"tg263": "GTV_1", "zh": "", "en": "", "colour_rgb": [1, 2, 3]}
    document["findings"] = [
        {
            "run": "r1",
            "label": "nodule",
            "structure": "r1.GTV_1",
            "score": 0.8712,
            "measured": [["long_axis_mm", 12.34]],
        },
        {"run": "r1", "label": "<b>", "structure": "", "score": None, "measured": [], "size_mm": [4.0, 5.25, 6.0]},
    ]
    pictures = [7, *(n for n in range(1, 45) if n != 7)]
    document["scores"] = [
        {"run": "r1", "label": label, "value": value, "picture": n}
        for n in pictures
        for label, value in (("inbody", 0.9), ("outbody", 0.1))
    ]
    document["landmarks"] = [
        {"run": "r1", "label": "mitral <septal>", "picture": n, "position_lps": [-12.34, 5.0, 100.06 + n]}
        for n in (3, 2)
    ]
    site.change(tables.result, tables.result.c.id == "job-1", document=document)

    page = client.get(f"/study/{site.studies['finished']}", headers={"Cookie": "radgate_language=en"}).text
    points = page[page.index('<table class="landmarks">') :]
    points = points[points.index("<tbody>") : points.index("</table>")]
    found = page[page.index('<table class="found">') : page.index("</table>", page.index('<table class="found">'))]
    scores = page[page.index('<table class="scores">') :]
    first = scores[scores.index("<tbody>") : scores.index("</tr>", scores.index("<tbody>"))]

    assert "<b>GTV_1</b> nodule" in found and ">0.87<" in found and "long axis <b>12.3 mm</b>" in found
    assert "&lt;b&gt;" in found and "box <b>4 × 5.25 × 6 mm</b>" in found
    assert all(part in first for part in (">7 ", "most certain", "<b>inbody</b>", ">0.900<", "outbody 0.100"))
    assert scores[: scores.index("</table>")].count("<tr>") == 1 + 40
    assert "More pictures, in the structured report: 4" in scores
    assert points.count("<tr>") == 1
    assert all(text in points for text in ("mitral &lt;septal&gt;", ">2<", "-12.3, 5.0, 102.1"))


def test_the_page_compares_a_shadow_with_what_was_delivered(site: FilledSite, client: httpx.Client) -> None:
    with site.store.engine.begin() as connection:
        chosen = (tables.step_log.c.step == "run") & (tables.step_log.c.job_id == "job-1")
        detail = dict(connection.execute(select(tables.step_log.c.detail).where(chosen)).scalar_one())
    compared = {"voxels": {"Body": 811}, "dice_with_delivered": {"Body": 0.98765}, "only_delivered": ["Lung_L"]}
    scores = {"scores": {"inbody": [0.75, None]}, "findings": {"delivered": 3, "shadow": 2}}
    detail["bundles"][0]["shadow"] = {"version": "1.2.0", "status": "ok", **compared, **scores}
    detail["bundles"][1]["shadow"] = {"version": "0.4.0", "status": "failed", "reason": "Its files changed."}
    site.change(tables.step_log, chosen, detail=detail)

    page = client.get(f"/study/{site.studies['finished']}", headers={"Cookie": "radgate_language=en"}).text
    text = re.sub(r"\s*<[^>]+>\s*", "|", page)

    assert "nothing of it is delivered" in page
    assert all(part in re.sub(r"\|+", "|", text) for part in ("|Body|811|0.988|", "|Lung_L|—|—|", "0.750 → —", "3 → 2"))
    assert "Its files changed." in page
