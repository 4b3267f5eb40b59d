"""Verdicts as DICOM objects: codes of the standard, what they refer to, and what they never say by themselves."""

import json
import subprocess
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from qc.image import SeriesVerdict, check_inputs
from qc.image.inputs import Inputs
from qc.image.result import Location
from reports.errors import NotForSending
from reports.quality import JudgedSeries, encode_quality_kos, encode_quality_sr
from reports.quality.kos import ISSUES
from tests.conftest import require_program
from tests.qc.bodies import body_inputs, edited, header_inputs
from tests.qc.defects import dropped

MADE_AT = datetime(2026, 3, 4, 15, 6, 7, tzinfo=timezone(timedelta(hours=8)))


def judged(inputs: Inputs, profile: str = "ct_rt_sim", **fields: Any) -> JudgedSeries:
    return JudgedSeries(check_inputs(inputs, profile), inputs.headers, MADE_AT, **fields)


def items(ds: Dataset) -> list[Dataset]:
    """Every content item of a tree."""
    found = []
    for item in ds.get("ContentSequence", ()):
        found += [item, *items(item)]
    return found


def coded(ds: Dataset, name: str) -> list[str]:
    """Values of all CODE items with this concept name."""
    return [
        item.ConceptCodeSequence[0].CodeValue
        for item in items(ds)
        if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeValue == name
    ]


CUT = judged(body_inputs(shift_mm=40.0))


def test_a_report_has_a_group_for_each_check_with_its_grade_value_and_profile() -> None:
    ds = dcmread(BytesIO(encode_quality_sr(CUT).data))

    tracking = [
        i.TextValue for i in items(ds) if i.get("ConceptNameCodeSequence", [Dataset()])[0].get("CodeValue") == "112039"
    ]
    assert set(tracking) == {"qc.series", *(r.check_id for r in CUT.verdict.results)}
    assert coded(ds, "130550") == ["RID13"]
    assert "111236" in coded(ds, "111050") and "111237" in coded(ds, "111050")
    text = json.dumps(ds.to_json_dict(), ensure_ascii=False)
    assert CUT.verdict.profile_sha256 in text and "请将患者居中" in text and "Centre the patient" in text
    assert "侧 / side L" in text
    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    assert str(ds.PatientName) == "Zhang^San=张^三"


def test_no_check_ever_says_unusable_and_a_person_does() -> None:
    by_checks = dcmread(BytesIO(encode_quality_sr(CUT).data))
    by_person = dcmread(BytesIO(encode_quality_sr(replace(CUT, rejected=True)).data))

    assert "111235" not in coded(by_checks, "111050")
    assert coded(by_person, "111050")[0] == "111235"
    assert coded(by_person, "130550") == ["RID14"]


def test_what_could_not_be_judged_has_no_code_and_its_reason_in_words() -> None:
    series = judged(edited(body_inputs(), ImagePositionPatient=None), "ct_base")

    text = json.dumps(dcmread(BytesIO(encode_quality_sr(series).data)).to_json_dict(), ensure_ascii=False)

    assert "NOT_EVALUABLE (missing_tag)" in text


def test_a_list_of_images_names_the_neighbours_of_a_gap_and_the_cause() -> None:
    inputs = dropped(2, seed=1)
    series = judged(inputs, "ct_base")

    ds = dcmread(BytesIO(encode_quality_kos(series).data))

    assert ds.ConceptNameCodeSequence[0].CodeValue == "113010"
    modifier = ds.ContentSequence[0]
    assert modifier.RelationshipType == "HAS CONCEPT MOD"
    assert modifier.ConceptNameCodeSequence[0].CodeValue == "113011"
    assert modifier.ConceptCodeSequence[0].CodeValue == ISSUE_VALUES[series.verdict.findings()[0].cause.code]  # type: ignore[union-attr]
    listed = {i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for i in items(ds) if i.ValueType == "IMAGE"}
    whole = {str(h.SOPInstanceUID) for h in inputs.headers}
    missing = series.verdict.result("gen.geometry.missing")
    assert missing is not None
    around = set(series.instances_of(missing))
    assert around <= listed <= whole
    assert {int(h.InstanceNumber) for h in inputs.headers if h.SOPInstanceUID in around} == {8, 11}


ISSUE_VALUES = {"transfer": "111218", "positioning": "111209", "protocol": "111220"}


def test_only_a_person_lists_images_as_rejected_and_then_all_of_the_series() -> None:
    ds = dcmread(BytesIO(encode_quality_kos(replace(CUT, rejected=True)).data))

    assert ds.ConceptNameCodeSequence[0].CodeValue == "113001"
    listed = [i for i in items(ds) if i.ValueType == "IMAGE"]
    assert len(listed) == len(CUT.headers)


def test_a_series_without_findings_has_no_list() -> None:
    with pytest.raises(NotForSending):
        encode_quality_kos(judged(body_inputs(), "ct_base"))


def test_every_cause_of_a_check_has_a_code_of_the_standard() -> None:
    from qc.image.registry import CAUSES

    assert set(ISSUES) == set(CAUSES)


@pytest.mark.parametrize("rejected", [False, True])
def test_the_same_verdict_makes_the_same_bytes_whatever_the_order_of_headers(rejected: bool) -> None:
    mixed = replace(CUT, headers=CUT.headers[::-1], rejected=rejected)
    straight = replace(CUT, rejected=rejected)

    assert encode_quality_sr(mixed).sop_instance_uid == encode_quality_sr(straight).sop_instance_uid
    assert encode_quality_sr(straight).sha256 == encode_quality_sr(straight).sha256


def test_instances_named_by_uid_are_taken_as_they_are() -> None:
    series = judged(header_inputs(planes=4), "ct_base")
    uid = str(series.headers[2].SOPInstanceUID)
    result = replace(series.verdict.results[0], where=(Location("instances", {"sop_instance_uids": [uid]}),))

    assert series.instances_of(result) == (uid,)


def test_a_name_that_does_not_decode_goes_through_byte_for_byte() -> None:
    name = "张^三".encode("gb18030")
    headers = []
    for header in CUT.headers:
        buffer = BytesIO()
        copy = deepcopy(header)
        copy.PatientName = "XXXX"
        copy.save_as(buffer, enforce_file_format=True)
        data = buffer.getvalue().replace(b"XXXX", name[:4])
        headers.append(dcmread(BytesIO(data)))
    series = replace(CUT, headers=tuple(headers))

    for encoded in (encode_quality_sr(series), encode_quality_kos(series)):
        assert name[:4] in encoded.data
        assert dcmread(BytesIO(encoded.data)).SeriesDescription.isascii()


@pytest.mark.interop
@pytest.mark.parametrize("profile", ["ct_rt_sim", "ct_base"])
@pytest.mark.parametrize("rejected", [False, True])
def test_dciodvfy_finds_no_error_and_no_warning_but_the_private_scheme(
    tmp_path: Any, profile: str, rejected: bool
) -> None:
    program = require_program("dciodvfy")
    verdict: SeriesVerdict = check_inputs(body_inputs(shift_mm=40.0), profile)
    series = JudgedSeries(verdict, CUT.headers, MADE_AT, rejected, "en")

    for encoded in (encode_quality_sr(series), encode_quality_kos(series)):
        path = tmp_path / f"{encoded.outlet}.dcm"
        path.write_bytes(encoded.data)
        done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
        said = [x for x in (done.stdout + done.stderr).splitlines() if x.startswith(("Error", "Warning"))]
        assert [x for x in said if "99RADGATE" not in x] == []
