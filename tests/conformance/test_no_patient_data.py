"""A study full of marked names goes through the steps, the good way and the failing ones; no mark is left outside."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.local import FolderOutcome, process_folder
from dicom_gateway.quiet import silence_libraries
from dicom_gateway.route.rules import default_routes
from dicom_gateway.settings import Settings
from imaging.volume import Volume
from monai_bundles import Bundle, BundleOutput, discover, run_bundle
from tests.synthetic.series import write_series

MARKS = ("KANARIE", "金丝雀", "CANARY-ID")


def breaking(bundle: Bundle, volume: Volume, progress: object) -> BundleOutput:
    raise RuntimeError(f"{MARKS[0]}^{MARKS[1]}")


def process(folder: Path, out: Path, *, breaks: bool) -> tuple[FolderOutcome, Journal]:
    """The marked study through the body bundle."""
    journal = Journal()
    routes = tuple(r for r in default_routes() if r.bundle_name == "ct_body_segmentation")
    tools = Tools({b.name: b for b in discover()}, breaking if breaks else run_bundle)
    return process_folder(folder, out, replace(Settings(), routes=routes), tools, journal), journal


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("tilt_deg", [0.0, 9.0])
def test_no_mark_reaches_logs_steps_or_file_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, breaks: bool, tilt_deg: float
) -> None:
    silence_libraries()
    caplog.set_level(logging.DEBUG)
    write_series(
        tmp_path / "study",
        patient_name=f"{MARKS[0]}^X={MARKS[1]}",
        tilt_deg=tilt_deg,
        orientation=(1, 0, 0, 0, 1, 0),
        planes=24,
        attributes=(("PatientID", MARKS[2]), ("PatientComments", MARKS[0]), ("OperatorsName", MARKS[0])),
    )

    outcome, journal = process(tmp_path / "study", tmp_path / "out", breaks=breaks)

    (job,) = outcome.jobs
    seen = {
        "log": caplog.text,
        "steps": json.dumps([[s.name, s.message, s.detail] for s in journal.steps], ensure_ascii=False),
        "reason": job.reason,
        "file names": " ".join(f.name for f in (tmp_path / "out").iterdir()),
    }
    assert {where: [m for m in MARKS if m in text] for where, text in seen.items()} == {key: [] for key in seen}
    assert MARKS[1].encode() in (tmp_path / "out" / "sr.dcm").read_bytes(), "the objects do carry the patient's name"
