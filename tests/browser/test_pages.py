"""The pages as people use them: in Chromium, over a real server and a synthetic site."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Dialog, Page, Request, expect

from dicom_gateway.store import tables
from dicom_gateway.web import create_app
from tests.dicom_gateway.web_server import serving
from tests.dicom_gateway.web_site import HOSTILE_NAME, FilledSite, copied_site, filled_site
from tests.synthetic.series import SeriesDescription

pytestmark = [pytest.mark.browser, pytest.mark.interop]

LIVE_MS = 6000
"""How long a live update may take in a test: the server looks once a second, the rest is a busy machine."""


@dataclass
class Visit:
    """One browser tab with everything it complained about and asked for."""

    page: Page
    address: str
    site: FilledSite
    resent: list[int]
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.address}{path}")
        expect(self.page.locator("main")).to_be_visible()
        return self.page

    def refuse(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def note_request(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)

    def study(self, name: str) -> Page:
        return self.open(f"/study/{self.site.studies[name]}")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> FilledSite:
    with filled_site(tmp_path_factory.mktemp("original") / "site") as site:
        return site


@pytest.fixture
def visit(browser: Browser, original: FilledSite, tmp_path: Path) -> Iterator[Visit]:
    resent: list[int] = []
    with copied_site(original, tmp_path / "site") as site:
        app = create_app(site.settings, site.engine, site.store, resend=resent.append)
        with serving(app) as address:
            context = browser.new_context(viewport={"width": 1366, "height": 768}, locale="en-GB")
            page = context.new_page()
            tab = Visit(page, address, site, resent)
            page.on("console", lambda m: tab.complaints.append(m.text) if m.type in {"error", "warning"} else None)
            page.on("pageerror", lambda e: tab.complaints.append(str(e)))
            page.on("dialog", tab.refuse)
            page.on("request", tab.note_request)
            tab.open("/language?to=en&next=/")
            yield tab
            context.close()
            assert tab.complaints == []
            assert tab.hosts == {urlsplit(address).netloc}


def test_the_worklist_shows_every_study_with_its_state(visit: Visit) -> None:
    rows = visit.page.locator("#rows tr")

    expect(rows).to_have_count(5)
    expect(rows.filter(has_text="张三")).to_contain_text("Partly done")
    expect(rows.filter(has_text="张三")).to_contain_text("6/7")
    expect(rows.filter(has_text="李四")).to_contain_text("25 %")
    expect(rows.filter(has_text="王五")).to_contain_text("Receiving")
    expect(rows.filter(has_text="赵六")).to_contain_text("reconstruct without gantry tilt")
    expect(visit.page.locator("#live")).to_have_text("Live")


def test_a_change_arrives_without_reloading_the_page(visit: Visit) -> None:
    page, site = visit.page, visit.site
    row = page.locator(f"#study-{re.escape(site.studies['running'])}".replace("\\.", "\\."))
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate("window.before = true")

    site.change(tables.job, tables.job.c.id == "job-2", progress=0.75)
    expect(row).to_contain_text("75 %", timeout=LIVE_MS)
    version = tables.study_version
    site.change(version, version.c.study_uid == site.studies["running"], state="DELIVERED", changed=time.time())

    expect(row).to_contain_text("Delivered", timeout=LIVE_MS)
    expect(page.locator("#summary")).to_contain_text("Delivered 1")
    assert page.evaluate("window.before") is True


def test_a_new_study_appears_by_itself_within_two_seconds(visit: Visit) -> None:
    expect(visit.page.locator("#live")).to_have_text("Live")

    visit.site.receive("new", SeriesDescription(planes=2, seed=9, study_seed=9, patient_name="Qian^Qi=钱^七"))
    begun = time.monotonic()
    expect(visit.page.locator("#rows tr").first).to_contain_text("钱七", timeout=LIVE_MS)

    assert time.monotonic() - begun < 3.0


def test_filters_narrow_the_worklist_and_stay_live(visit: Visit) -> None:
    page = visit.page

    page.get_by_label("Search").fill("李四")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    visit.site.change(tables.job, tables.job.c.id == "job-2", progress=0.5)
    expect(page.locator("#rows tr")).to_contain_text("50 %", timeout=LIVE_MS)
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("State").select_option("PROBLEM")

    expect(page.locator("#rows tr")).to_have_count(3)


def test_a_hostile_name_is_text_and_nothing_else(visit: Visit) -> None:
    expect(visit.page.locator("#rows")).to_contain_text("<script>alert(1)</script>")
    page = visit.study("hostile")

    expect(page.locator("h1")).to_contain_text("<script>alert(1)</script>")
    assert page.locator("main script, main img[onerror], main iframe").count() == 0
    assert HOSTILE_NAME not in page.content()


def test_an_unrouted_study_shows_which_condition_failed(visit: Visit) -> None:
    page = visit.study("hostile")

    expect(page.locator(".notice")).to_contain_text("No route matches")
    expect(page.locator("#section-routing")).to_contain_text("Nearest route: ct_body")
    first = page.locator("details.route").first
    expect(first).to_contain_text("Clause 1: Modality MR · Wanted CT")
    first.locator("summary").click()
    expect(first.locator("tr.fails").first).to_contain_text("MR")


def test_a_refused_series_says_why_and_what_to_do_in_both_languages(visit: Visit) -> None:
    page = visit.study("refused")
    expect(page.locator(".notice")).to_contain_text("reconstruct without gantry tilt")

    page.get_by_role("link", name="中文").click()

    expect(page.locator("#section-input")).to_contain_text("机架倾斜")
    expect(page.locator("#section-input")).to_contain_text("请以无机架倾斜方式重建")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"


def test_the_study_page_shows_results_evidence_quality_and_deliveries(visit: Visit) -> None:
    page = visit.study("finished")

    expect(page.locator("#section-results img")).to_have_count(3)
    for image in page.locator("#section-results img").all():
        image.scroll_into_view_if_needed()  # pictures are loaded when they come into sight
        expect(image).to_have_js_property("naturalWidth", 240)
    expect(page.locator(".structures")).to_contain_text("Lung_L")
    expect(page.locator(".structures")).to_contain_text("1510.2")
    expect(page.locator("#section-input")).to_contain_text("silence and geometry")
    expect(page.locator("#section-quality")).to_contain_text("Raise mA next time")
    expect(page.locator("#section-jobs")).to_contain_text("The scan shows no head and neck.")
    expect(page.locator("#section-objects")).to_contain_text("The destination does not take this SOP class.")
    expect(page.locator(".path li").last).to_contain_text("failed")


def test_a_step_that_begins_appears_and_what_the_reader_opened_stays_open(visit: Visit) -> None:
    page = visit.study("finished")
    expect(page.locator("#live")).to_have_text("Live")
    page.locator("#section-quality summary").click()

    visit.site.step("finished", "validate", "running", "job-1", attempt=2, started=time.time())
    visit.site.step(
        "finished", "qc", "done", "job-1", attempt=2, detail={"grade": "PASS", "results": [{"grade": "PASS"}]}
    )

    expect(page.locator("#section-jobs .step-running")).to_contain_text("running", timeout=LIVE_MS)
    expect(page.locator("#section-quality .grade-pass").first).to_be_visible(timeout=LIVE_MS)
    assert page.locator("#section-quality details").evaluate("d => d.open") is True


def test_an_object_is_downloaded_byte_for_byte_under_a_name_without_patient_data(visit: Visit) -> None:
    page = visit.study("finished")

    with page.expect_download() as download:
        page.locator("#section-objects a[download]").first.click()

    with visit.site.engine.connect() as connection:
        row = connection.execute(tables.encoded_object.select().order_by(tables.encoded_object.c.position)).first()
    assert row is not None
    assert download.value.suggested_filename == f"seg-{row.sha256[:12]}.dcm"
    assert Path(download.value.path()).read_bytes() == visit.site.store.path(row.sha256).read_bytes()


def test_a_job_is_cancelled_by_name_and_confirmation_while_its_page_goes_on_living(visit: Visit) -> None:
    page = visit.study("running")
    form = page.locator("#cancel-job-2")
    expect(form.get_by_role("button")).not_to_be_visible()
    form.locator("summary").click()
    form.get_by_label("Name").fill("王医生")
    form.get_by_label("Why").fill("wrong route")
    visit.site.change(tables.job, tables.job.c.id == "job-2", progress=0.5)  # what the reader typed stays
    expect(page.locator("#section-jobs")).to_contain_text("50 %", timeout=LIVE_MS)

    form.get_by_role("button", name="Yes, cancel this job").click()

    expect(page.locator("#section-jobs .reason")).to_contain_text("Cancelled by 王医生", timeout=LIVE_MS)
    expect(page.locator("#section-jobs")).to_contain_text("wrong route")
    expect(page.locator("#section-jobs form")).to_have_count(0)
    expect(page.locator("#section-jobs h3 .badge").first).to_have_text("Cancelled")


def test_resend_asks_for_the_one_delivery_that_failed(visit: Visit) -> None:
    page = visit.study("finished")

    page.get_by_role("button", name="Resend").click()
    expect(page.locator("#section-events")).to_contain_text("Events (1)", timeout=LIVE_MS)

    with visit.site.engine.connect() as connection:
        [dead] = connection.execute(tables.delivery.select().where(tables.delivery.c.state == "DEAD"))
    assert visit.resent == [dead.id]


def test_quarantine_is_settled_by_a_person(visit: Visit) -> None:
    page = visit.open("/quarantine")
    expect(page.locator("tbody tr")).to_contain_text("not DICOM")

    page.get_by_role("button", name="Mark as settled").click()

    expect(page.locator("tbody tr")).to_contain_text("Settled")
    assert visit.site.store.quarantined() == []


def test_a_lost_connection_is_said(browser: Browser, original: FilledSite, tmp_path: Path) -> None:
    with copied_site(original, tmp_path / "site") as site:
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        with serving(create_app(site.settings, site.engine, site.store)) as address:
            page.goto(f"{address}/language?to=en&next=/")
            expect(page.locator("#live")).to_have_text("Live")
        expect(page.locator("#live")).to_contain_text("Connection lost", timeout=LIVE_MS)
        context.close()


@pytest.mark.parametrize("width", [1366, 1920])
def test_no_page_is_wider_than_its_screen_and_every_control_has_a_name(visit: Visit, width: int) -> None:
    page = visit.page
    page.set_viewport_size({"width": width, "height": 768})

    for path in ("/", f"/study/{visit.site.studies['finished']}", "/quarantine", "/status"):
        visit.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        unnamed = page.evaluate("""() => [...document.querySelectorAll('input:not([type=hidden]), select, button, a')]
            .filter(e => !(e.innerText || e.textContent || '').trim() && !(e.labels && e.labels.length)
                && !e.getAttribute('aria-label') && !e.querySelector('img[alt]')).length""")
        assert unnamed == 0, path


def test_a_planted_inline_script_is_stopped_by_the_policy(visit: Visit) -> None:
    visit.page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'window.planted = true';
        document.body.append(script);
    }""")

    assert visit.page.evaluate("window.planted") is None
    assert any("Content Security Policy" in c for c in visit.complaints)
    visit.complaints.clear()
