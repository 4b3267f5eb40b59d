"""The board of image quality while a planning CT with faults arrives: seen, explained and acknowledged in Chromium."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydicom.dataset import Dataset
from pynetdicom import AE

from tests.browser.conftest import ARGUMENTS
from tests.conftest import require_program
from tests.e2e.peers import Radgate
from tests.qc.bodies import TRUNK, Body
from tests.synthetic.series import series_datasets

pytestmark = [pytest.mark.browser, pytest.mark.interop, pytest.mark.slow]

CONFIG = """
[store]
root = "store"
low_free = 0.0
floor_free = 0.0
[listen]
port = 0
[[peer]]
aet = "CT1"
[complete]
quiet_s = 600.0
[web]
port = 0
"""
PLANES, GAP = 40, (14, 15)
SHOWS_GAP = 17
"""Index of the plane that shows the gap: the second beyond it."""

ON_BOARD_S = 5.0


def planning_ct(**body: Any) -> list[Dataset]:
    """A CT whose description says that it is for planning."""
    description = replace(
        TRUNK,
        planes=PLANES,
        intercept=0.0,
        attributes=(("SeriesDescription", "胸部定位 CT"), ("StationName", "CTSIM1")),
    )
    return series_datasets(replace(description, pixels=Body(**body).values(description.grid())))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radgate]:
    radgate = Radgate(tmp_path_factory.mktemp("board"), CONFIG)
    try:
        radgate.start()
        yield radgate
    finally:
        radgate.stop()


@pytest.fixture(scope="module")
def page(service: Radgate) -> Iterator[Page]:
    chromium = require_program("chromium")
    with sync_playwright() as playwright:
        started: Browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = started.new_context(viewport={"width": 1366, "height": 768}, locale="zh-CN").new_page()
        complaints: list[str] = []
        page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        yield page
        started.close()
        assert complaints == []


def test_a_gap_and_a_cut_body_are_on_the_board_within_5_s_and_before_the_series_is_complete(
    service: Radgate, page: Page
) -> None:
    page.goto(f"{service.web}/quality")
    expect(page.locator("#live")).to_have_text("实时更新")
    expect(page.locator("#quality-alerts")).to_contain_text("今日无警报")
    datasets = planning_ct(shift_mm=40.0)
    ae = AE(ae_title="CT1")
    ae.add_requested_context(datasets[0].SOPClassUID, datasets[0].file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", service.dicom_port, ae_title="RADGATE")
    assert association.is_established

    seen: dict[str, float] = {}
    sent: dict[int, float] = {}
    for number, dataset in enumerate(datasets):
        if number in GAP:
            continue
        if number == PLANES - 1:  # the last slice waits until the board has spoken: the series is not complete
            limit = time.monotonic() + 3 * ON_BOARD_S
            while len(seen) < 2 and time.monotonic() < limit:
                note_seen(page, seen)
                page.wait_for_timeout(100)
        assert association.send_c_store(dataset).Status == 0
        sent[number] = time.monotonic()
        page.wait_for_timeout(60)
        note_seen(page, seen)
    association.release()

    assert {"gap", "cut"} <= set(seen)
    assert seen["gap"] < sent[PLANES - 1]
    assert seen["cut"] < sent[PLANES - 1]
    assert seen["gap"] - sent[SHOWS_GAP] <= ON_BOARD_S
    expect(page.locator("#quality-alerts .alert")).to_have_count(2)
    expect(page.locator("#quality-alerts")).to_contain_text("患者离开前处理")
    expect(page.locator("#quality-alerts")).to_contain_text("请将患者居中")
    expect(page.locator("#quality-alerts")).to_contain_text("张三")
    picture = page.locator("#quality-alerts img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("node => node.naturalWidth") > 200
    if folder := os.environ.get("RADGATE_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "board.png")


def note_seen(page: Page, seen: dict[str, float]) -> None:
    """When each fault was first on the board, in the browser's own page."""
    text = page.locator("#quality-alerts").inner_text()
    for name, words in (("gap", "缺层"), ("cut", "超出重建视野")):
        if words in text:
            seen.setdefault(name, time.monotonic())


def test_an_alert_is_acknowledged_and_stays(service: Radgate, page: Page) -> None:
    page.goto(f"{service.web}/quality")
    first = page.locator("#quality-alerts .alert").first
    place = str(first.get_attribute("id"))

    first.get_by_label("姓名").fill("李技师")
    first.get_by_label("备注").fill("已通知医生")
    first.get_by_role("button", name="确认已看到").click()

    seen = page.locator(f"#{place}")
    expect(seen).to_contain_text("已确认： 李技师")
    expect(seen).to_contain_text("已通知医生")
    expect(seen).to_have_class(re.compile("seen"))
    expect(page.locator("#quality-alerts .alert")).to_have_count(2)


def test_the_page_of_the_series_shows_pictures_checks_and_both_languages(service: Radgate, page: Page) -> None:
    page.goto(f"{service.web}/quality")
    page.locator("#quality-series tbody a").first.click()

    expect(page.locator("main")).to_contain_text("ct.truncation")
    expect(page.locator("main")).to_contain_text("Centre the patient")
    expect(page.locator(".alert img").first).to_be_visible()
    page.locator("#all-checks summary").click()
    expect(page.locator("#all-checks")).to_contain_text("gen.geometry.missing")
    expect(page.locator("#all-checks")).to_contain_text("缺层")
    if folder := os.environ.get("RADGATE_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "series.png")


def test_what_is_typed_into_a_form_outlives_a_live_change(service: Radgate, page: Page) -> None:
    page.goto(f"{service.web}/quality")
    expect(page.locator("#live")).to_have_text("实时更新")
    form = page.locator("#quality-alerts .alert form").first
    form.get_by_label("姓名").fill("王技师")
    other = [replace_uids(d) for d in planning_ct(shift_mm=40.0)[:10]]
    ae = AE(ae_title="CT1")
    ae.add_requested_context(other[0].SOPClassUID, other[0].file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", service.dicom_port, ae_title="RADGATE")
    for dataset in other:
        association.send_c_store(dataset)
    association.release()

    expect(page.locator("#quality-alerts .alert")).to_have_count(3, timeout=10_000)
    expect(page.locator("#quality-alerts input[name=who]").nth(1)).to_have_value("王技师")


def replace_uids(dataset: Dataset) -> Dataset:
    """The same image in a series and study of its own."""
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, keyword, f"{dataset[keyword].value[:58]}.77")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset
