"""The dose page as physicians use it: in Chromium, with the doses read at the cursor compared with the arrays."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom import dcmread

from contouring.dose.radiobiology import eqd2
from contouring.dose.volume import DoseVolume
from dicom_gateway.dose import record
from dicom_gateway.dose.page_data import keep_page_data
from dicom_gateway.flow.kept import kept_json
from dicom_gateway.web import create_app
from imaging.geometry import Grid
from tests.dicom_gateway.dose_site import DoseSite, dose_site
from tests.dicom_gateway.web_server import serving
from tests.reports.dose_case import made_report, with_picture

pytestmark = [pytest.mark.browser, pytest.mark.interop]

PLANES = ("axial", "coronal", "sagittal")


@dataclass
class Visit:
    """One tab on the dose page of a finished sum, with everything it complained about and asked for."""

    page: Page
    site: DoseSite
    meta: dict[str, Any]
    doses: list[DoseVolume]
    image: Grid
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def hover(self, plane: str, across: float, down: float) -> dict[str, str]:
        """Move the cursor to a share of the picture and give what is read there."""
        box = self.page.locator(f"#view-{plane}").bounding_box()
        assert box is not None
        readout = self.page.locator("#dose-readout")
        before = readout.get_attribute("data-column")
        self.page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
        self.page.wait_for_function(
            "before => document.getElementById('dose-readout').dataset.column !== before", arg=before
        )
        return dict(readout.evaluate("node => ({...node.dataset})"))

    def point(self, plane: str, row: float, column: float) -> np.ndarray:
        """Patient coordinates of a place on the picture that is shown."""
        meta = self.meta["planes"][plane]
        index = np.empty(3)
        index[meta["through"]] = int(self.page.get_attribute(f"#view-{plane}", "data-index") or -1)
        index[meta["down"]] = meta["rows"] - 1 - row if meta["flip_down"] else row
        index[meta["across"]] = meta["columns"] - 1 - column if meta["flip_across"] else column
        return np.asarray(self.image.affine_lps[:3, :3] @ index + self.image.affine_lps[:3, 3])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoseSite]:
    with dose_site(tmp_path_factory.mktemp("dose") / "site") as made:
        made.make()
        yield made


def grid_of(value: dict[str, Any]) -> Grid:
    return Grid(
        np.array(value["positions_lps"]), np.array(value["row_direction"]), np.array(value["column_direction"]),
        tuple(value["pixel_spacing_mm"]), value["rows"], value["columns"], "",
    )  # fmt: skip


def stored_doses(site: DoseSite, image: Grid) -> list[DoseVolume]:
    """The courses of the sum on their grid, from the files that it was made of."""
    overlay = kept_json(site.pages / "grid.json")
    start, step = np.array(overlay["start"]), np.array(overlay["step"])
    affine = image.affine_lps[:3, :3] / step
    origin = image.affine_lps[:3, 3] - affine @ start
    found = []
    for file in sorted(site.pages.glob("dose*.npy")):
        values = np.load(file)
        spacing = np.linalg.norm(affine, axis=0)
        grid = Grid(
            origin + np.arange(len(values))[:, None] * affine[:, 0], image.row_direction, image.column_direction,
            (float(spacing[1]), float(spacing[2])), values.shape[1], values.shape[2], "",
        )  # fmt: skip
        found.append(DoseVolume(values, grid))
    return found


@pytest.fixture
def visit(browser: Browser, site: DoseSite) -> Iterator[Visit]:
    app = create_app(site.settings, site.engine, site.store, start_dose=lambda _: None)
    with serving(app) as address:
        context = browser.new_context(viewport={"width": 1366, "height": 768}, locale="en-GB")
        page = context.new_page()
        image = grid_of(kept_json(site.pages / "grid.json"))
        meta = json.loads((site.pages / "page.json").read_text())
        tab = Visit(page, site, meta, stored_doses(site, image), image)
        page.on("console", lambda m: tab.complaints.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda e: tab.complaints.append(str(e)))
        page.on("request", lambda r: tab.hosts.add(urlsplit(r.url).netloc))
        page.goto(f"{address}/language?to=en&next=/dose/{site.study_uid}")
        page.wait_for_selector("#dose-app[data-ready]", timeout=30_000)
        yield tab
        context.close()
        assert tab.complaints == []
        assert tab.hosts == {urlsplit(address).netloc}


@pytest.mark.parametrize("plane", PLANES)
def test_the_dose_at_the_cursor_is_that_of_the_arrays(visit: Visit, plane: str) -> None:
    for across, down in ((0.47, 0.52), (0.55, 0.43), (0.41, 0.61)):
        read = visit.hover(plane, across, down)
        point = visit.point(plane, float(read["row"]), float(read["column"]))[None]
        truth = [d.sample(point).dose_gy[0] for d in visit.doses]

        assert min(truth) > 1.0, "a place with dose"
        assert np.array(read["doses"].split(), dtype=float) == pytest.approx(truth, abs=2e-3)
        assert float(read["sum"]) == pytest.approx(sum(truth), abs=2e-3)


def test_eqd2_at_the_cursor_is_that_of_the_organ_there(visit: Visit) -> None:
    centre = np.array([11.0, 50.0, 31.0])  # of the spinal cord
    meta = visit.meta["planes"]["axial"]
    visit.page.locator("#view-axial").focus()
    while int(visit.page.get_attribute("#view-axial", "data-index") or -1) != 11:
        now = int(visit.page.get_attribute("#view-axial", "data-index") or -1)
        up = (now < 11) == meta["ascends"]
        visit.page.keyboard.press("ArrowUp" if up else "ArrowDown")
        visit.page.wait_for_function("n => Number(document.getElementById('view-axial').dataset.index) !== n", arg=now)
    row, column = centre[meta["down"]], centre[meta["across"]]
    row = meta["rows"] - 1 - row if meta["flip_down"] else row
    column = meta["columns"] - 1 - column if meta["flip_across"] else column
    box = meta["box"]
    shape = visit.page.locator("#view-axial").bounding_box()
    assert shape is not None
    width, height = (box[3] - box[1] + 1) * meta["column_mm"], (box[2] - box[0] + 1) * meta["row_mm"]
    scale = min(shape["width"] / width, shape["height"] / height)
    x = 0.5 + (column - (box[1] + box[3]) / 2) * meta["column_mm"] * scale / shape["width"]
    y = 0.5 + (row - (box[0] + box[2]) / 2) * meta["row_mm"] * scale / shape["height"]

    read = visit.hover("axial", x, y)

    doses = np.array(read["doses"].split(), dtype=float)
    expect(visit.page.locator("#dose-readout")).to_contain_text("SpinalCord α/β 2")
    assert float(read["eqd2"]) == pytest.approx(eqd2(doses[0], 33, 2.0) + eqd2(doses[1], 20, 2.0), abs=2e-3)


def pixel(page: Page, plane: str, across: float, down: float) -> list[int]:
    """Colour of a pixel of a picture."""
    return list(
        page.evaluate(
            """([id, x, y]) => { const c = document.getElementById(id); const d = c.getContext('2d');
            return [...d.getImageData(Math.round(c.width * x), Math.round(c.height * y), 1, 1).data] }""",
            [f"view-{plane}", across, down],
        )
    )


def test_the_wash_has_the_colour_of_its_dose_and_goes_away(visit: Visit) -> None:
    page = visit.page
    page.locator("#dose-lines").uncheck()
    page.locator("#dose-opacity").fill("90")
    for box in page.locator("#dose-structures input").all():
        box.uncheck()
    page.wait_for_timeout(300)
    high = visit.meta["scales"]["dose"]["high"]

    read = visit.hover("axial", 0.45, 0.5)
    washed = np.array(pixel(page, "axial", 0.45, 0.5)[:3])
    expected = np.array(visit.meta["colours"]["dose"][round(float(read["sum"]) / high * 255)])
    page.locator("#dose-wash").uncheck()
    page.wait_for_timeout(300)
    plain = pixel(page, "axial", 0.45, 0.5)

    assert plain[0] == plain[1] == plain[2]
    assert np.abs(washed - (0.9 * expected + 0.1 * plain[0])).max() <= 6


def test_plan_sum_and_difference_are_different_pictures(visit: Visit) -> None:
    page = visit.page
    pictures = {}
    for mode in ("0", "1", "sum", "difference", "eqd2"):
        page.locator(f'[data-dose="{mode}"]').click()
        page.wait_for_timeout(250)
        pictures[mode] = page.evaluate("document.getElementById('view-coronal').toDataURL()")
        expect(page.locator(f'[data-dose="{mode}"]')).to_have_attribute("aria-checked", "true")

    assert len(set(pictures.values())) == 5


def test_wheel_and_keys_change_the_slice_and_a_click_joins_the_planes(visit: Visit) -> None:
    page = visit.page
    index = lambda plane: int(page.get_attribute(f"#view-{plane}", "data-index") or -1)  # noqa: E731 - read again each time
    start = index("axial")
    visit.hover("axial", 0.5, 0.5)

    page.mouse.wheel(0, -100)
    page.wait_for_function("n => Number(document.getElementById('view-axial').dataset.index) !== n", arg=start)
    assert abs(index("axial") - start) == 1
    page.locator("#view-sagittal").focus()
    page.keyboard.press("Home")
    page.wait_for_function(
        "n => [0, n - 1].includes(Number(document.getElementById('view-sagittal').dataset.index))",
        arg=visit.meta["planes"]["sagittal"]["count"],
    )
    read = visit.hover("axial", 0.62, 0.44)
    box = page.locator("#view-axial").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.62, box["y"] + box["height"] * 0.44)
    meta = visit.meta["planes"]["axial"]
    column = round(float(read["column"]))
    wanted = meta["columns"] - 1 - column if meta["flip_across"] else column
    page.wait_for_function("n => Number(document.getElementById('view-sagittal').dataset.index) === n", arg=wanted)


def test_hovering_a_histogram_names_the_curve_and_its_volume(visit: Visit) -> None:
    page = visit.page
    curve = next(c for c in visit.meta["curves"] if c["name"] == "PTV_7000")
    others = [c["name"] for c in visit.meta["curves"] if c["name"] != "PTV_7000"]
    for name in others:
        page.locator(f'[data-structure="{name}"]').uncheck()
    box = page.locator("#dose-dvh").bounding_box()
    assert box is not None
    # the axes of the plot: 38 px left, 10 px right and at the top, 30 px below; the axis ends at a whole ten
    last = max(n for key in ("A", "B", "sum") for n, v in enumerate(curve["percent"][key]) if v > 0.05)
    end = max(np.ceil(last * curve["step_gy"] / 10) * 10, 10)
    n = next(n for n, v in enumerate(curve["percent"]["sum"]) if v < 50)
    x = 38 + (box["width"] - 48) * n * curve["step_gy"] / end
    y = 10 + (box["height"] - 40) * (1 - curve["percent"]["sum"][n] / 100)

    page.mouse.move(box["x"] + x, box["y"] + y)

    expect(page.locator("#dose-tip")).to_contain_text("PTV_7000 · Sum")
    said = page.locator("#dose-tip").inner_text()
    assert float(said.split("=")[1].split("%")[0]) == pytest.approx(curve["percent"]["sum"][n], abs=2.5)


def test_tables_print_what_the_report_prints(visit: Visit) -> None:
    page = visit.page
    rows = page.locator("#dose-limits tbody tr")

    expect(rows).to_have_count(len(visit.meta["table"]["limits"]))
    first = visit.meta["table"]["limits"][0]
    expect(rows.first).to_contain_text(first["found"]["text"])
    expect(rows.first).to_contain_text(first["status"])
    page.locator('[data-tab="dose-numbers"]').click()
    for row, printed in zip(
        visit.meta["table"]["rows"], page.locator("#dose-numbers tbody tr").all_inner_texts(), strict=True
    ):
        assert row["entries"]["sum"]["text"] in printed
        assert row["entries"]["eqd2"]["text"] in printed


@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080)])
def test_everything_fits_on_the_screen(visit: Visit, size: tuple[int, int]) -> None:
    page = visit.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.wait_for_timeout(300)

    for name in ("#view-axial", "#view-coronal", "#view-sagittal", "#dose-dvh", "#dose-structures", ".tables"):
        box = page.locator(name).bounding_box()
        assert box is not None
        assert box["width"] > 150, name
        assert box["height"] > 20, name
        assert box["x"] + box["width"] <= size[0], name
        assert box["y"] + box["height"] <= size[1], name
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    axial = page.locator("#view-axial").bounding_box()
    assert axial is not None
    assert axial["height"] > 0.55 * size[1]


def test_the_first_picture_comes_within_a_second_or_the_machine_is_busy(visit: Visit) -> None:
    first = float(visit.page.get_attribute("#dose-app", "data-first-picture-ms") or 0)

    # the figure that counts is that of bench/dose_page.py; here a loaded machine may take longer
    assert 0 < first < 5000


def test_a_sum_can_be_chosen_by_hand(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.locator("summary", has_text="Choose doses").click()
    form = page.locator("form.choose")

    for box in form.locator('input[name="dose"]').all():
        box.check()
    form.locator('input[name="fractions"]').first.fill("30")
    form.locator("button").click()

    expect(page.locator("#dose-working")).to_be_visible()
    expect(page.locator("#dose-working")).to_contain_text("Waiting")
    page.screenshot(path=str(tmp_path / "waiting.png"))


def test_alpha_beta_and_fractions_are_changed_on_the_page(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.locator("summary", has_text="Change fractions").click()
    form = page.locator("form.again")
    first = visit.meta["structures"][0]
    field = form.get_by_label(f"α/β {first['name']}", exact=True)
    assert field.get_attribute("placeholder") == f"{first['alpha_beta_gy']:g}"
    page.screenshot(path=str(tmp_path / "again.png"))

    field.fill("4.5")
    form.locator('input[name="fractions"]').first.fill("28")
    form.locator("button").click()

    expect(page.locator("#dose-working")).to_be_visible()
    row = record.row_of(visit.site.engine, page.url.split("sum=")[1])
    assert row is not None
    assert row.choice.alpha_beta == ((first["name"], 4.5),)
    assert row.choice.fractions[0] == 28


def test_warnings_are_in_the_language_of_the_page(visit: Visit) -> None:
    page = visit.page
    warnings = visit.meta["warnings"]
    assert warnings and all(w["zh"] != w["en"] for w in warnings)
    expect(page.locator("#dose-warnings")).to_contain_text(warnings[0]["en"])

    page.goto(f"{page.url.split('/dose/')[0]}/language?to=zh&next=/dose/{visit.site.study_uid}")

    page.wait_for_selector("#dose-app[data-ready]")
    expect(page.locator("#dose-warnings")).to_contain_text(warnings[0]["zh"])


def test_nothing_on_the_chinese_page_is_left_in_english(visit: Visit) -> None:
    page = visit.page
    page.goto(f"{page.url.split('/dose/')[0]}/language?to=zh&next=/dose/{visit.site.study_uid}")
    page.wait_for_selector("#dose-app[data-ready]")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    data = [s["name"] for s in visit.meta["structures"]] + [c["label"] for c in visit.meta["courses"]]
    data += [s.label for s in visit.site.patient.structures]

    texts = page.evaluate(
        """() => [...document.querySelectorAll("main *:not(script, noscript, h1)")].flatMap((node) => [
          ...[...node.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data),
          node.getAttribute("aria-label"), node.getAttribute("placeholder"),
          node.closest("#dose-limits") ? null : node.getAttribute("title"),
        ]).filter(Boolean).map((text) => text.trim()).filter(Boolean)"""
    )
    # names of numbers, units and objects, and what the sender has written
    known = re.compile(r"Σmax|Dmean|Dmax|DICOM|RTSTRUCT|RTDOSE|RTPLAN|Gy|EQD2|BED|cc|CT|TEST\d+|mm|kB|KiB|MiB|B")
    left = []
    for text in texts:
        rest = text
        for name in data:
            rest = rest.replace(name, "")
        if re.search(r"[A-Za-z]{3,}", known.sub("", rest)):
            left.append(text)

    assert len(texts) > 60
    assert left == []
    assert page.locator("#dose-limits tbody tr").first.inner_text().count("physical") == 0
    assert page.locator("#dose-limits tbody").inner_text().count("物理剂量") >= 1


def test_a_limit_that_cannot_be_judged_says_why_where_it_stands(visit: Visit) -> None:
    page = visit.page
    meta = json.loads(json.dumps(visit.meta))
    limit = meta["table"]["limits"][0]
    limit["status"], limit["reason"] = "not_evaluable", "the dose per fraction is not known"
    limit["found"]["value"] = None
    meta["reason_words"][limit["reason"]] = {"zh": "单次剂量未知", "en": limit["reason"]}
    page.route("**/page.json", lambda route: route.fulfill(json=meta))

    page.reload()

    page.wait_for_selector("#dose-app[data-ready]")
    expect(page.locator("#dose-limits tbody tr").first.locator(".why")).to_have_text(limit["reason"])
    assert page.locator("#dose-limits .why").count() == 1


def test_a_computed_registration_is_shown_with_picture_and_numbers(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "registered"
    folder.mkdir()
    with dose_site(tmp_path / "site") as site:
        site.make()
        keep_page_data(site.pages, with_picture(made_report(folder)), dcmread(folder / "rtstruct.dcm"))
        app = create_app(site.settings, site.engine, site.store, start_dose=lambda _: None)
        with serving(app) as address:
            context = browser.new_context(viewport={"width": 1366, "height": 768})
            page = context.new_page()
            complaints: list[str] = []
            page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
            for tongue, words in (
                ("zh", ("未经审核", "往返误差 0.23 mm", "全身", "折叠")),
                ("en", ("computed, not reviewed", "There and back 0.23 mm", "whole body", "folds")),
            ):
                page.goto(f"{address}/language?to={tongue}&next=/dose/{site.study_uid}")
                page.wait_for_selector("#dose-app[data-ready]", timeout=30_000)
                shown = page.locator("#dose-registrations")
                for said in words:
                    expect(shown).to_contain_text(said)
                assert shown.locator("tbody tr").all_inner_texts()[-1].split() == ["SpinalCord", "0.912", "0.811"]
                picture = shown.locator("img")
                picture.scroll_into_view_if_needed()
                page.wait_for_function("() => document.querySelector('.registration img').naturalWidth === 1080")
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing is cut off"
            context.close()
    assert complaints == []
