"""Headers that break the standard in patient or study: the result arrives all the same, and faults of ours count."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from imaging.quiet import quiet_pydicom
from imaging.series import Stack, scan
from reports import EncodedObject, Result, encode_all, encode_pdf, encode_sr, study_ref
from reports.encode.encoded import encoding
from reports.encode.identity import source_identity, source_warnings
from reports.errors import EncodingError, NotForSending
from reports.representations import is_legal_code, is_too_long
from reports.validate import require_valid, validate
from tests.conftest import require_program
from tests.reports.making import Case, make_case, run_of, set_raw, without_output
from tests.reports.test_validate import found, spoiled

LONG = [
    ("AccessionNumber", b"A" * 20),
    ("StudyID", b"S" * 20),
    ("StudyDescription", b"D" * 80),
    ("PatientID", b"P" * 70),
    ("PatientName", b"N" * 70),
    ("AccessionNumber", b"12\\34"),
]
BROKEN = [
    ("PatientBirthDate", b"1960"),
    ("PatientBirthDate", b"19610229"),
    ("StudyTime", b"9:05"),
    ("StudyTime", b"250000"),
    ("StudyDate", b"2024-05-22"),
    ("StudyDate", b"20240522\\20240523"),
    ("PatientSex", b"X"),
    ("PatientSex", "男".encode("gbk")),
    ("PatientWeight", b"heavy"),
    ("PatientAge", b"63"),
]
LEGAL = [
    ("ReferringPhysicianName", b"DRWANG"),
    ("PatientName", b"ZHANGSAN"),
    ("PatientSex", b"O"),
    ("StudyTime", b"09"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faulty")


@pytest.fixture(scope="module")
def sound(folder: Path) -> Case:
    return make_case(folder)


def faulty(sound: Case, folder: Path, keyword: str, value: bytes) -> tuple[Result, Stack]:
    """The result on the same series with another value in each header."""
    stack = scan([folder]).stacks[0]
    for header in stack.headers:
        set_raw(header, keyword, value)
    return replace(sound.result, study=study_ref(stack.header)), stack


def by_outlet(objects: tuple[EncodedObject, ...]) -> dict[str, EncodedObject]:
    return {o.outlet: o for o in objects}


def written(objects: tuple[EncodedObject, ...]) -> Iterator[tuple[EncodedObject, Dataset]]:
    with quiet_pydicom():
        yield from ((item, dcmread(BytesIO(item.data))) for item in objects)


@pytest.mark.parametrize(("keyword", "value"), [*LEGAL, *LONG, *BROKEN])
def test_a_faulty_header_gives_all_objects_without_dciodvfy_and_with_it(
    sound: Case, folder: Path, keyword: str, value: bytes
) -> None:
    result, stack = faulty(sound, folder, keyword, value)

    objects = encode_all(result, stack, sound.volume, pictures=())

    assert [o.outlet for o in objects] == ["seg", "rtstruct", "sr", "pdf"]
    assert [o.sop_instance_uid for o in objects] == [o.sop_instance_uid for o in encode_all(result, stack, pictures=())]
    assert validate(objects, result, stack) == ()
    assert validate(objects, result, stack, outside=True) == ()
    failure = without_output(result, run_of("failed"))
    require_valid(encode_all(failure, stack), failure, stack, outside=True)


@pytest.mark.parametrize(("keyword", "value"), BROKEN)
def test_a_value_that_no_encoder_takes_is_copied_by_bytes_or_left_empty_and_named(
    sound: Case, folder: Path, keyword: str, value: bytes
) -> None:
    result, stack = faulty(sound, folder, keyword, value)

    for item, ds in written(encode_all(result, stack, pictures=())):
        element = ds.get_item(keyword)
        if item.outlet in {"seg", "rtstruct"}:
            assert element is not None
            assert bytes(element.value or b"").rstrip() == value
        else:
            assert element is None or not element.value
        (warning,) = (w for w in item.warnings if keyword in w)
        assert value.decode("gbk") not in warning


@pytest.mark.parametrize(("keyword", "value"), LONG)
def test_a_text_is_kept_however_long_and_named(sound: Case, folder: Path, keyword: str, value: bytes) -> None:
    result, stack = faulty(sound, folder, keyword, value)

    for item, ds in written(encode_all(result, stack, pictures=())):
        element = ds.get_item(keyword)
        assert element is not None
        assert bytes(element.value or b"").rstrip() == value
        assert [keyword in w for w in item.warnings] == [True]


@pytest.mark.parametrize(("keyword", "value"), LEGAL)
def test_a_legal_value_is_kept_without_a_word(sound: Case, folder: Path, keyword: str, value: bytes) -> None:
    result, stack = faulty(sound, folder, keyword, value)

    for item, ds in written(encode_all(result, stack, pictures=())):
        assert str(ds[keyword].value).encode() == value
        assert item.warnings == ()


def test_several_faults_in_one_header_leave_the_report_readable(sound: Case, folder: Path) -> None:
    result, stack = faulty(sound, folder, "PatientBirthDate", b"1960")
    for keyword, value in BROKEN[2:]:
        set_raw(stack.header, keyword, value)

    report, document = encode_sr(result, stack), encode_pdf(result, stack)

    assert len(report.warnings) == len({keyword for keyword, _ in BROKEN})
    assert report.warnings == document.warnings


def test_an_identifier_of_the_images_with_a_leading_zero_is_theirs(tmp_path: Path) -> None:
    uid = "1.2.840.0113.7"
    with quiet_pydicom():
        case = make_case(tmp_path, attributes=(("StudyInstanceUID", uid),))
    objects = encode_all(case.result, case.stack, pictures=())

    assert validate(objects, case.result, case.stack, outside=True) == ()
    assert any("StudyInstanceUID" in w for w in objects[0].warnings)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("says_how", [False, True])
def test_images_without_identity_give_all_objects_whether_they_say_how_it_was_removed_or_not(
    tmp_path: Path, syntax: UID, says_how: bool
) -> None:
    case = make_case(tmp_path)
    for file in case.stack.files:
        ds = dcmread(file)
        ds.PatientIdentityRemoved = "YES"
        if says_how:
            item = Dataset()
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "113100", "DCM", "Basic 保密 Profile"
            ds.DeidentificationMethodCodeSequence = [item]
        ds.file_meta.TransferSyntaxUID = syntax
        ds.save_as(file, implicit_vr=syntax.is_implicit_VR, little_endian=True)
    stack = scan([tmp_path]).stacks[0]

    objects = encode_all(case.result, stack, pictures=())

    assert validate(objects, case.result, stack, outside=True) == ()
    for made, read in written(objects[:2]):
        assert read.PatientIdentityRemoved == "YES", made.outlet
        codes = read.get("DeidentificationMethodCodeSequence", ())
        assert [code.CodeMeaning for code in codes] == ["Basic 保密 Profile"] * says_how


@pytest.mark.parametrize(
    ("outlet", "keyword", "value", "rule"),
    [
        ("pdf", "StudyDescription", b"D" * 81, "length"),
        ("seg", "StudyInstanceUID", b"1.02.3", "uid"),
        ("rtstruct", "StudyID", b"S" * 21, "length"),
        ("sr", "PatientID", b"P" * 71, "identity"),
    ],
)
def test_a_fault_that_the_images_do_not_have_is_ours(
    sound: Case, folder: Path, outlet: str, keyword: str, value: bytes, rule: str
) -> None:
    result, stack = faulty(sound, folder, "AccessionNumber", b"A" * 20)
    objects = by_outlet(encode_all(result, stack, pictures=()))
    with quiet_pydicom():
        changed = spoiled(objects[outlet], lambda ds: set_raw(ds, keyword, value))

    assert (outlet, rule) in found(Case(stack, sound.volume, result), objects, changed)


@pytest.mark.interop
@pytest.mark.parametrize(
    ("outlet", "keyword", "value"),
    [
        ("seg", "PatientSex", b"X "),
        ("sr", "StudyDate", b"2024-05-22"),
        ("pdf", "BurnedInAnnotation", b"MAYBE "),
        ("rtstruct", "StructureSetLabel", b"L" * 30),
    ],
)
def test_an_error_of_dciodvfy_in_a_value_of_ours_still_counts_beside_a_fault_of_the_images(
    sound: Case, folder: Path, outlet: str, keyword: str, value: bytes
) -> None:
    require_program("dciodvfy")
    result, stack = faulty(sound, folder, "AccessionNumber", b"A" * 20)
    objects = by_outlet(encode_all(result, stack, pictures=()))
    with quiet_pydicom():
        changed = spoiled(objects[outlet], lambda ds: set_raw(ds, keyword, value))

    violations = validate([changed], result, stack, outside=True)

    assert any(v.rule == "dciodvfy" for v in violations)
    assert not any("Accession" in v.text for v in violations)


def test_a_foreign_error_becomes_ours_and_quotes_nothing() -> None:
    with pytest.raises(EncodingError) as refusal, encoding("sr"):
        raise ValueError("Unable to convert '1960' to 'DA' object")

    assert "ValueError" in str(refusal.value)
    assert "1960" not in str(refusal.value)
    assert refusal.value.__suppress_context__


def test_an_error_of_ours_passes_unchanged() -> None:
    with pytest.raises(NotForSending), encoding("sr"):
        raise NotForSending("The result waits for a person.")


def test_a_foreign_error_inside_an_encoder_is_an_encoding_error(sound: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("Zhang^San")

    for target, outlet in (
        ("contouring.seg_write.write_seg", "seg"),
        ("contouring.rtstruct_write.write_rtstruct", "rtstruct"),
        ("highdicom.sr.Comprehensive3DSR", "sr"),
        ("reports.document.report_pdf", "pdf"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, broken)
            with pytest.raises(EncodingError) as refusal:
                encode_all(sound.result, sound.stack, pictures=())
        assert outlet in str(refusal.value)
        assert "Zhang" not in str(refusal.value)


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("StudyDate", "20240229", True), ("StudyDate", "20230229", False), ("StudyDate", "2024.02.29", False),
        ("StudyTime", "235960.123456", True), ("StudyTime", "2359", True), ("StudyTime", "240000", False),
        ("PatientAge", "063Y", True), ("PatientAge", "63Y", False),
        ("PatientSize", "1.7", True), ("PatientSize", "-1E-3", True), ("PatientSize", "1.70000000000000001", False),
        ("PatientSize", "nan", False), ("PatientSex", "F", True), ("PatientSex", "U", False),
    ],
)  # fmt: skip
def test_values_are_legal_as_the_table_of_representations_says(keyword: str, value: str, expected: bool) -> None:
    assert is_legal_code(keyword, value) is expected


def test_the_length_of_a_name_counts_for_each_group_and_of_a_text_for_each_value() -> None:
    assert not is_too_long("PN", "=".join(["张" * 64] * 3))
    assert is_too_long("PN", "A=" + "张" * 65)
    assert not is_too_long("SH", "A" * 16 + "\\" + "B" * 16)
    assert is_too_long("ST", "A" * 1000 + "\\" + "B" * 24)


def test_an_empty_header_needs_no_warning() -> None:
    assert source_warnings(Dataset()) == ()
    assert not source_identity(Dataset()).PatientSex
