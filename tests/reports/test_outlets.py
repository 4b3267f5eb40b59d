"""All objects of a result: order, references between them, one number everywhere, the same bytes each time."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pypdf import PdfReader

from contouring.names import lookup
from imaging.series import scan
from reports import (
    Capability,
    EncodedObject,
    ObjectRef,
    RunStatus,
    encode_all,
    encode_rtstruct,
    encode_seg,
    measured_structure,
    study_ref,
)
from reports.errors import ForeignGeometry, MissingMask, NotForSending
from reports.numbers import format_volume_cc
from reports.validate import dciodvfy_findings, validate
from tests.conftest import require_program
from tests.reports.making import Case, make_case, run_of, without_output
from tests.synthetic.series import write_series


def read(item: EncodedObject) -> Dataset:
    return dcmread(BytesIO(item.data))


def test_objects_come_in_sending_order_what_is_referred_to_first(objects: dict[str, EncodedObject]) -> None:
    assert list(objects) == ["seg", "rtstruct", "sr", "pdf"]


def test_the_same_result_gives_the_same_bytes_a_second_time(case: Case, objects: dict[str, EncodedObject]) -> None:
    again = encode_all(case.result, case.stack, case.volume)

    assert [o.sha256 for o in again] == [o.sha256 for o in objects.values()]
    assert [o.data for o in again] == [o.data for o in objects.values()]


def test_a_result_from_its_json_form_gives_the_same_bytes(case: Case, objects: dict[str, EncodedObject]) -> None:
    form = json.loads(json.dumps(case.result.to_json()))
    restored = type(case.result).from_json(form, {s.id: s.region for s in case.result.structures if s.region})

    again = encode_all(restored, case.stack, case.volume)

    assert [o.sha256 for o in again] == [o.sha256 for o in objects.values()]


def test_the_structure_set_names_the_segments_it_was_drawn_from(case: Case, objects: dict[str, EncodedObject]) -> None:
    rtstruct = read(objects["rtstruct"])

    text = rtstruct.to_json()

    assert objects["seg"].sop_instance_uid in text
    assert [r.ROIName for r in rtstruct.StructureSetROISequence] == [s.name.tg263 for s in case.result.structures]


def test_segments_carry_numbers_and_tracking_uids_of_the_result(case: Case, objects: dict[str, EncodedObject]) -> None:
    segments = read(objects["seg"]).SegmentSequence

    assert [(s.SegmentNumber, s.SegmentLabel, s.TrackingUID) for s in segments] == [
        (s.number, s.name.tg263, s.tracking_uid) for s in case.result.structures
    ]


def test_volumes_agree_in_json_report_and_pdf(case: Case, objects: dict[str, EncodedObject]) -> None:
    form = {s["name"]["tg263"]: s["volume"]["value"] for s in case.result.to_json()["structures"]}
    pdf = "".join(p.extract_text() for p in PdfReader(BytesIO(read(objects["pdf"]).EncapsulatedDocument)).pages)
    report = json.loads(read(objects["sr"]).to_json())
    values, texts = numbers_and_texts(report)

    for structure in case.result.structures:
        printed = format_volume_cc(form[structure.name.tg263])
        assert structure.volume_cc is not None
        assert form[structure.name.tg263] == structure.volume_cc
        assert any(abs(v - structure.volume_cc) < 1e-12 for v in values)
        assert any(structure.name.zh in t and f"{printed} cm3" in t for t in texts)
        line = next(line for line in pdf.splitlines() if structure.name.tg263 in line)
        after = pdf[pdf.index(line) :].split("A1")[0]
        assert printed in after


def numbers_and_texts(form: Any) -> tuple[list[float], list[str]]:
    """Values of all NUM items, and all texts, of a report in DICOM JSON."""
    values: list[float] = []
    texts: list[str] = []
    if isinstance(form, dict):
        values += [float(v) for v in form.get("0040A30A", {}).get("Value", [])]
        texts += form.get("0040A160", {}).get("Value", [])
        form = list(form.values())
    if isinstance(form, list):
        for part in form:
            more = numbers_and_texts(part)
            values += more[0]
            texts += more[1]
    return values, texts


@pytest.mark.parametrize("status", ["failed", "refused"])
def test_what_did_not_run_gives_report_and_pdf_but_never_an_empty_object(case: Case, status: RunStatus) -> None:
    result = without_output(case.result, run_of(status))

    assert [o.outlet for o in encode_all(result, case.stack)] == ["sr", "pdf"]


def test_a_series_refused_for_its_gantry_tilt_still_gets_its_report(case: Case, tmp_path: Path) -> None:
    write_series(tmp_path, tilt_deg=12.0)
    stack = scan([tmp_path]).stacks[0]
    refused = without_output(case.result, run_of("refused", reason="The slices are tilted by 12.00 degrees."))
    result = replace(refused, study=study_ref(stack.header), qc=())

    objects = encode_all(result, stack, None)

    assert [o.outlet for o in objects] == ["sr", "pdf"]
    assert validate(objects, result, stack) == ()


def test_none_found_gives_no_empty_segmentation(case: Case) -> None:
    result = without_output(case.result, run_of(scope_covered=True))

    assert [o.outlet for o in encode_all(result, case.stack, case.volume)] == ["sr", "pdf"]
    for encode in (encode_seg, encode_rtstruct):
        with pytest.raises(NotForSending):
            encode(result, case.stack)


def test_a_held_result_is_not_encoded(case: Case) -> None:
    with pytest.raises(NotForSending):
        encode_all(without_output(case.result, run_of("held")), case.stack, case.volume)


def test_a_result_without_its_masks_is_refused(case: Case) -> None:
    bare = type(case.result).from_json(case.result.to_json())

    with pytest.raises(MissingMask):
        encode_all(bare, case.stack, case.volume)


def test_structures_of_another_grid_are_refused_even_with_the_same_shape(case: Case, tmp_path: Any) -> None:
    shifted = make_case(tmp_path, origin_lps=(-31.5, 42.25, -115.0))

    with pytest.raises(ForeignGeometry):
        encode_all(case.result, shifted.stack, shifted.volume)


def test_a_destination_gets_only_what_it_accepts(case: Case) -> None:
    report, pdf = encode_all(case.result, case.stack, case.volume, capability=Capability(outlets=("sr", "pdf")))

    assert (report.outlet, pdf.outlet) == ("sr", "pdf")
    assert "ReferencedSegmentNumber" not in str(read(report))


def test_a_label_map_and_crack_contours_are_written_where_wanted(case: Case) -> None:
    capability = Capability(outlets=("seg", "rtstruct"), seg="labelmap", rt_mode="crack")

    seg, rtstruct = encode_all(case.result, case.stack, capability=capability)

    assert read(seg).SegmentationType == "LABELMAP"
    assert rtstruct.sop_instance_uid != encode_rtstruct(case.result, case.stack).sop_instance_uid


def test_structures_that_overlap_reach_a_destination_of_label_maps_all_the_same(case: Case) -> None:
    first = case.result.structures[0]
    assert first.region is not None
    run, study_uid = case.result.runs[0], case.stack.study_instance_uid
    again = measured_structure(lookup("Larynx"), first.region, case.stack.grid, run=run, study_uid=study_uid, number=2)
    overlapping = replace(case.result, structures=(first, again))
    capability = Capability(outlets=("seg", "rtstruct"), seg="labelmap")

    seg, rtstruct = encode_all(overlapping, case.stack, capability=capability)

    assert read(seg).SegmentationType == "BINARY"
    assert any("overlap" in warning for warning in seg.warnings)
    assert len(read(rtstruct).ROIContourSequence) == 2


def test_an_object_larger_than_wanted_says_so(case: Case) -> None:
    capability = Capability(outlets=("sr",), max_object_mb=0.001)

    assert "MB" in encode_all(case.result, case.stack, capability=capability)[0].warnings[0]


def test_an_edited_structure_is_semiautomatic(case: Case) -> None:
    first, second = case.result.structures
    edited = replace(case.result, structures=(replace(first, edited=True), second))

    seg, rtstruct = encode_all(edited, case.stack, capability=Capability(outlets=("seg", "rtstruct")))

    assert [s.SegmentAlgorithmType for s in read(seg).SegmentSequence] == ["SEMIAUTOMATIC", "AUTOMATIC"]
    kinds = [r.ROIGenerationAlgorithm for r in read(rtstruct).StructureSetROISequence]
    assert kinds == ["SEMIAUTOMATIC", "AUTOMATIC"]


@pytest.mark.interop
@pytest.mark.parametrize("outlet", ["seg", "rtstruct", "sr", "pdf"])
def test_dciodvfy_finds_no_error_and_no_unexplained_warning(objects: dict[str, EncodedObject], outlet: str) -> None:
    require_program("dciodvfy")

    assert dciodvfy_findings(objects[outlet]) == ()


def test_a_replacement_has_other_uids_and_names_what_it_replaces(case: Case, objects: dict[str, EncodedObject]) -> None:
    old = tuple(
        ObjectRef(o.outlet, o.sop_class_uid, o.sop_instance_uid, o.series_instance_uid) for o in objects.values()
    )
    result = replace(case.result, supersedes="the first result", predecessors=old)

    new = {o.outlet: o for o in encode_all(result, case.stack, case.volume)}

    assert not {o.sop_instance_uid for o in new.values()} & {o.sop_instance_uid for o in objects.values()}
    named = {
        str(i.ReferencedSOPInstanceUID)
        for study in read(new["sr"]).PredecessorDocumentsSequence
        for series in study.ReferencedSeriesSequence
        for i in series.ReferencedSOPSequence
    }
    assert named == {objects["sr"].sop_instance_uid, objects["seg"].sop_instance_uid}
    predecessor = read(new["rtstruct"]).PredecessorStructureSetSequence[0]
    assert predecessor.ReferencedSOPInstanceUID == objects["rtstruct"].sop_instance_uid
    assert validate(list(new.values()), result, case.stack) == ()
    assert type(result).from_json(result.to_json()).predecessors == result.predecessors


def test_highdicom_reads_the_groups_back(case: Case, objects: dict[str, EncodedObject], tmp_path: Path) -> None:
    from highdicom.sr import srread

    file = tmp_path / "report.dcm"
    file.write_bytes(objects["sr"].data)

    found = srread(file).content.get_volumetric_roi_measurement_groups()

    assert {g.tracking_identifier: g.referenced_segment.referenced_segment_numbers[0] for g in found} == {
        s.name.tg263: s.number for s in case.result.structures
    }
