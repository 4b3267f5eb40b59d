"""The rehearsal runs the real steps to a finding."""

from dataclasses import replace

import pytest

from dicom_gateway.flow import rehearsal
from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.local import FolderOutcome, process_folder
from dicom_gateway.route.rules import default_routes
from dicom_gateway.settings import Settings
from monai_bundles import discover, run_bundle


def test_the_rehearsal_goes_through_every_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[FolderOutcome] = []

    def watched(*arguments: object, **options: object) -> FolderOutcome:
        seen.append(process_folder(*arguments, **options))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(rehearsal, "process_folder", watched)
    settings = replace(Settings(), routes=default_routes())

    rehearsal.rehearse(settings, Tools({b.name: b for b in discover()}, run_bundle))

    assert [job.status for job in seen[0].jobs] == ["findings"]
    assert seen[0].jobs[0].objects == ["seg.dcm", "rtstruct.dcm", "sr.dcm", "pdf.dcm"]
