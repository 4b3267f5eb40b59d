"""A real CT, sent by DCMTK, contoured by radgate, delivered to a real Orthanc."""

import json
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydicom import dcmread

from contouring.rtstruct_read import read_rtstruct
from contouring.seg_read import read_seg
from imaging.series import scan
from tests.conftest import data_folder, require_program
from tests.e2e.peers import Orthanc, Radgate, free_port, send_with_dcmtk, start_orthanc, wait_for

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
quiet_s = 2.0
[web]
port = 0
[[destination]]
name = "pacs"
aet = "ORTHANC"
host = "127.0.0.1"
port = {port}
"""


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Orthanc, Radgate, str]]:
    """The 90-slice CT after its way through radgate into Orthanc: series, Orthanc, radgate, study UID."""
    series = data_folder("ct_head_neck") / "series"
    require_program("storescu")
    folder = tmp_path_factory.mktemp("orthanc")
    orthanc = start_orthanc(folder / "orthanc")
    radgate = Radgate(folder / "radgate", CONFIG.format(port=orthanc.dicom_port))
    try:
        radgate.start()
        send_with_dcmtk(series, radgate.dicom_port)
        study_uid = str(dcmread(next(series.glob("*.dcm")), stop_before_pixels=True).StudyInstanceUID)
        wait_for("four objects in Orthanc", lambda: len(orthanc.instances(study_uid)) >= 4, 300)
        yield series, orthanc, radgate, study_uid
    finally:
        radgate.stop()
        orthanc.stop()


def objects(orthanc: Orthanc, study_uid: str) -> dict[str, bytes]:
    """Files by modality."""
    return {
        item["00080060"]["Value"][0]: orthanc.file(item["00080018"]["Value"][0])
        for item in orthanc.instances(study_uid)
    }


@pytest.mark.interop
@pytest.mark.data
@pytest.mark.slow
def test_the_four_results_are_found_by_qido(delivered: tuple[Path, Orthanc, Radgate, str]) -> None:
    _, orthanc, _, study_uid = delivered

    found = orthanc.instances(study_uid)

    assert sorted(item["00080060"]["Value"][0] for item in found) == ["DOC", "RTSTRUCT", "SEG", "SR"]


@pytest.mark.interop
@pytest.mark.data
@pytest.mark.slow
def test_contours_and_segments_in_the_archive_are_the_same_voxels(
    delivered: tuple[Path, Orthanc, Radgate, str],
) -> None:
    series, orthanc, _, study_uid = delivered
    grid = scan([series]).stacks[0].grid

    files = objects(orthanc, study_uid)
    contours = {r.name: r.region for r in read_rtstruct(dcmread(BytesIO(files["RTSTRUCT"])), grid).structures}
    segments = {s.label: s.region for s in read_seg(dcmread(BytesIO(files["SEG"])), grid).segments}

    assert {"Body", "Bone", "Brainstem", "SpinalCord", "Bone_Mandible"} <= set(segments)
    assert set(contours) == set(segments)
    for name, region in segments.items():
        assert np.array_equal(contours[name].mask(), region.mask()), name


@pytest.mark.interop
@pytest.mark.data
@pytest.mark.slow
def test_every_object_names_algorithm_version_and_weights(delivered: tuple[Path, Orthanc, Radgate, str]) -> None:
    from monai_bundles import discover

    _, orthanc, _, study_uid = delivered
    network = next(b for b in discover() if b.name == "head_neck_ct_oar_segmentation").algorithm

    for modality, data in objects(orthanc, study_uid).items():
        text = dcmread(BytesIO(data)).to_json()
        if modality == "DOC":
            continue  # the text inside the PDF is checked where the PDF is made
        assert network.name in text, modality
        assert network.version in text, modality
        assert network.weights_sha256[0] in text, modality


@pytest.mark.interop
@pytest.mark.data
@pytest.mark.slow
def test_dciodvfy_finds_no_error(delivered: tuple[Path, Orthanc, Radgate, str], tmp_path: Path) -> None:
    program = require_program("dciodvfy")
    _, orthanc, _, study_uid = delivered

    for modality, data in objects(orthanc, study_uid).items():
        path = tmp_path / f"{modality}.dcm"
        path.write_bytes(data)
        outcome = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in (outcome.stdout + outcome.stderr).splitlines() if line.startswith("Error")]
        assert errors == [], modality


@pytest.mark.interop
@pytest.mark.data
@pytest.mark.slow
def test_the_page_says_delivered(delivered: tuple[Path, Orthanc, Radgate, str]) -> None:
    _, _, radgate, study_uid = delivered

    page = wait_for(
        "the page to say DELIVERED",
        lambda: "state-delivered" in httpx.get(f"{radgate.web}/study/{study_uid}", timeout=30).text,
        30,
    )

    assert page


@pytest.mark.interop
@pytest.mark.data
@pytest.mark.slow
def test_the_log_holds_no_patient(delivered: tuple[Path, Orthanc, Radgate, str]) -> None:
    series, _, radgate, _ = delivered
    header = dcmread(next(series.glob("*.dcm")), stop_before_pixels=True)

    log = radgate.log()

    assert "step run done" in log
    assert str(header.PatientName) not in log
    assert str(header.PatientID) not in log


@pytest.mark.interop
@pytest.mark.slow
def test_a_destination_that_is_down_is_shown_and_served_when_it_is_back(tmp_path: Path) -> None:
    from imaging.testing.phantom import make_phantom, write_phantom

    require_program("Orthanc")
    require_program("storescu")
    files = write_phantom(tmp_path / "study", make_phantom(shape=(96, 128, 120)))
    study_uid = str(dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    port = free_port()
    radgate = Radgate(tmp_path / "radgate", CONFIG.format(port=port))
    orthanc = None
    try:
        radgate.start()
        send_with_dcmtk(tmp_path / "study", radgate.dicom_port)
        page = f"{radgate.web}/study/{study_uid}"
        wait_for("the page to say why", lambda: "cannot be reached" in httpx.get(page, timeout=30).text, 300)
        orthanc = start_orthanc(tmp_path / "orthanc", dicom_port=port)
        there = orthanc
        wait_for("the results in Orthanc", lambda: len(there.instances(study_uid)) == 4, 180)
    finally:
        radgate.stop()
        if orthanc is not None:
            orthanc.stop()


def test_settings_of_this_test_are_valid(tmp_path: Path) -> None:
    from dicom_gateway.settings import load_settings

    path = tmp_path / "radgate.toml"
    path.write_text(CONFIG.format(port=4242))

    settings = load_settings(path)

    assert [d.name for d in settings.destinations] == ["pacs"]
    assert json.dumps(settings.complete.quiet_s) == "2.0"
