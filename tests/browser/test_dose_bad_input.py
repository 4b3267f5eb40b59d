"""Doses that make no sum, on the page: one sentence each where the physician chooses, and nothing is added."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from pydicom import dcmread
from pydicom.dataset import Dataset

from contouring.dose.registration_write import write_registration
from contouring.dose.transform import RigidTransform
from dicom_gateway.dose import record
from dicom_gateway.dose.work import DoseJob, make
from dicom_gateway.dose.workflow import pages_folder
from dicom_gateway.web import create_app
from imaging.errors import RadgateError
from imaging.series import scan
from tests.dicom_gateway.dose_site import DoseSite
from tests.dicom_gateway.web_server import serving
from tests.reports.dose_case import TwoCourses, two_courses
from tests.synthetic.series import write_series

pytestmark = [pytest.mark.browser, pytest.mark.interop]

Change = Callable[[Dataset], None]
ELSEWHERE = "1.2.3.99"


def without(keyword: str) -> Change:
    return lambda ds: delattr(ds, keyword)


def absolute_offsets(ds: Dataset) -> None:
    """As z coordinates, which say nothing on oblique planes."""
    first = float(ds.ImagePositionPatient[2])
    ds.GridFrameOffsetVector = [f"{first + float(v):.4f}" for v in ds.GridFrameOffsetVector]


def short_offsets(ds: Dataset) -> None:
    ds.GridFrameOffsetVector = ds.GridFrameOffsetVector[:-1]


def elsewhere(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = ELSEWHERE


def no_fraction_count(ds: Dataset) -> None:
    del ds.FractionGroupSequence[0].NumberOfFractionsPlanned


DOSES: dict[str, tuple[Change, str]] = {
    "relative units": (lambda ds: setattr(ds, "DoseUnits", "RELATIVE"), "not in Gy"),
    "no scaling": (without("DoseGridScaling"), "DoseGridScaling"),
    "absolute offsets of oblique planes": (absolute_offsets, "not axial"),
    "too few offsets": (short_offsets, "GridFrameOffsetVector"),
    "another frame": (elsewhere, "another frame of reference"),
    "a registration of other frames": (elsewhere, "another frame of reference"),
    "a plan without fractions": (no_fraction_count, "number of fractions"),
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[DoseSite]:
    made = DoseSite(tmp_path / "site")
    yield made
    made.engine.dispose()


def planted(folder: Path, name: str) -> TwoCourses:
    """The study with one fault in its second course."""
    case = two_courses(folder)
    change, _ = DOSES[name]
    file = case.plans[1] if name == "a plan without fractions" else case.doses[1]
    dataset = dcmread(file)
    change(dataset)
    dataset.save_as(file)
    return case


def foreign_registration(case: TwoCourses, folder: Path) -> Path:
    """A registration of this patient that relates the image to a third one, not to the dose."""
    write_series(folder / "third", study_seed=5)
    stacks = [scan([p]).stacks[0] for p in (case.images, folder / "third")]
    transform = RigidTransform(np.eye(4), *(s.frame_of_reference_uid for s in stacks))
    (folder / "reg.dcm").write_bytes(write_registration(transform, *stacks, made_at=datetime(2026, 3, 4)).encoded)
    return folder / "reg.dcm"


def sentence(page: Page, site: DoseSite) -> str:
    """What the page says about the dose that cannot be used: beside it, or after it was asked for."""
    form = page.locator("form.choose")  # open, where no sum was made yet
    if beside := [t for t in form.locator("td.problem").all_text_contents() if t.strip()]:
        assert form.locator('input[name="dose"]:disabled').count() == len(beside) == 1
        return beside[0].strip()
    for box in form.locator('input[name="dose"]').all():
        box.check()
    form.locator("button").click()
    page.wait_for_load_state()
    return " ".join(t.strip() for t in page.locator("p.refused").all_text_contents())


@pytest.mark.parametrize("name", DOSES)
def test_a_dose_that_makes_no_sum_is_told_in_one_sentence(
    browser: Browser, site: DoseSite, tmp_path: Path, name: str
) -> None:
    (tmp_path / "case").mkdir()
    case = planted(tmp_path / "case", name)
    more = [foreign_registration(case, tmp_path)] if name == "a registration of other frames" else []
    site.receive([*more, *case.files])

    def start(sum_id: str) -> None:
        """The work of the workflow, without its durability."""
        row = record.row_of(site.engine, sum_id)
        assert row is not None
        pages = pages_folder(site.settings, sum_id)
        try:
            make(DoseJob(row, tmp_path / "work", pages, site.settings, site.engine, site.store, lambda _: None))
        except RadgateError as refusal:
            record.set_state(site.engine, sum_id, "REFUSED", refusal.message)
        else:
            record.set_state(site.engine, sum_id, "DELIVERED")

    with serving(create_app(site.settings, site.engine, site.store, start_dose=start)) as address:
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(20_000)
        page.goto(f"{address}/language?to=en&next=/dose/{site.study_uid}")
        said = sentence(page, site)
        page.screenshot(path=str(tmp_path / "refused.png"))
        page.close()

    assert DOSES[name][1] in said and said.count(". ") == 0 and said.endswith(".")
    assert "张三" not in said
    assert not list(site.store.instances(origin="result"))


def test_the_dose_of_another_patient_is_not_offered(browser: Browser, site: DoseSite, tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    case = two_courses(tmp_path / "case")
    stranger = dcmread(case.doses[1])
    stranger.PatientID, stranger.PatientName, stranger.StudyInstanceUID = "OTHER", "Other^One", "1.2.3.97"
    stranger.save_as(case.doses[1])
    site.receive([case.doses[1], *case.files[:-1]])

    with serving(create_app(site.settings, site.engine, site.store, start_dose=lambda _: None)) as address:
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.set_default_timeout(20_000)
        page.goto(f"{address}/language?to=en&next=/dose/{site.study_uid}")
        offered = page.locator('form.choose input[name="dose"]:enabled').count()
        text = page.content()
        page.close()

    assert offered <= 1
    assert "Other^One" not in text and stranger.SOPInstanceUID not in text
