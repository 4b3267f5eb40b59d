"""The verdict on a faulty CT goes to a real Orthanc by the routing of the settings, and is read back from there."""

import json
import subprocess
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.browser.test_quality_board import planning_ct
from tests.conftest import require_program
from tests.e2e.peers import Orthanc, Radgate, send_with_dcmtk, start_orthanc, wait_for
from tests.synthetic.series import write_datasets

CONFIG = """
[store]
root = "store"
low_free = 0.0
floor_free = 0.0
[listen]
port = 0
[[peer]]
aet = "SCANNER"
[complete]
quiet_s = 1.5
gap_wait_s = 2.0
[web]
port = 0
[[destination]]
name = "pacs"
aet = "ORTHANC"
host = "127.0.0.1"
port = {port}
outlets = ["quality_sr", "quality_kos"]
verify = true
"""


def read_back(orthanc: Orthanc, study_uid: str) -> dict[str, Dataset]:
    """Objects of image quality by modality."""
    found: dict[str, Dataset] = {}
    for item in orthanc.instances(study_uid):
        ds = dcmread(BytesIO(orthanc.file(item["00080018"]["Value"][0])))
        found[str(ds.Modality)] = ds
    return found


def post(client: httpx.Client, path: str, page: str, **fields: str) -> httpx.Response:
    """A form of a page, with the proof that the page gave."""
    proof = client.get(page).text.split('name="proof" value="')[1].split('"')[0]
    return client.post(path, data={**fields, "proof": proof})


@pytest.mark.interop
@pytest.mark.slow
def test_report_and_list_of_images_are_in_the_archive_and_a_rejection_follows(tmp_path: Path) -> None:
    program, _ = require_program("dciodvfy"), require_program("storescu")
    datasets = [d for n, d in enumerate(planning_ct(shift_mm=40.0)) if n not in {14, 15}]
    write_datasets(tmp_path / "ct", datasets)
    study_uid, series_uid = str(datasets[0].StudyInstanceUID), str(datasets[0].SeriesInstanceUID)
    orthanc = start_orthanc(tmp_path / "orthanc")
    radgate = Radgate(tmp_path / "radgate", CONFIG.format(port=orthanc.dicom_port))
    try:
        radgate.start()
        send_with_dcmtk(tmp_path / "ct", radgate.dicom_port)
        wait_for("both objects", lambda: set(read_back(orthanc, study_uid)) == {"SR", "KO"}, 90)
        objects = read_back(orthanc, study_uid)
        with httpx.Client(base_url=radgate.web, timeout=30) as client:
            page = f"/quality/series/{series_uid}"
            answer = post(client, f"{page}/reject", page, who="李技师", reason="体表截断")
            assert answer.status_code == 303
        wait_for("the rejection", lambda: len(orthanc.instances(study_uid)) == 4, 60)
        titles = {
            dcmread(BytesIO(orthanc.file(i["00080018"]["Value"][0]))).ConceptNameCodeSequence[0].CodeValue
            for i in orthanc.instances(study_uid)
        }
        log = radgate.log()
    finally:
        radgate.stop()
        orthanc.stop()

    report, listed = objects["SR"], objects["KO"]
    assert str(report.PatientName) == "Zhang^San=张^三"
    assert "请将患者居中" in json.dumps(report.to_json_dict(), ensure_ascii=False)
    assert listed.ConceptNameCodeSequence[0].CodeValue == "113010"
    sent = {str(d.SOPInstanceUID) for d in datasets}
    evidence = listed.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert {r.ReferencedSOPInstanceUID for r in evidence.ReferencedSOPSequence} <= sent
    assert titles == {"126000", "113010", "113001"}
    for modality, ds in objects.items():
        path = tmp_path / f"{modality}.dcm"
        ds.save_as(path)
        done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
        assert [x for x in (done.stdout + done.stderr).splitlines() if x.startswith("Error")] == []
    assert "张" not in log and "TEST0001" not in log
