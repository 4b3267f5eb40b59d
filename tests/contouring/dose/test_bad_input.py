"""Bad input at the command line: one sentence and exit code 2 each; nothing is summed by guess, nothing is written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from contouring.dose.openkbp import export_case
from dicom_gateway.cli.app import main
from tests.contouring.dose.test_openkbp import collection

__all__ = ["collection"]

Change = Callable[[Dataset], None]


@pytest.fixture(scope="module")
def made(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two plans of one patient on one image, and a third of another frame."""
    folder = tmp_path_factory.mktemp("made")
    export_case(collection, "pt_1", folder / "a")
    export_case(collection, "pt_1", folder / "b", course=2, shift_mm=(4.0, 3.0, -2.5))
    second = dcmread(folder / "a" / "RTDOSE.dcm")
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.77")
    second.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = "1.2.3.78"
    second.save_as(folder / "second.dcm")
    plan = dcmread(folder / "a" / "RTPLAN.dcm")
    plan.SOPInstanceUID = plan.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.78")
    plan.save_as(folder / "plan.dcm")
    return folder


def summed(folder: Path, second: Path, *more: str) -> list[str]:
    first = folder / "a"
    return [
        "dose", "sum", str(first / "RTDOSE.dcm"), str(second), "--rtstruct", str(first / "RTSTRUCT.dcm"),
        "--series", str(first / "CT"), "--out", str(second.parent / "out"), *more,
    ]  # fmt: skip


def said(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["radgate", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0), capsys.readouterr().err.strip()


def set_values(**values: object) -> Change:
    def change(ds: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)

    return change


OFFSETS = [0.0, 3.0, 3.5, 9.0, 9.5, 15.0, 18.0, 21.0, 24.0, 27.0, 30.0]

REFUSED: dict[str, tuple[Change, str]] = {
    "different patients": (set_values(PatientID="OTHER"), "different patients"),
    "relative units": (set_values(DoseUnits="RELATIVE"), "relative units"),
    "no scaling": (set_values(DoseGridScaling=None), "DoseGridScaling"),
    "no offsets": (set_values(GridFrameOffsetVector=None), "GridFrameOffsetVector"),
    "offsets neither relative nor absolute": (set_values(GridFrameOffsetVector=[7.0, *OFFSETS[1:]]), "neither 0"),
    "absolute offsets of oblique planes": (
        set_values(
            ImageOrientationPatient=["0.8", "0", "0.6", "0", "1", "0"],
            ImagePositionPatient=["0", "0", "-5"],
            GridFrameOffsetVector=[v - 5 for v in OFFSETS],
        ),
        "not axial",
    ),
    "an effective dose": (set_values(DoseType="EFFECTIVE"), "physical doses"),
    "a dose of one fraction": (set_values(DoseSummationType="FRACTION"), "whole plan"),
    "another frame": (set_values(FrameOfReferenceUID="1.2.3.99"), "another frame"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_dose_that_makes_no_sum_is_refused(
    made: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change, words = REFUSED[name]
    dataset = dcmread(made / "second.dcm")
    change(dataset)
    dataset.save_as(tmp_path / "second.dcm")

    code, message = said(summed(made, tmp_path / "second.dcm", "--fractions", "35,20"), capsys, monkeypatch)

    assert code == 2
    assert words in message and len(message.splitlines()) == 1 and message.endswith(".")
    assert not list(tmp_path.glob("out/*"))
    assert "OpenKBP" not in message and "OTHER" not in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ds: delattr(ds.FractionGroupSequence[0], "NumberOfFractionsPlanned"), "state the number of fractions"),
        (lambda ds: setattr(ds, "PatientID", "OTHER"), "different patients"),
    ],
    ids=["no fraction count", "another patient's plan"],
)
def test_a_plan_that_does_not_say_it_is_refused(
    made: Path, tmp_path: Path, change: Change, words: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    dataset = dcmread(made / "plan.dcm")
    change(dataset)
    dataset.save_as(tmp_path / "plan.dcm")
    shutil.copy(made / "second.dcm", tmp_path / "second.dcm")

    code, message = said(
        summed(made, tmp_path / "second.dcm", "--plan", str(tmp_path / "plan.dcm")), capsys, monkeypatch
    )

    assert code == 2 and words in message and not list(tmp_path.glob("out/*"))


def test_a_registration_between_other_frames_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import datetime

    import numpy as np

    from contouring.dose.registration_write import write_registration
    from contouring.dose.transform import RigidTransform
    from imaging.series import scan

    stacks = [scan([made / n / "CT"]).stacks[0] for n in ("a", "b")]
    transform = RigidTransform(np.eye(4), *(s.frame_of_reference_uid for s in stacks))
    (tmp_path / "reg.dcm").write_bytes(write_registration(transform, *stacks, made_at=datetime(2026, 3, 4)).encoded)
    third = dcmread(made / "second.dcm")
    third.FrameOfReferenceUID = "1.2.3.99"
    third.save_as(tmp_path / "third.dcm")

    code, message = said(
        summed(made, tmp_path / "third.dcm", "--registration", str(tmp_path / "reg.dcm")), capsys, monkeypatch
    )

    assert code == 2 and "other frames of reference" in message


def test_uneven_offsets_are_used_as_they_are(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = dcmread(made / "second.dcm")
    dataset.GridFrameOffsetVector = OFFSETS
    dataset.save_as(tmp_path / "second.dcm")

    monkeypatch.setattr("sys.argv", ["radgate", *summed(made, tmp_path / "second.dcm", "--json")])
    with pytest.raises(SystemExit) as stopped:
        main()

    assert stopped.value.code in {0, 1, None}
    assert (tmp_path / "out" / "sum_physical.dcm").is_file()
    capsys.readouterr()


def test_what_cannot_be_read_as_numbers_is_a_mistake_of_the_command(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in (["--fractions", "35"], ["--fractions", "35,x"], ["--prescription", "70,-1"], ["--alpha-beta", "x"]):
        code, _ = said(summed(made, made / "second.dcm", *wrong), capsys, monkeypatch)
        assert code == 2
