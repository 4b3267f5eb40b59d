"""The report for people: its text, its fonts, its bytes, hostile names."""

from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pypdf import PdfReader

from contouring.names import lookup
from reports import EncodedObject, Result, encode_pdf
from reports.document import report_pdf
from reports.numbers import format_volume_cc
from reports.wording import REVIEW_SENTENCE
from tests.reports.making import ALGORITHM, PROCESSING, Case, run_of, without_output


def document(item: EncodedObject) -> PdfReader:
    ds = dcmread(BytesIO(item.data))
    return PdfReader(BytesIO(ds.EncapsulatedDocument))


def text_of(pdf: bytes) -> str:
    """All text without line ends: a long value may be broken anywhere."""
    return "".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages).replace("\n", "")


def named(result: Result, patient_name: str) -> Result:
    return replace(result, study=replace(result.study, patient_name=patient_name))


def test_the_object_says_what_it_is(case: Case, objects: dict[str, EncodedObject]) -> None:
    ds = dcmread(BytesIO(objects["pdf"].data))

    assert ds.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert ds.BurnedInAnnotation == "YES"
    assert ds.DocumentTitle
    assert ds.PatientName == "Zhang^San=张^三"
    assert len(ds.SourceInstanceSequence) == len(case.stack.sources)
    assert len(ds.EncapsulatedDocument) % 2 == 0


def test_the_text_can_be_extracted_and_names_patient_structures_algorithm_and_hashes(
    case: Case, objects: dict[str, EncodedObject]
) -> None:
    text = text_of(bytes(dcmread(BytesIO(objects["pdf"].data)).EncapsulatedDocument))

    for expected in ("张三", "Zhang San", "TEST0001", "ACC1", "2026-03-04", "分析完成，有结果"):
        assert expected in text
    for structure in case.result.structures:
        assert structure.name.tg263 in text
        assert structure.name.zh in text
        assert structure.volume_cc is not None
        assert format_volume_cc(structure.volume_cc) in text
    for expected in (ALGORITHM.name, ALGORITHM.version, *ALGORITHM.weights_sha256, case.result.input.digest):
        assert expected in text
    for expected in ("ct.truncation", "3.14 %", "左侧体表超出重建视野", "请将患者右移约 15 mm", "头信息缺项"):
        assert expected in text


def test_each_page_has_the_sentence_on_review_and_its_number(objects: dict[str, EncodedObject]) -> None:
    pages = document(objects["pdf"]).pages

    for number, page in enumerate(pages, start=1):
        text = page.extract_text()
        assert REVIEW_SENTENCE in text
        assert f"{number} / {len(pages)}" in text
        assert f"{ALGORITHM.name} {ALGORITHM.version}" in text


def test_every_font_that_shows_text_is_embedded(objects: dict[str, EncodedObject]) -> None:
    fonts = {}
    for page in document(objects["pdf"]).pages:
        for font in page["/Resources"]["/Font"].values():  # type: ignore[index]
            fonts[font["/BaseFont"]] = font.get("/FontDescriptor", {})
    shown = {name: d for name, d in fonts.items() if name != "/Helvetica"}  # reportlab always declares it

    assert shown
    assert all("/FontFile2" in descriptor for descriptor in shown.values())


def test_the_same_result_gives_the_same_bytes(case: Case, objects: dict[str, EncodedObject]) -> None:
    from reports.pictures import key_pictures

    again = encode_pdf(case.result, case.stack, pictures=key_pictures(case.volume, case.result.structures))

    assert again.sha256 == objects["pdf"].sha256


@pytest.mark.parametrize(
    "name",
    [
        "<b>^<script>alert(1)</script>&amp;",
        "%s{0}\\n^$(rm)=((張^三",
        "A" * 64 + "^" + "B" * 64,
        "王^" + "小" * 60,
        "Ng^Ann=吳^\U00020bb7家",
        "مريض^اسم",
        "\u202eevil^name",
    ],
)
def test_a_hostile_or_rare_name_is_shown_and_nothing_of_it_vanishes(case: Case, name: str) -> None:
    text = text_of(report_pdf(named(case.result, name)))

    flat = text.replace(" ", "")
    for character in name:
        if character in "^= ":
            continue
        assert character in flat or f"[U+{ord(character):04X}]" in flat


def test_a_name_too_long_for_its_place_is_broken_not_cut(case: Case) -> None:
    text = text_of(report_pdf(named(case.result, "A" * 64 + "^" + "B" * 64)))

    assert "A" * 64 in text.replace(" ", "")
    assert "B" * 64 in text.replace(" ", "")


@pytest.mark.parametrize(("status", "words"), [("failed", "AI 未完成"), ("refused", "未进行 AI 分析")])
def test_a_failure_is_said_with_its_reason_and_action(case: Case, status: str, words: str) -> None:
    run = run_of(status, action="Scan again without gantry tilt.")  # type: ignore[arg-type]

    text = text_of(report_pdf(without_output(case.result, run)))

    assert words in text
    assert run.reason in text
    assert run.reason_zh in text
    assert run.action in text
    assert "分析完成" not in text


def test_none_found_names_its_scope_and_never_says_normal(case: Case) -> None:
    text = text_of(report_pdf(without_output(case.result, run_of(scope_covered=True))))

    assert "未检出" in text
    assert f"{ALGORITHM.name} {ALGORITHM.version}" in text
    assert "正常" not in text


def test_sixty_structures_and_two_algorithms_run_over_pages_with_heads_repeated(case: Case) -> None:
    first = case.result.structures[0]
    many = tuple(
        replace(first, id=f"s{n}", number=n, tracking_uid=f"2.25.{n}", name=replace(lookup("Parotid_L"), tg263=f"Z{n}"))
        for n in range(1, 61)
    )
    runs = (*case.result.runs, run_of(algorithm=PROCESSING, id="r2", scope_covered=True))

    pages = PdfReader(BytesIO(report_pdf(replace(case.result, structures=many, runs=runs)))).pages

    text = "".join(p.extract_text() for p in pages)
    assert len(pages) >= 3
    assert text.count("TG-263") == sum("TG-263" in p.extract_text() for p in pages) >= 2
    assert all(f"Z{n}" in text for n in range(1, 61))
