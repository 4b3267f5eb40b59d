"""Two registration objects that differ, on the page: the proposal waits, says what to do, and names both."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from dicom_gateway.dose import record
from dicom_gateway.dose.choice import propose
from dicom_gateway.web import create_app
from tests.dicom_gateway.dose_site import DoseSite, dose_site_of_two_frames
from tests.dicom_gateway.web_server import serving

pytestmark = [pytest.mark.browser, pytest.mark.interop]

RIGHT, FAULT = (7.0, -4.0, 2.5), (7.0, 21.0, 2.5)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DoseSite]:
    with dose_site_of_two_frames(tmp_path / "site", [RIGHT, FAULT]) as made:
        yield made


def test_the_registration_is_chosen_by_name_before_the_sum_is_made(
    browser: Browser, site: DoseSite, tmp_path: Path
) -> None:
    proposed = propose(site.patient)
    assert proposed is not None
    record.keep_proposal(site.engine, proposed)
    started: list[str] = []
    end = {r.name: f" · …{r.sop_uid[-6:]}" for r in site.patient.registrations}
    app = create_app(site.settings, site.engine, site.store, start_dose=started.append)
    with serving(app) as address:
        page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
        page.goto(f"{address}/dose/{site.study_uid}")
        proposal = page.locator("section.proposal")
        expect(proposal).to_contain_text("互不一致的配准对象；请选择要使用的一个")
        chooser = proposal.locator('select[name="registration"]')
        assert chooser.locator("option").all_inner_texts() == [
            "请选择",
            "配准 2 · 2026-03-02 09:42 · 第 2 次, RIGID" + end["配准 2"],
            "配准 1 · 2026-03-01 09:41 · 第 1 次, RIGID" + end["配准 1"],
            "计算刚性",
            "计算形变（定性）",
        ]
        page.screenshot(path=str(tmp_path / "open.png"))
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off"

        proposal.locator("button.primary").click()
        assert started == [], "the browser asks for a choice"
        chooser.select_option(label="配准 1 · 2026-03-01 09:41 · 第 1 次, RIGID" + end["配准 1"])
        proposal.locator("button.primary").click()

        expect(page.locator("#dose-working")).to_be_visible()
        row = record.row_of(site.engine, started[0])
        assert row is not None
        wanted = next(r.sop_uid for r in site.patient.registrations if r.name == "配准 1")
        assert row.choice.registrations == (wanted,)
        site.sum_id = row.id
        site.work()
        page.goto(f"{address}/dose/{site.study_uid}?sum={row.id}")
        page.wait_for_selector("#dose-app[data-ready]", timeout=30_000)
        expect(page.locator("#dose-registered")).to_contain_text("配准 1 · 2026-03-01 09:41")
        page.locator("summary", has_text="修改分次").click()
        again = page.locator('form.again input[name="registration"]')
        assert again.get_attribute("value") == wanted, "a sum that is made again rests on the same object"
        page.screenshot(path=str(tmp_path / "made.png"), full_page=True)
