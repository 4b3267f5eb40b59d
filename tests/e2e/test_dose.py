"""Two courses sent by C-STORE: a sum is proposed, a person asks for it, and its objects arrive, kill -9 or not."""

import re
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from sqlalchemy import Engine, select

from contouring.dose import DoseVolume
from contouring.dose.rtdose_read import read_rtdose
from dicom_gateway.demo.send import send_files
from dicom_gateway.store import tables
from imaging.geometry import Grid
from tests.conftest import data_folder, require_program
from tests.e2e.peers import Orthanc, Radgate, free_port, start_orthanc, wait_for
from tests.e2e.test_kill import Archive, engine_of
from tests.reports.dose_case import dose_a, dose_b, two_courses

CONFIG = """
[store]
root = "store"
low_free = 0.01
floor_free = 0.005
[listen]
port = 0
[[peer]]
aet = "SCANNER"
[complete]
quiet_s = 1.0
[web]
port = 0
[quality]
live = false
[[route]]
name = "nothing"
bundle = "ct_body_segmentation"
when.all = [{{ tag = "Modality", equals = "CT" }}, {{ tag = "StudyDescription", equals = "no such study" }}]
[[destination]]
name = "pacs"
aet = "{aet}"
host = "127.0.0.1"
port = {port}
"""


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive()
    yield made
    made.stop()


def sums(engine: Engine) -> dict[str, str]:
    """State of every row of `dose_sum`."""
    with engine.connect() as connection:
        return {r.id: r.state for r in connection.execute(select(tables.dose_sum.c.id, tables.dose_sum.c.state))}


def proposal(engine: Engine) -> str:
    """Study of the open proposal, "" where there is none."""
    with engine.connect() as connection:
        found = connection.execute(
            select(tables.dose_sum.c.study_uid).where(tables.dose_sum.c.state == "PROPOSED")
        ).scalar()
    return str(found or "")


def ask(radgate: Radgate, study_uid: str, **fields: str) -> httpx.Response:
    """Open the page as a browser does and send the form of the proposal."""
    with httpx.Client(base_url=radgate.web, timeout=60) as browser:
        page = browser.get(f"/dose/{study_uid}").text
        form = page[page.index('class="proposal"') :]
        form = form[: form.index("</form>")]
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)
        data: dict[str, list[str]] = {}
        for name, value in hidden:
            data.setdefault(name, []).append(value)
        data["fractions"] = [""] * len(data["known"])
        return browser.post(f"/dose/{study_uid}/run", data={**data, **fields})


def objects(engine: Engine) -> dict[str, str]:
    """Outlet by UID of what was made."""
    with engine.connect() as connection:
        rows = connection.execute(select(tables.encoded_object.c.sop_uid, tables.encoded_object.c.outlet))
        return {r.sop_uid: r.outlet for r in rows}


def finished(engine: Engine) -> bool:
    """Whether a sum has been delivered; a refusal ends the waiting."""
    states = sums(engine).values()
    assert not {"REFUSED", "FAILED"} & set(states), states
    return "DELIVERED" in states


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["calm", "kill while it is made"])
def test_a_proposed_sum_is_made_once_and_delivered(tmp_path: Path, archive: Archive, moment: str) -> None:
    case = two_courses(tmp_path)
    radgate = Radgate(tmp_path / "radgate", CONFIG.format(aet="ARCHIVE", port=archive.port))
    try:
        radgate.start()
        engine = engine_of(radgate)
        first, second = case.files[:-2], case.files[-2:]
        assert send_files(first, "127.0.0.1", radgate.dicom_port, lambda: None).refused == 0
        time.sleep(2.5)
        assert sums(engine) == {}, "one dose makes no sum"
        assert send_files(second, "127.0.0.1", radgate.dicom_port, lambda: None).refused == 0
        study_uid = wait_for("the proposal", lambda: proposal(engine), 60)
        assert "badge state-proposed" in httpx.get(f"{radgate.web}/", timeout=30).text, "the worklist says so"

        answer = ask(radgate, study_uid, limits="conventional")

        assert answer.status_code == httpx.codes.SEE_OTHER
        if moment != "calm":
            wait_for("the work", lambda: "RUNNING" in sums(engine).values(), 60)
            radgate.kill()
            assert archive.received == {}, "the kill came too late to prove anything"
            radgate.start()
        wait_for("the sum to be delivered", lambda: finished(engine), 180)

        made = objects(engine)
        assert set(archive.received) == set(made)
        assert set(made.values()) == {"rtdose", "rtstruct", "sc", "sr", "pdf"}
        assert all(len(versions) == 1 for versions in archive.contents.values()), "the same UID with other bytes"
        assert moment != "calm" or max(archive.received.values()) == 1
        page = httpx.get(f"{radgate.web}{answer.headers['location']}", timeout=30).text
        assert 'id="dose-app"' in page
        assert "张三" in page
        log = radgate.log()
        assert "Zhang" not in log
        assert "TEST0001" not in log
    finally:
        radgate.stop()


@pytest.mark.slow
def test_a_refused_sum_says_why_in_one_sentence(tmp_path: Path, archive: Archive) -> None:
    case = two_courses(tmp_path)
    ds = dcmread(case.doses[1])
    del ds.DoseGridScaling
    ds.save_as(case.doses[1])
    radgate = Radgate(tmp_path / "radgate", CONFIG.format(aet="ARCHIVE", port=archive.port))
    try:
        radgate.start()
        engine = engine_of(radgate)
        send_files(case.files, "127.0.0.1", radgate.dicom_port, lambda: None)
        study_uid = wait_for("the proposal", lambda: proposal(engine), 60)
        answer = ask(radgate, study_uid)
        wait_for("the refusal", lambda: "REFUSED" in sums(engine).values(), 120)

        page = httpx.get(f"{radgate.web}{answer.headers['location']}", timeout=30).text
        listed = httpx.get(f"{radgate.web}/dose", timeout=30).text

        assert "DoseGridScaling 缺失或不为正" in page, "in the language of the page"
        assert "DoseGridScaling 缺失或不为正" in listed
        assert archive.received == {}
    finally:
        radgate.stop()


@pytest.mark.interop
@pytest.mark.slow
def test_the_sum_arrives_in_orthanc_and_is_the_dose_of_both(tmp_path: Path) -> None:
    require_program("Orthanc")
    case = two_courses(tmp_path)
    orthanc = start_orthanc(tmp_path / "orthanc")
    radgate = Radgate(tmp_path / "radgate", CONFIG.format(aet="ORTHANC", port=orthanc.dicom_port))
    try:
        radgate.start()
        engine = engine_of(radgate)
        send_files(case.files, "127.0.0.1", radgate.dicom_port, lambda: None)
        study_uid = wait_for("the proposal", lambda: proposal(engine), 60)
        ask(radgate, study_uid)
        wait_for("the sum to be delivered", lambda: finished(engine), 180)

        made = objects(engine)
        kept = {item["00080018"]["Value"][0]: item["00080060"]["Value"][0] for item in orthanc.instances(study_uid)}
        assert set(made) <= set(kept)
        physical = arrived_sum(orthanc, made)
        points = np.random.default_rng(5).uniform(-25, 25, (400, 3)) + middle(physical.grid)
        sampled = physical.sample(points)
        assert sampled.is_known.mean() > 0.9
        truth = dose_a(points) + dose_b(points)
        # trilinear on grids of 2.4 to 3.1 mm, twice: the Gaussian of 23 mm bends by this much between voxels
        assert np.abs(sampled.dose_gy - truth)[sampled.is_known].max() < 0.4
    finally:
        radgate.stop()
        orthanc.stop()


def middle(grid: Grid) -> NDArray[np.float64]:
    """Centre of a grid."""
    return np.asarray(grid.points_lps(grid.shape[0] // 2, [[grid.columns / 2, grid.rows / 2]])[0])


def arrived_sum(orthanc: Orthanc, made: dict[str, str]) -> DoseVolume:
    """The physical sum as the archive gives it back."""
    for uid, outlet in made.items():
        if outlet == "rtdose":
            ds = dcmread(BytesIO(orthanc.file(uid)))
            if ds.DoseType == "PHYSICAL":
                return read_rtdose(ds)
    raise AssertionError("no physical sum")


@pytest.mark.data
@pytest.mark.slow
def test_openkbp_courses_in_two_frames_become_one_sum(tmp_path: Path, archive: Archive) -> None:
    from contouring.dose.openkbp import export_case

    data = data_folder("openkbp")
    shift = (7.5, -12.0, 10.0)
    courses = [
        export_case(data, "pt_203", tmp_path / "a"),
        export_case(data, "pt_203", tmp_path / "b", course=2, shift_mm=shift),
    ]
    radgate = Radgate(tmp_path / "radgate", CONFIG.format(aet="ARCHIVE", port=archive.port))
    try:
        radgate.start()
        engine = engine_of(radgate)
        for course in courses:
            files = [*course.ct, course.rtstruct, course.rtplan, course.rtdose]
            assert send_files(files, "127.0.0.1", radgate.dicom_port, lambda: None).refused == 0
        study_uid = wait_for("the proposal", lambda: proposal(engine), 90)
        ask(radgate, study_uid)
        wait_for("the sum to be delivered", lambda: finished(engine), 400)

        assert set(objects(engine).values()) == {"reg", "rtdose", "rtstruct", "sc", "sr", "pdf"}
        with engine.connect() as connection:
            document = connection.execute(select(tables.result.c.document)).scalar_one()
        a, b, total = (
            np.array([row["entries"][name]["value"] or np.nan for row in document["table"]["rows"]])
            for name in ("A", "B", "sum")
        )
        # the same plan twice on the same anatomy, moved by a known shift and registered back
        assert np.nanmax(np.abs(a - b)) < 1.5
        assert np.nanmax(np.abs(total - 2 * b)) < 1.5
    finally:
        radgate.stop()


def test_settings_of_these_tests_are_valid(tmp_path: Path) -> None:
    from dicom_gateway.settings import load_settings

    path = tmp_path / "radgate.toml"
    path.write_text(CONFIG.format(aet="X", port=free_port()))

    assert [r.name for r in load_settings(path).routes] == ["nothing"]
