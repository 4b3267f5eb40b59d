import re
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select

from dicom_gateway.complete.engine import Decision
from dicom_gateway.complete.versions import decide_version, open_version
from dicom_gateway.flow.record import study_state
from dicom_gateway.settings import Settings
from dicom_gateway.settings.model import Bundles
from dicom_gateway.settings.model import Store as StoreSettings
from dicom_gateway.store import Store, open_engine, tables
from dicom_gateway.web import create_app
from dicom_gateway.web.pages import colour, dicom_date, person_name
from dicom_gateway.web.texts import decimals, phrased, size_text, text_table, translator
from dicom_gateway.web.worklist import Filter, read_worklist
from tests.dicom_gateway.web_server import serving
from tests.dicom_gateway.web_site import FilledSite

TEMPLATES = resources.files("dicom_gateway.web").joinpath("templates")


@pytest.fixture
def client(site: FilledSite) -> Iterator[httpx.Client]:
    with (
        serving(create_app(site.settings, site.engine, site.store)) as address,
        httpx.Client(base_url=address) as client,
    ):
        yield client


def sources() -> dict[str, str]:
    return {f.name: f.read_text(encoding="utf-8") for f in TEMPLATES.iterdir()}


def test_every_text_that_a_template_asks_for_exists_in_both_languages() -> None:
    table = text_table()
    asked = {k for text in sources().values() for k in re.findall(r't\("([a-z_]+\.[a-zA-Z_]+)"\)', text)}

    assert len(asked) > 60
    assert asked <= set(table)
    for key, entry in table.items():
        assert set(entry) == {"zh", "en"}, key
        assert entry["zh"].strip(), key


def test_no_template_holds_an_inline_script_style_or_foreign_address() -> None:
    for name, text in sources().items():
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|https?://|\|\s*safe", text), name
        assert not re.search(r"<script(?![^>]*\ssrc=\"/static/)", text), name


def test_every_state_that_the_service_writes_has_a_name() -> None:
    zh = translator("zh")
    architecture = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
    states = set(re.findall(r"\b[A-Z]{2,}\b", architecture.split("States of a study version:")[1].split("\n\n")[0]))

    assert len(states) > 15
    assert [s for s in states if zh("state", s) == s] == []


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Zhang^San=张^三", "张三 Zhang San"),
        ("Zhang^San", "Zhang San"),
        ("=张^三", "张三"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田太郎 Yamada Tarou"),
        ("", ""),
        (None, ""),
        ("^^^^", ""),
    ],
)
def test_a_name_is_shown_in_the_order_of_its_readers(written: str | None, shown: str) -> None:
    assert person_name(written) == shown


def test_dates_sizes_numbers_and_colours_survive_odd_values() -> None:
    assert [dicom_date(d) for d in ("20260131", "2026.01.31", "about 1960", "", None)] == [
        "2026-01-31",
        "2026-01-31",
        "about 1960",
        "",
        "",
    ]
    assert [size_text(s) for s in (0, 1023, 1536, 5 << 30, None)] == ["0 B", "1023 B", "1.5 KiB", "5.0 GiB", "0 B"]
    assert [decimals(v) for v in (1.005, 3, "low", None, True)] == ["1.00", "3.00", "low", "", "True"]
    assert colour({"colour_rgb": [1, 171, 255]}) == "#01abff"
    assert colour({"colour_rgb": ["url(x)", 1, 2]}) == colour(None) == colour({}) == "#888888"


def test_explanations_are_phrased_in_the_reader_s_language() -> None:
    assert phrased("at most 3", "zh") == "≤ 3"
    assert phrased("every value containing AXIAL", "zh") == "每个值 包含 AXIAL"
    assert phrased("absent", "zh") == "不存在"
    assert phrased("HEADNECK", "zh") == "HEADNECK"
    assert phrased("at most 3", "en") == "at most 3"


def test_the_worklist_counts_received_images_and_names_problems(site: FilledSite) -> None:
    with site.engine.connect() as connection:
        found = read_worklist(connection, Filter())
        trouble = read_worklist(connection, Filter(state="PROBLEM"))
        mr = read_worklist(connection, Filter(modality="MR"))

    rows = {r.study_uid: r for r in found.rows}
    finished = rows[site.studies["finished"]]
    assert (finished.images, finished.modalities, finished.outlets) == (12, ["CT"], ["pdf", "rtstruct", "seg", "sr"])
    assert (finished.delivered, finished.failed, finished.sends) == (6, 1, 7)
    assert rows[site.studies["running"]].progress == 0.25
    assert rows[site.studies["receiving"]].state == "RECEIVING"
    assert found.states == {"RECEIVING": 1, "RUNNING": 1, "UNROUTED": 1, "REFUSED": 1, "PARTLY": 1}
    assert {r.study_uid for r in trouble.rows} == {site.studies[n] for n in ("finished", "hostile", "refused")}
    assert [r.study_uid for r in mr.rows] == [site.studies["hostile"]]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("张三", {"finished"}),
        ("zhang", {"finished"}),
        ("li si", {"running"}),
        ("TEST0004", {"receiving"}),
        ("%", set()),
        ("_", set()),
        ("' or 1=1 --", set()),
        ("<script>", {"hostile"}),
    ],
)
def test_a_search_finds_people_as_they_are_typed(site: FilledSite, text: str, names: set[str]) -> None:
    with site.engine.connect() as connection:
        found = read_worklist(connection, Filter(text=text))

    assert {r.study_uid for r in found.rows} == {site.studies[n] for n in names}


def test_a_bundle_that_failed_is_a_problem_although_the_rest_was_delivered(
    site: FilledSite, client: httpx.Client
) -> None:
    uid = site.studies["finished"]
    version = tables.study_version
    site.change(version, version.c.study_uid == uid, state="DELIVERED", reason=None)
    site.change(tables.result, tables.result.c.study_uid == uid, status="partial")
    site.change(tables.job, tables.job.c.study_uid == uid, state="DELIVERED", reason=None)
    site.change(tables.delivery, tables.delivery.c.study_uid == uid, state="VERIFIED")

    with site.engine.connect() as connection:
        row = next(r for r in read_worklist(connection, Filter()).rows if r.study_uid == uid)
    notice = client.get(f"/study/{uid}").text.split('class="notice"')[1].split("</ul>")[0]

    assert row.is_problem
    assert row.reason == "The scan shows no head and neck."
    assert "The scan shows no head and neck." in notice


@pytest.mark.parametrize("status", ["partial", "failed", "refused", "held"])
def test_the_filter_of_problems_lists_results_that_did_not_end_well(site: FilledSite, status: str) -> None:
    uid = delivered(site)
    site.change(tables.result, tables.result.c.study_uid == uid, status=status)

    assert uid in listed_problems(site)


def test_the_filter_of_problems_lists_what_is_marked_and_nothing_else(site: FilledSite) -> None:
    uid = delivered(site)
    assert uid not in listed_problems(site)

    site.change(tables.delivery, tables.delivery.c.position == 3, state="DEAD")
    assert uid in listed_problems(site)
    site.change(tables.delivery, tables.delivery.c.position == 3, state="CANCELLED")
    assert uid not in listed_problems(site)

    [bad] = site.store.quarantined()
    site.change(tables.quarantine, tables.quarantine.c.sha256 == bad.sha256, study_uid=uid)
    assert uid in listed_problems(site)
    site.change(tables.quarantine, tables.quarantine.c.sha256 == bad.sha256, settled=site.now)
    assert uid not in listed_problems(site)


def test_a_destination_that_is_down_is_named_on_every_page(site: FilledSite, client: httpx.Client) -> None:
    uid = delivered(site)
    error = "Connection refused at 127.0.0.1; see that it is up."
    site.change(tables.delivery, tables.delivery.c.position == 3, state="PENDING", attempts=4, last_error=error)

    assert uid in listed_problems(site)
    with site.engine.connect() as connection:
        row = next(r for r in read_worklist(connection, Filter()).rows if r.study_uid == uid)
    assert row.unreached == 2
    assert row.unreached_why == dict.fromkeys(("pacs_main", "tps"), error)
    for page in (f"/study/{uid}", "/status", "/"):
        assert error in client.get(page).text, page

    site.change(tables.delivery, tables.delivery.c.position == 3, state="ACCEPTED", last_error=None)
    assert uid not in listed_problems(site)


def test_a_send_that_waits_behind_another_study_says_that_the_destination_is_down(
    site: FilledSite, client: httpx.Client
) -> None:
    uid = delivered(site)
    error = "Connection refused at 127.0.0.1; see that it is up."
    site.change(tables.delivery, tables.delivery.c.position == 3, state="PENDING", last_error=None, next_try=1.0)
    assert uid not in listed_problems(site)
    with site.engine.connect() as connection:
        mine = connection.execute(select(tables.delivery).where(tables.delivery.c.position == 3)).mappings().first()
    assert mine is not None
    first = {
        **mine,
        "id": None,
        "study_uid": "1.2.3",
        "sop_uid": "1.2.3.4",
        "position": 9,
        "result_id": "of another study",
        "attempts": 5,
    }
    site.add(tables.delivery, **{**first, "last_error": error})

    assert uid in listed_problems(site)
    [row] = re.findall(rf'<tr id="study-{uid}".*?</tr>', client.get("/").text, re.DOTALL)
    page = client.get(f"/study/{uid}").text
    assert error in row
    assert error in page.split('class="notice"')[1].split("</ul>")[0]
    assert "一分钟内" in page, "a next try in the past is not shown"


def test_a_failed_result_of_an_earlier_version_is_no_problem_of_the_newest(site: FilledSite) -> None:
    uid = delivered(site)
    site.change(tables.result, tables.result.c.study_uid == uid, status="failed")
    site.add(tables.study_version, study_uid=uid, version=2, state="RUNNING", opened=site.now, changed=site.now)

    assert uid not in listed_problems(site)


def test_a_study_decided_incomplete_keeps_saying_so_after_delivery(site: FilledSite, client: httpx.Client) -> None:
    uid = delivered(site)
    decided = site.studies["receiving"]
    opened = open_version(site.engine, decided, site.now)
    sentence = "3 slices are missing between others; send the series again from its source."
    evidence = {"by": "gap", "instances": 12, "announced": None, "silent_s": 300.0, "series": []}
    decision = Decision("INCOMPLETE", None, sentence, evidence)
    assert decide_version(site.engine, opened, decision, [], site.now)
    for state in ("ROUTED", "RUNNING", "DELIVERING", "DELIVERED"):
        study_state(site.engine, decided, 1, state)
    english = {"Cookie": "radgate_language=en"}

    assert decided in listed_problems(site) and uid not in listed_problems(site)
    [row] = re.findall(rf'<tr id="study-{decided}".*?</tr>', client.get("/", headers=english).text, re.DOTALL)
    page = client.get(f"/study/{decided}", headers=english).text
    assert 'class="attention"' in row and "state-incomplete" in row and "state-delivered" in row
    assert sentence in row
    assert "影像未收齐" in client.get("/").text
    assert sentence in page.split('class="notice"')[1].split("</ul>")[0]
    assert '<li class="step-refused"><span class="knot" aria-hidden="true"></span><span>Complete' in page
    assert "state-incomplete" in page.split("</h1>")[1].split("<dl")[0]


def delivered(site: FilledSite) -> str:
    """Make everything of the finished study have ended well; returns its UID."""
    uid = site.studies["finished"]
    site.change(tables.study_version, tables.study_version.c.study_uid == uid, state="DELIVERED", reason=None)
    site.change(tables.job, tables.job.c.study_uid == uid, state="DELIVERED", reason=None)
    site.change(tables.delivery, tables.delivery.c.study_uid == uid, state="VERIFIED")
    return uid


def listed_problems(site: FilledSite) -> set[str]:
    """Studies of the filter, which must be those whose rows are marked."""
    with site.engine.connect() as connection:
        listed = {r.study_uid for r in read_worklist(connection, Filter(state="PROBLEM")).rows}
        marked = {r.study_uid for r in read_worklist(connection, Filter()).rows if r.is_problem}
    assert listed == marked
    return listed


def test_a_newer_version_is_what_the_worklist_shows(site: FilledSite) -> None:
    uid = site.studies["running"]
    now = time.time()
    with site.engine.begin() as connection:
        connection.execute(
            insert(tables.study_version).values(study_uid=uid, version=2, state="RECEIVING", opened=now, changed=now)
        )
        row = next(r for r in read_worklist(connection, Filter()).rows if r.study_uid == uid)

    assert (row.version, row.state, row.result_states) == (2, "RECEIVING", [])


@pytest.mark.parametrize(
    "detail", [None, {}, [], "text", {"stacks": None, "explanations": "x"}, {"explanations": [{}, {"routes": [{}]}]}]
)
def test_a_page_survives_details_that_another_version_wrote(
    site: FilledSite, client: httpx.Client, detail: Any
) -> None:
    for step in ("split", "route"):
        site.step("receiving", step, detail=detail)
    site.add(
        tables.job,
        id="odd",
        study_uid=site.studies["receiving"],
        version=1,
        series_uid="1.2",
        stack="",
        route="r",
        bundle="b",
        state="A_NEW_STATE",
        created=site.now,
        changed=site.now,
    )
    site.step("receiving", "qc", job_id="odd", detail=detail)
    site.step("receiving", "run", job_id="odd", detail={"bundles": [{}]})
    site.add(
        tables.result,
        id="odd",
        job_id="odd",
        study_uid=site.studies["receiving"],
        version=1,
        status="unheard_of",
        document={
            "structures": [{}, {"name": "plain"}],
            "runs": [{}, {"id": "r1", "algorithm": "plain"}],
            "findings": [{}, {"measured": 3, "size_mm": "x"}, {"measured": [[], ["new_mm", 1.0], ["mean_hu", None]]}],
            "scores": [{}, {"label": None, "value": 0.5}, "text"],
            "landmarks": [{}, "text", {"picture": 1, "position_lps": ["x"]}, {"picture": 1, "position_lps": [1, 2, 3]}],
        },
        pictures=[{}, {"sha256": "00"}],
        created=site.now,
    )

    for language in ("zh", "en"):
        chosen = {"Cookie": f"radgate_language={language}"}
        answer = client.get(f"/study/{site.studies['receiving']}", headers=chosen)
        assert answer.status_code == 200
        assert "A_NEW_STATE" in answer.text


def test_what_is_not_there_is_said_politely(site: FilledSite, client: httpx.Client) -> None:
    page = client.get("/study/1.2.3", headers={"Accept": "text/html"})

    assert page.status_code == 404
    assert "没有这个检查" in page.text
    for path in (
        f"/study/{site.studies['finished']}/objects/1.2.3",
        "/pictures/" + "f" * 64 + ".png",
        "/pictures/..%2f..%2fradgate.png",
        f"/study/{site.studies['running']}/objects/{site.store.instances()[0].sop_uid}",
    ):
        assert client.get(path).status_code == 404, path


def test_the_report_is_opened_as_a_pdf_under_a_name_without_patient_data(
    site: FilledSite, client: httpx.Client
) -> None:
    uid = site.studies["finished"]

    answer = client.get(f"/study/{uid}/objects/2.25.77/document.pdf")
    image = site.store.instances(study_uid=uid, series_uid=None, origin="received")[0]
    no_document = client.get(f"/study/{uid}/objects/{image.sop_uid}/document.pdf")

    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF")
    assert re.fullmatch(r'inline; filename="report-[0-9a-f]{12}\.pdf"', answer.headers["Content-Disposition"])
    assert no_document.status_code == 404


def test_metrics_count_without_naming_anybody(site: FilledSite, client: httpx.Client) -> None:
    text = client.get("/metrics").text

    assert 'radgate_studies{state="PARTLY"} 1' in text
    assert 'radgate_deliveries{destination="tps",state="DEAD"} 1' in text
    assert "radgate_quarantine_open 1" in text
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) .+|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+', line), line
    for uid in site.studies.values():
        assert uid not in text


def test_readiness_says_which_condition_does_not_hold(site: FilledSite, client: httpx.Client) -> None:
    assert client.get("/health/ready").json() == {"database": True, "store_writable": True, "disk_above_floor": True}
    full = type(site.settings)(store=StoreSettings(root=site.settings.store.root, floor_free=1.0))

    with serving(create_app(full, site.engine, site.store)) as address:
        answer = httpx.get(f"{address}/health/ready")

    assert answer.status_code == 503
    assert answer.json()["disk_above_floor"] is False


def test_the_status_page_names_settings_and_versions(client: httpx.Client) -> None:
    text = client.get("/status").text

    for expected in (
        "RADGATE",
        "127.0.0.1:11112",
        "pacs_main",
        "ct_head_neck_unnamed",
        "ct_body_segmentation",
        "pydicom",
    ):
        assert expected in text


def test_a_worklist_of_a_thousand_studies_shows_one_page_of_them(tmp_path: Path) -> None:
    engine = open_engine(Settings(store=StoreSettings(root=tmp_path)))
    Store(tmp_path, engine)
    numbers = [SimpleNamespace(uid=f"1.2.{n}", time=float(n)) for n in range(1000)]
    with engine.begin() as connection:
        connection.execute(
            insert(tables.study),
            [{"study_uid": n.uid, "first_received": n.time, "last_received": n.time} for n in numbers],
        )
        connection.execute(
            insert(tables.study_version),
            [
                {"study_uid": n.uid, "version": v, "state": "DELIVERED", "opened": n.time, "changed": n.time}
                for n in numbers
                for v in (1, 2)
            ],
        )
        found = read_worklist(connection, Filter())
    engine.dispose()

    assert (found.total, len(found.rows), found.rows[0].study_uid) == (1000, 60, "1.2.999")


def test_a_bundle_folder_that_is_gone_is_shown_on_the_status_page_and_the_others_stay(
    site: FilledSite, tmp_path: Path
) -> None:
    folders = tuple(tmp_path / name for name in ("kept-bundles", "gone-bundles"))
    for folder in folders:
        folder.mkdir()
    settings = replace(site.settings, bundles=Bundles(folders))
    with (
        serving(create_app(settings, site.engine, site.store)) as address,
        httpx.Client(base_url=address) as client,
    ):
        before = client.get("/status")
        folders[1].rmdir()
        after = client.get("/status")

    assert (before.status_code, after.status_code) == (200, 200)
    assert "gone-bundles" not in before.text
    assert "gone-bundles" in after.text
    assert "ct_body_segmentation" in after.text
