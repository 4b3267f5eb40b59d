"""The structured report: its tree, its codes for every status, its references."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from reports import Capability, Result, encode_sr
from reports.encode.encoded import EncodedObject
from reports.errors import NotForSending
from reports.validate import dciodvfy_findings
from reports.wording import REVIEW_SENTENCE
from tests.conftest import require_program
from tests.reports.making import ALGORITHM, PROCESSING, Case, run_of, without_output


def read(item: EncodedObject) -> Dataset:
    return dcmread(BytesIO(item.data))


def items(ds: Dataset) -> Iterator[Dataset]:
    """All content items below the root."""
    for item in ds.get("ContentSequence", ()):
        yield item
        yield from items(item)


def name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def of(ds: Dataset, value: str) -> list[Dataset]:
    """Items whose concept name has this code value."""
    return [item for item in items(ds) if name(item) == value]


def groups(ds: Dataset) -> dict[str, Dataset]:
    """Measurement groups by tracking identifier."""
    return {of(g, "112039")[0].TextValue: g for g in of(ds, "125007")}


def failing(case: Case) -> dict[str, Result]:
    result = case.result
    return {
        "none_found": without_output(result, run_of(scope_covered=True)),
        "partial": without_output(result, run_of(scope_covered=True), run_of("failed", PROCESSING, id="r2")),
        "failed": without_output(result, run_of("failed")),
        "refused": without_output(result, run_of("refused", action="Scan again without gantry tilt.")),
    }


def test_each_structure_has_a_group_with_segment_volume_site_and_algorithm(
    case: Case, objects: dict[str, EncodedObject]
) -> None:
    ds = read(objects["sr"])

    assert ds.SOPClassUID == Comprehensive3DSRStorage
    assert ds.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    for structure in case.result.structures:
        group = groups(ds)[structure.name.tg263]
        segment = of(group, "121191")[0].ReferencedSOPSequence[0]
        volume = of(group, "118565006")[0].MeasuredValueSequence[0]
        site = of(group, "363698007")[0]
        assert segment.ReferencedSOPInstanceUID == objects["seg"].sop_instance_uid
        assert segment.ReferencedSegmentNumber == structure.number
        assert structure.tracking_uid == of(group, "112040")[0].UID
        assert float(volume.NumericValue) == pytest.approx(structure.volume_cc, abs=1e-12)
        assert volume.MeasurementUnitsCodeSequence[0].CodeValue == "cm3"
        assert site.ConceptCodeSequence[0].CodeValue == structure.name.type.value
        sides = [i.ConceptCodeSequence[0].CodeValue for i in of(group, "272741003")]
        assert sides == ([structure.name.modifier.value] if structure.name.modifier else [])
        assert of(group, "111001")[0].TextValue == ALGORITHM.name
        assert of(group, "111003")[0].TextValue == ALGORITHM.version
        parameters = {i.TextValue for i in of(group, "111002")}
        assert {f"weights_sha256={w}" for w in ALGORITHM.weights_sha256} <= parameters
        assert of(group, "121232") or of(group, "112227")


def test_it_is_complete_unverified_and_preliminary_in_chinese_and_utf8(objects: dict[str, EncodedObject]) -> None:
    ds = read(objects["sr"])

    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert ds.PatientName == "Zhang^San=张^三"
    assert of(ds, "121049")[0].ConceptCodeSequence[0].CodeValue == "zh-CN"
    assert any(i.get("TextValue") == REVIEW_SENTENCE for i in items(ds))
    assert ds.SeriesDescription.startswith("AI ")


def test_every_item_names_the_character_set_unless_the_destination_does_not_want_it(case: Case) -> None:
    marked, plain = (
        read(encode_sr(case.result, case.stack, capability=Capability(item_charset=wanted))) for wanted in (True, False)
    )

    assert all(i.SpecificCharacterSet == "ISO_IR 192" for i in items(marked))
    assert not any("SpecificCharacterSet" in i for i in items(plain))


@pytest.mark.parametrize(
    ("status", "concept", "value"),
    [
        ("none_found", "111017", "111241"),
        ("partial", "111017", "111243"),
        ("failed", "111017", "111245"),
        ("refused", "111065", "111225"),
    ],
)
def test_each_status_has_its_code_reason_and_action(case: Case, status: str, concept: str, value: str) -> None:
    result = failing(case)[status]

    ds = read(encode_sr(result, case.stack))

    group = groups(ds)["status"]
    assert [i.ConceptCodeSequence[0].CodeValue for i in of(group, concept)] == [value]
    texts = [i.TextValue for i in items(ds) if i.ValueType == "TEXT"]
    for run in result.runs:
        for sentence in (run.reason, run.action):
            assert not sentence or any(sentence in text for text in texts)
    assert not any("正常" in text or "normal" in text.lower() for text in texts)
    assert not of(ds, "121191")


def test_findings_of_a_partial_result_say_that_not_all_succeeded(case: Case) -> None:
    runs = (*case.result.runs, run_of("failed", PROCESSING, id="r2"))
    partial = replace(case.result, runs=runs, status="partial")

    ds = read(encode_sr(partial, case.stack))

    assert of(groups(ds)["status"], "111017")[0].ConceptCodeSequence[0].CodeValue == "111244"
    assert of(groups(ds)["run r2"], "111017")[0].ConceptCodeSequence[0].CodeValue == "111245"


def test_quality_is_coded_without_ever_saying_unusable(objects: dict[str, EncodedObject]) -> None:
    ds = read(objects["sr"])
    grades = {
        key: [i.ConceptCodeSequence[0].CodeValue for i in of(group, "111050")] for key, group in groups(ds).items()
    }

    assert grades["ct.noise.gni"] == ["111237"]
    assert grades["ct.truncation"] == grades["qc.series"] == ["111236"]
    assert grades["gen.tag.position"] == []
    noise = of(groups(ds)["ct.noise.gni"], "QC0001")[0].MeasuredValueSequence[0]
    assert (float(noise.NumericValue), noise.MeasurementUnitsCodeSequence[0].CodeValue) == (11.2, "[hnsf'U]")
    assert ds.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99RADGATE"


def test_a_result_that_waits_for_a_person_is_not_sent(case: Case) -> None:
    held = without_output(case.result, run_of("held"))

    with pytest.raises(NotForSending):
        encode_sr(held, case.stack)


def test_a_failure_and_a_later_success_do_not_share_a_uid(case: Case, objects: dict[str, EncodedObject]) -> None:
    uids = {encode_sr(r, case.stack).sop_instance_uid for r in failing(case).values()}

    assert len(uids | {objects["sr"].sop_instance_uid}) == 5


@pytest.mark.interop
@pytest.mark.parametrize("status", ["none_found", "partial", "failed", "refused"])
def test_dciodvfy_finds_no_error_for_any_status(case: Case, status: str) -> None:
    require_program("dciodvfy")

    assert dciodvfy_findings(encode_sr(failing(case)[status], case.stack)) == ()
