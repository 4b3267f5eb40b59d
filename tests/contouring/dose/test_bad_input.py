"""Bad input at the command line: one sentence and exit code 2 each; nothing is summed by guess, nothing is written."""

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from contouring.dose.errors import DifferentPatients
from contouring.dose.openkbp import export_case
from contouring.dose.patient import Patient, check_one_patient, have_other_names, patient_of
from dicom_gateway.cli.app import main
from reports.dose.wording import warning_words
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
    "no frame": (set_values(FrameOfReferenceUID=None), "names no frame of reference"),
    "no pixels": (set_values(PixelData=None), "a DVH or points alone"),
    "a scaling of one": (set_values(DoseGridScaling="1"), "DoseGridScaling is wrong"),
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


def a_registration(folder: Path, target: str, sources: list[tuple[str, float]]) -> Path:
    """A Spatial Registration with shifts along x, written item by item."""
    import numpy as np

    found = dcmread(folder)
    items = []
    for frame, shift in sources:
        matrix, step, item = Dataset(), Dataset(), Dataset()
        values = np.eye(4)
        values[0, 3] = shift
        matrix.FrameOfReferenceTransformationMatrixType = "RIGID"
        matrix.FrameOfReferenceTransformationMatrix = [f"{v:g}" for v in values.ravel()]
        step.MatrixSequence = [matrix]
        item.FrameOfReferenceUID, item.MatrixRegistrationSequence = frame, [step]
        items.append(item)
    found.FrameOfReferenceUID, found.RegistrationSequence = target, items
    found.save_as(folder)
    return folder


@pytest.mark.parametrize("name", ["two matrices for one frame", "the registered frame moved", "nothing of the image"])
def test_a_registration_that_says_two_things_or_nothing_is_refused(
    made: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from contouring.dose.registration_write import write_registration
    from contouring.dose.transform import RigidTransform
    from imaging.series import scan

    stacks = [scan([made / n / "CT"]).stacks[0] for n in ("a", "b")]
    own, other = (s.frame_of_reference_uid for s in stacks)
    written = write_registration(RigidTransform(np.eye(4), own, other), *stacks, made_at=datetime(2026, 3, 4))
    (tmp_path / "reg.dcm").write_bytes(written.encoded)
    items = {
        "two matrices for one frame": (own, [(own, 0), (other, 4.0), (other, 6.0)]),
        "the registered frame moved": (own, [(own, 3.0), (other, 4.0)]),
        "nothing of the image": ("1.2.3.98", [("1.2.3.98", 0), ("1.2.3.99", 4.0)]),
    }[name]
    file = a_registration(tmp_path / "reg.dcm", *items)
    # Doses of the image's own frame do not need it, and a wrong one is refused all the same.
    second = made / ("second.dcm" if name == "nothing of the image" else "b/RTDOSE.dcm")
    shutil.copy(second, tmp_path / "second.dcm")

    code, message = said(summed(made, tmp_path / "second.dcm", "--registration", str(file)), capsys, monkeypatch)

    words = "other frames of reference" if name == "nothing of the image" else "two different matrices"
    assert code == 2 and words in message and len(message.splitlines()) == 1
    assert not list(tmp_path.glob("out/*"))


def test_what_was_given_and_changes_nothing_is_told(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(made / "second.dcm", tmp_path / "second.dcm")
    strange = dcmread(made / "plan.dcm")
    strange.SOPInstanceUID = strange.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.79")
    strange.save_as(tmp_path / "strange.dcm")
    given = ["--register", "rigid", "--alpha-beta", "Nosuch=2", "--fractions", "30,35"]
    given += ["--plan", str(made / "plan.dcm"), "--plan", str(made / "a/RTPLAN.dcm")]
    given += ["--plan", str(tmp_path / "strange.dcm"), "--json"]

    monkeypatch.setattr("sys.argv", ["radgate", *summed(made, tmp_path / "second.dcm", *given)])
    with pytest.raises(SystemExit) as stopped:
        main()

    report = json.loads(capsys.readouterr().out)
    assert stopped.value.code in {0, 1, None}
    words = ("30 fractions were stated and 35", "No registration was used", "no dose names: 1", "Nosuch")
    assert all(any(w in line for line in report["warnings"]) for w in words), report["warnings"]
    assert all(warning_words(line)[0] != line for line in report["warnings"]), "each has Chinese words"
    row = next(r for r in report["structures"] if r["structure"] == "SpinalCord")
    # BED = EQD2 (1 + 2 / ab), with 2 Gy for the cord.
    assert row["bed"]["metrics"]["Dmean"] == pytest.approx(2 * row["eqd2"]["metrics"]["Dmean"], abs=2e-6)
    assert row["bed_courses"][0]["metrics"]["D0.03cc"] == pytest.approx(
        2 * row["eqd2_courses"][0]["metrics"]["D0.03cc"], abs=2e-6
    )


@pytest.mark.parametrize("value", ["0", "-2", "nan", "inf", "x"])
def test_an_alpha_beta_that_is_no_dose_is_a_mistake_of_the_command(
    made: Path, tmp_path: Path, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(made / "second.dcm", tmp_path / "second.dcm")

    code, message = said(
        summed(made, tmp_path / "second.dcm", "--alpha-beta", f"SpinalCord={value}"), capsys, monkeypatch
    )

    assert code == 2 and "above 0" in message


def test_the_part_outside_the_dose_grid_is_told_in_words(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dose = dcmread(made / "a" / "RTDOSE.dcm")
    half = int(dose.NumberOfFrames) // 2
    dose.PixelData = dose.PixelData[: half * dose.Rows * dose.Columns * dose.BitsAllocated // 8]
    dose.NumberOfFrames, dose.GridFrameOffsetVector = half, dose.GridFrameOffsetVector[:half]
    dose.save_as(tmp_path / "half.dcm")

    monkeypatch.setattr(
        "sys.argv", ["radgate", "dose", "dvh", str(made / "a" / "RTSTRUCT.dcm"), str(tmp_path / "half.dcm")]
    )
    with pytest.raises(SystemExit):
        main()

    told = capsys.readouterr().err
    assert "% lies outside the dose grid; the numbers are of the part inside" in told
    assert "Dmean is not known" in told


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


def test_another_name_under_the_same_id_is_told(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dose = dcmread(made / "second.dcm")
    dose.PatientName = "Ou^Yang"
    dose.save_as(tmp_path / "second.dcm")
    commands = [
        [*summed(made, tmp_path / "second.dcm"), "--json"],
        ["dose", "dvh", str(made / "a" / "RTSTRUCT.dcm"), str(tmp_path / "second.dcm"), "--json"],
    ]

    for command in commands:
        monkeypatch.setattr("sys.argv", ["radgate", *command])
        with pytest.raises(SystemExit):
            main()
        warnings = json.loads(capsys.readouterr().out)["warnings"]

        (told,) = (w for w in warnings if "different patient names" in w)
        assert "Yang" not in told and warning_words(told)[0] != told


@pytest.mark.parametrize(
    ("names", "differ"),
    [
        (("Zhang^San", "ZHANG^SAN"), False),
        (("Zhang^San=张^三", "Zhang San"), False),
        (("Zhang^San=张^三", "=张^三"), False),
        (("Zhang^San", ""), False),
        (("Zhang^San", "=张^三"), False),
        (("Zhang^San", "Zhang^San", "Li^Si"), True),
        (("张^三", "李^四"), True),
    ],
)
def test_names_differ_where_no_way_of_writing_agrees(names: tuple[str, ...], differ: bool) -> None:
    patients = [Patient("1", "", "", name) for name in names]

    assert have_other_names(patients) == differ


def named(name: str, charset: str | None, encoding: str) -> Dataset:
    """A data set as it is read from a file: the name in its bytes."""
    ds = Dataset()
    if charset is not None:
        ds.SpecificCharacterSet = charset
    raw = name.encode(encoding)
    value = raw + b" " * (len(raw) % 2)
    ds[Tag("PatientName")] = RawDataElement(Tag("PatientName"), "PN", len(value), value, 0, False, True)
    return ds


UTF8, GB18030 = ("ISO_IR 192", "utf-8"), ("GB18030", "gb18030")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("张^伟", *UTF8), ("李^娜", *UTF8), False),
        (("张^伟", *UTF8), ("张^伟", *GB18030), True),
        (("张^伟", *GB18030), ("李^娜", *GB18030), False),
        (("张^伟", None, "gbk"), ("张^伟", None, "gbk"), True),
        (("张^伟", None, "gbk"), ("李^娜", None, "gbk"), False),
        (("张^伟", None, "gbk"), ("张^伟", *UTF8), False),
    ],
)
def test_names_are_compared_as_they_read(
    one: tuple[str, str | None, str], other: tuple[str, str | None, str], *, same: bool
) -> None:
    """Without an id the name alone tells two patients apart."""
    patients = [patient_of(named(*who)) for who in (one, other)]

    if same:
        check_one_patient(*patients)
    else:
        with pytest.raises(DifferentPatients):
            check_one_patient(*patients)
    read = one[1] is not None and other[1] is not None
    assert have_other_names(patients) == (read and not same)
