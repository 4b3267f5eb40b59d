"""The gate before delivery: nothing is found in what we write, and each planted fault is."""

import hashlib
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from imaging.quiet import quiet_pydicom
from reports import EncodedObject, encode_all
from reports.errors import InvalidObject, ValidatorSilent
from reports.validate import ALLOWED_WARNINGS, Violation, dciodvfy_findings, outside, require_valid, validate
from reports.validate.elements import element_violations, raw_violations
from reports.validate.raw import raw_object
from tests.conftest import require_program
from tests.reports.making import PROCESSING, Case, run_of, set_raw, without_output


def spoiled(item: EncodedObject, spoil: Callable[[Dataset], object]) -> EncodedObject:
    """The object after `spoil` has changed its data set, with a hash that fits again."""
    ds = dcmread(BytesIO(item.data))
    spoil(ds)
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=False)
    return with_bytes(item, buffer.getvalue())


def with_bytes(item: EncodedObject, data: bytes) -> EncodedObject:
    return replace(item, data=data, sha256=hashlib.sha256(data).hexdigest())


def found(case: Case, objects: dict[str, EncodedObject], changed: EncodedObject) -> set[tuple[str, str]]:
    """(outlet, rule) of what the gate finds with one object changed."""
    return {
        (v.outlet, v.rule)
        for v in validate(list({**objects, changed.outlet: changed}.values()), case.result, case.stack)
    }


def test_nothing_is_found_in_what_we_write(case: Case, objects: dict[str, EncodedObject]) -> None:
    assert validate(list(objects.values()), case.result, case.stack) == ()
    require_valid(list(objects.values()), case.result, case.stack)


@pytest.mark.parametrize(
    "runs",
    [
        (run_of(scope_covered=True),),
        (run_of("failed"),),
        (run_of("refused"),),
        (run_of(), run_of("failed", PROCESSING, id="r2")),
    ],
)
def test_nothing_is_found_where_nothing_was_found(case: Case, runs: tuple[object, ...]) -> None:
    result = without_output(case.result, *runs)  # type: ignore[arg-type]

    assert validate(encode_all(result, case.stack, case.volume), result, case.stack) == ()


def identified_for_all_frames(ds: Dataset) -> None:
    """Every frame is of the second segment, and the shared groups say so."""
    frames = ds.PerFrameFunctionalGroupsSequence
    identification = next(
        f.SegmentIdentificationSequence
        for f in frames
        if f.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 2
    )
    for frame in frames:
        del frame.SegmentIdentificationSequence
    ds.SharedFunctionalGroupsSequence[0].SegmentIdentificationSequence = identification


def empty_second_segment(ds: Dataset) -> None:
    size = int(ds.Rows) * int(ds.Columns)
    bits = list(bytes(ds.PixelData))
    for index, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        if frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 2:
            for bit in range(index * size, (index + 1) * size):
                bits[bit // 8] &= ~(1 << bit % 8)
    ds.PixelData = bytes(bits)


def other_segment(ds: Dataset) -> None:
    for item in ds.iterall():
        if item.keyword == "ReferencedSegmentNumber":
            item.value = 7


def other_instance(ds: Dataset) -> None:
    next(item for item in ds.iterall() if item.keyword == "ReferencedSOPInstanceUID").value = "1.2.3.4"


def no_status(ds: Dataset) -> None:
    for item in ds.iterall():
        if item.keyword == "CodeValue" and item.value == "111242":
            item.value = "111241"


def no_evidence(ds: Dataset) -> None:
    del ds.CurrentRequestedProcedureEvidenceSequence


def no_contours(ds: Dataset) -> None:
    del ds.ROIContourSequence[1].ContourSequence


def other_frame_of_reference(ds: Dataset) -> None:
    ds.FrameOfReferenceUID = "1.2.3"


def shifted_frame(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient = [1, 2, 3]


def no_algorithm(ds: Dataset) -> None:
    del ds.ContributingEquipmentSequence


def image_series(ds: Dataset) -> None:
    ds.SeriesInstanceUID = "1.2.3.4.5"


@pytest.mark.parametrize(
    ("outlet", "spoil", "rule"),
    [
        ("seg", empty_second_segment, "empty"),
        ("seg", other_frame_of_reference, "geometry"),
        ("seg", shifted_frame, "geometry"),
        ("seg", other_instance, "reference"),
        ("seg", image_series, "identity"),
        ("rtstruct", no_contours, "empty"),
        ("rtstruct", other_instance, "reference"),
        ("rtstruct", lambda ds: setattr(ds, "ApprovalStatus", "APPROVED"), "review"),
        ("sr", other_segment, "reference"),
        ("sr", other_instance, "reference"),
        ("sr", no_evidence, "reference"),
        ("sr", no_status, "status"),
        ("sr", lambda ds: setattr(ds, "PreliminaryFlag", "FINAL"), "review"),
        ("sr", lambda ds: setattr(ds, "PatientName", "Li^Si"), "identity"),
        ("sr", lambda ds: setattr(ds, "StudyInstanceUID", "1.2.3"), "identity"),
        ("pdf", lambda ds: setattr(ds, "PatientID", "TEST0002"), "identity"),
        ("pdf", lambda ds: setattr(ds, "EncapsulatedDocument", b"<html></html> "), "document"),
        ("pdf", lambda ds: setattr(ds, "MIMETypeOfEncapsulatedDocument", "text/html"), "document"),
        ("pdf", no_algorithm, "algorithm"),
    ],
)
def test_a_planted_fault_is_found(
    case: Case, objects: dict[str, EncodedObject], outlet: str, spoil: Callable[[Dataset], object], rule: str
) -> None:
    assert (outlet, rule) in found(case, objects, spoiled(objects[outlet], spoil))


@pytest.mark.parametrize(
    ("outlet", "old", "new", "rule"),
    [
        ("pdf", "张^三".encode(), b"\xd5\xc5^\xc8\xfd" + b"  ", "charset"),
        ("sr", b"UNVERIFIED", b"UNVERIFI\xe9D", "charset"),
        ("pdf", b"2.25.", b"2.25.0", "uid"),
    ],
)
def test_planted_bytes_are_found(
    case: Case, objects: dict[str, EncodedObject], outlet: str, old: bytes, new: bytes, rule: str
) -> None:
    data = objects[outlet].data
    if rule == "uid":
        at = data.index(old, data.index(b"\x20\x00\x0d\x00UI"))  # StudyInstanceUID
        data = data[:at] + b"2.025." + data[at + len(old) + 1 :]
    else:
        data = data.replace(old, new, 1)

    assert (outlet, rule) in found(case, objects, with_bytes(objects[outlet], data))


@pytest.mark.filterwarnings("ignore:The value length:UserWarning", "ignore:Value exceeds:UserWarning")
def test_a_value_longer_than_its_attribute_is_found(case: Case, objects: dict[str, EncodedObject]) -> None:
    changed = spoiled(objects["pdf"], lambda ds: setattr(ds, "SeriesDescription", "结" * 65))

    assert ("pdf", "length") in found(case, objects, changed)


def test_damaged_and_exchanged_files_are_found(case: Case, objects: dict[str, EncodedObject]) -> None:
    report = objects["sr"]

    assert ("sr", "file") in found(case, objects, with_bytes(report, b"no DICOM at all"))
    assert ("sr", "file") in found(case, objects, replace(report, sha256="0" * 64))
    assert ("sr", "identity") in found(case, objects, replace(report, sop_instance_uid="1.2.3"))


def test_objects_that_must_not_exist_for_a_failure_are_found(case: Case, objects: dict[str, EncodedObject]) -> None:
    failed = without_output(case.result, run_of("failed"))
    seg = objects["seg"]

    rules = {(v.outlet, v.rule) for v in validate([seg, *encode_all(failed, case.stack)], failed, case.stack)}

    assert ("seg", "status") in rules


def test_the_gate_refuses_with_the_rules_and_without_values(case: Case, objects: dict[str, EncodedObject]) -> None:
    changed = spoiled(objects["sr"], lambda ds: setattr(ds, "PatientName", "Li^Si"))

    with pytest.raises(InvalidObject) as refusal:
        require_valid([objects["seg"], changed], case.result, case.stack)

    assert ["sr", "identity"] in refusal.value.fields["broken"]
    assert "Li" not in str(refusal.value)


@pytest.mark.interop
def test_dciodvfy_finds_what_we_plant(objects: dict[str, EncodedObject]) -> None:
    require_program("dciodvfy")

    findings = dciodvfy_findings(spoiled(objects["sr"], lambda ds: delattr(ds, "Modality")))

    assert findings
    assert any(line.startswith("Error") for line in findings)


@pytest.mark.interop
def test_dciodvfy_runs_inside_the_gate(case: Case, objects: dict[str, EncodedObject]) -> None:
    require_program("dciodvfy")
    changed = spoiled(objects["pdf"], lambda ds: setattr(ds, "BurnedInAnnotation", "MAYBE"))

    violations = validate([changed], case.result, case.stack, outside=True)

    assert any(v.rule == "dciodvfy" for v in violations)


@pytest.mark.interop
def test_dciodvfy_is_shown_an_excerpt_of_very_many_frames_and_finds_what_we_plant(
    objects: dict[str, EncodedObject], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_program("dciodvfy")
    shown = []
    real = subprocess.run

    def run(command: list[str], **options: object) -> object:
        shown.append(dcmread(command[-1]))
        return real(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(outside, "MOST_FRAMES", 5)
    frames = int(dcmread(BytesIO(objects["seg"].data)).NumberOfFrames)

    assert dciodvfy_findings(objects["seg"]) == ()
    assert dciodvfy_findings(spoiled(objects["seg"], lambda ds: delattr(ds, "Modality")))
    assert [(ds.NumberOfFrames, len(ds.PerFrameFunctionalGroupsSequence)) for ds in shown] == [(5, 5)] * 2
    assert frames > 5
    numbers = {item.SegmentIdentificationSequence[0].ReferencedSegmentNumber for item in shown[0][0x52009230].value}
    assert len(numbers) > 1  # from all of the object, not from its beginning


def test_segments_are_told_where_all_frames_share_their_identification(
    objects: dict[str, EncodedObject], case: Case
) -> None:
    violations = validate([spoiled(objects["seg"], identified_for_all_frames)], case.result, case.stack)

    empty = {v.text for v in violations if v.rule == "empty"}
    assert any("Segment 1 " in text for text in empty) and not any("Segment 2 " in text for text in empty)


@pytest.mark.interop
def test_an_unknown_character_set_is_no_remark_of_pydicom_where_another_thread_asks(
    objects: dict[str, EncodedObject],
) -> None:
    require_program("dciodvfy")
    with quiet_pydicom():
        odd = spoiled(objects["seg"], lambda ds: set_raw(ds, "SpecificCharacterSet", b"nonsense"))

    with ThreadPoolExecutor(max_workers=1) as pool:
        assert pool.submit(dciodvfy_findings, odd).result()  # its own errors, and not a warning raised


def test_a_program_that_is_not_installed_is_no_verdict(objects: dict[str, EncodedObject]) -> None:
    assert dciodvfy_findings(objects["sr"], program="no-such-program") is None


def test_every_allowed_warning_has_its_reason() -> None:
    assert all(reason.strip() for _, reason in ALLOWED_WARNINGS)
    assert sorted([Violation("sr", "b", ""), Violation("pdf", "a", "")])[0].outlet == "pdf"


@pytest.mark.parametrize("outlet", ["seg", "rtstruct", "sr", "pdf"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda ds: None,
        lambda ds: set_raw(ds, "SoftwareVersions", "版本".encode("gbk")),
        lambda ds: set_raw(ds, "SeriesDescription", b"D" * 65),
        lambda ds: set_raw(ds, "ContentTime", b"1" * 20),
        lambda ds: set_raw(ds.ContributingEquipmentSequence[0], "Manufacturer", b"\xc3\x28"),
        lambda ds: set_raw(ds, "SeriesInstanceUID", b"1.02"),
    ],
)
def test_the_quick_look_at_elements_finds_what_the_plain_one_finds(
    objects: dict[str, EncodedObject], outlet: str, spoil: Callable[[Dataset], object]
) -> None:
    with quiet_pydicom():
        changed = spoiled(objects[outlet], spoil)

        plain = set(element_violations(outlet, dcmread(BytesIO(changed.data))))

    assert set(raw_violations(outlet, raw_object(changed.data))) == plain


@pytest.mark.parametrize("kept", [0, 100, 140, 900, -1])
def test_an_object_that_ends_early_is_no_object(objects: dict[str, EncodedObject], kept: int) -> None:
    with pytest.raises(ValueError, match=r"ends|beyond|closed"):
        raw_object(objects["sr"].data[:kept])


@pytest.mark.parametrize("fault", [subprocess.TimeoutExpired("dciodvfy", 120), PermissionError("no")])
def test_a_validator_that_gives_no_answer_lets_nothing_out(
    case: Case, objects: dict[str, EncodedObject], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def silent(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("shutil.which", lambda program: f"/bin/{program}")
    monkeypatch.setattr("subprocess.run", silent)

    with pytest.raises(ValidatorSilent, match="gave no answer on the seg within 120 s; repair or remove it"):
        require_valid(list(objects.values()), case.result, case.stack, outside=True)


def test_what_was_asked_before_is_not_asked_again(
    case: Case, objects: dict[str, EncodedObject], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Future[tuple[str, ...] | None]] = {}
    for item in objects.values():
        asked[item.sha256] = Future()
        asked[item.sha256].set_result(("Error - planted",) if item.outlet == "sr" else ())
    monkeypatch.setattr("shutil.which", lambda program: pytest.fail("it was asked again"))

    violations = validate(list(objects.values()), case.result, case.stack, outside=True, asked=asked)

    assert violations == (Violation("sr", "dciodvfy", "Error - planted"),)
