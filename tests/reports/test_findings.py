"""Findings and class scores stand in the JSON form, the structured report and the PDF, measurements coded."""

import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread
from pypdf import PdfReader

from reports import Result, encode_all, outcome
from reports.document import report_pdf
from reports.errors import InvalidResult
from reports.findings import ClassScore, Finding, finding_of
from reports.validate import validate
from tests.reports.making import Case

LESION: dict[str, Any] = {
    "structure": "Parotid_R",
    "label": "lung nodule",
    "score": 0.87321,
    "box": {
        "centre_lps": (-31.25, 12.5, 410.0),
        "size_mm": (11.0, 12.5, 9.75),
        "directions": ((0.8, 0.6, 0.0), (-0.6, 0.8, 0.0), (0.0, 0.0, 1.0)),
    },
    "lesion": {
        "long_axis_mm": 12.3,
        "short_axis_mm": 8.4,
        "largest_diameter_mm": 13.9,
        "mean": -41.5,
        "unit": "[hnsf'U]",
    },
    "uptake": {
        "maximum": 9.75,
        "mean": 5.25,
        "peak": 8.125,
        "threshold": 4.0,
        "metabolic_volume_cc": 1.375,
        "total_lesion_glycolysis_g": 7.5,
    },
}


def with_findings(case: Case) -> Result:
    """The case's result with a measured finding on a structure, one with a box alone, and two class scores."""
    structure = case.result.structures[0]
    entry = LESION | {"structure": structure.name.tg263}
    loose = LESION | {"structure": "", "lesion": None, "uptake": None, "score": 0.4}
    findings = (finding_of(structure.run, entry), finding_of(structure.run, loose))
    scores = (ClassScore("r1", "B", 0.91), ClassScore("r1", "A", 0.09))
    return replace(case.result, findings=findings, scores=scores)


def numbers(item: Any) -> list[tuple[str, str, float, str]]:
    """(name, derivation, value, unit) of every measurement of a content tree."""
    found = []
    for child in item.get("ContentSequence", ()):
        if child.ValueType == "NUM":
            value = child.MeasuredValueSequence[0]
            how = [
                c.ConceptCodeSequence[0].CodeMeaning for c in child.get("ContentSequence", ()) if c.ValueType == "CODE"
            ]
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            found.append((child.ConceptNameCodeSequence[0].CodeMeaning, "".join(how), float(value.NumericValue), unit))
        found += numbers(child)
    return found


def test_the_record_of_a_step_becomes_a_finding() -> None:
    finding = finding_of("r1", LESION)

    assert finding.structure == "r1.Parotid_R"
    assert finding.score == pytest.approx(0.87321)
    assert dict(finding.measured)["suv_peak"] == 8.125
    assert finding.size_mm == (11.0, 12.5, 9.75)
    assert finding.directions[1] == (-0.6, 0.8, 0.0)
    assert finding_of("r1", LESION | {"score": 1.0}).score is None


def test_the_json_form_brings_them_back(case: Case) -> None:
    result = with_findings(case)

    form = json.loads(json.dumps(result.to_json()))

    again = Result.from_json(form, {s.id: s.region for s in result.structures if s.region is not None})
    assert again.findings == result.findings
    assert again.scores == result.scores
    for entry in form["findings"]:
        del entry["directions"]  # as an earlier radgate wrote it
    earlier = Result.from_json(form, {s.id: s.region for s in result.structures if s.region is not None})
    assert [f.size_mm for f in earlier.findings] == [f.size_mm for f in result.findings]
    assert again.uid_parts == result.uid_parts != case.result.uid_parts


def test_the_structured_report_has_every_measurement_with_its_code(case: Case) -> None:
    result = with_findings(case)

    objects = encode_all(result, case.stack, case.volume)

    assert not validate(objects, result, case.stack, outside=True)
    report = dcmread(BytesIO(next(o.data for o in objects if o.outlet == "sr")))
    found = numbers(report)
    assert ("SUVbw", "Maximum", 9.75, "g/ml{SUVbw}") in found
    assert ("SUVbw", "Peak Value Within ROI", 8.125, "g/ml{SUVbw}") in found
    assert ("Total Lesion Glycolysis", "", 7.5, "g") in found
    assert ("Long axis", "", 12.3, "mm") in found
    assert ("Attenuation Coefficient", "Mean", -41.5, "[hnsf'U]") in found
    assert [v for name, _, v, _ in found if name == "Probability"] == [0.8732, 0.4, 0.91, 0.09]


def test_the_document_shows_them(case: Case) -> None:
    text = "\n".join(page.extract_text() for page in PdfReader(BytesIO(report_pdf(with_findings(case)))).pages)

    for word in ("发现与测量", "lung nodule", "0.87", "12.3", "9.75", "分类评分", "0.910", "12.5 x 9.75"):
        assert word in text, word


def test_scores_alone_are_a_result_with_findings(case: Case) -> None:
    scores = (ClassScore("r1", "A", 0.75),)
    runs = tuple(r for r in case.result.runs if r.id == "r1")

    result = replace(case.result, runs=runs, structures=(), scores=scores, status=outcome(runs, scores))

    assert result.status == "findings"
    objects = encode_all(result, case.stack, case.volume)
    assert [o.outlet for o in objects] == ["sr", "pdf"]
    assert not validate(objects, result, case.stack)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Finding("r1", "x", score=1.5),
        lambda: Finding("r1", "x", measured=(("suv_max", float("nan")),)),
        lambda: Finding("r1", "x", measured=(("weight", 1.0),)),
        lambda: ClassScore("r1", "x", -0.1),
    ],
)
def test_impossible_numbers_are_refused(wrong: Any) -> None:
    with pytest.raises(InvalidResult):
        wrong()


def test_a_finding_on_a_structure_that_is_not_there_is_refused(case: Case) -> None:
    with pytest.raises(InvalidResult, match="does not have"):
        replace(case.result, findings=(Finding("r1", "x", structure="r1.Spleen"),))
