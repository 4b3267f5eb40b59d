import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicom_gateway.route import (
    Facts,
    Route,
    RouteExplanation,
    choose,
    default_routes,
    explain_stack,
    parse_route,
    render_text,
)
from imaging.series import Leftover, Stack, scan
from tests.conftest import data_folder
from tests.synthetic.series import SeriesDescription, write_series


def stack_of(folder: Path, **attributes: Any) -> Stack:
    geometry = {k: attributes.pop(k) for k in list(attributes) if k in SeriesDescription.__dataclass_fields__}
    write_series(folder, SeriesDescription(**geometry, attributes=tuple(attributes.items())))
    [stack] = scan([folder]).stacks
    return stack


def route(when: dict[str, Any], name: str = "r", bundle: str = "b", **more: Any) -> Route:
    return parse_route({"name": name, "bundle": bundle, "when": when, **more}, "route[0]")


def explained(stack: Stack, *clauses: dict[str, Any], facts: Facts | None = None) -> RouteExplanation:
    [answer] = explain_stack(stack, facts or Facts(), [route({"all": list(clauses)})]).routes
    return answer


def unchecked(keyword: str, vr: str, value: str) -> RawDataElement:
    tag = Tag(keyword)
    return RawDataElement(tag, vr, len(value), value.encode(), 0, False, True)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return stack_of(
        tmp_path_factory.mktemp("head"),
        BodyPartExamined="HEAD",
        StudyDescription="放疗定位 ＣＴ",
        SliceThickness="2.50",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        PatientAge="061Y",
        StudyDate="20260131",
        StudyTime="073000.25",
        ContrastBolusAgent=None,
    )


@pytest.mark.parametrize(
    ("clause", "outcome"),
    [
        ({"tag": "Modality", "equals": "CT"}, "true"),
        ({"tag": "Modality", "equals": "ct"}, "false"),  # codes are compared exactly
        ({"tag": "Modality", "one_of": ["MR", "CT"]}, "true"),
        ({"tag": "SliceThickness", "equals": 2.5}, "true"),
        ({"tag": "SliceThickness", "at_most": 2.5}, "true"),
        ({"tag": "SliceThickness", "at_most": 2.4}, "false"),
        ({"tag": "SliceThickness", "between": [2, 3]}, "true"),
        ({"tag": "SliceThickness", "at_least": 10}, "false"),  # a number: "2.5" is greater than "10" as text
        ({"tag": "StudyDescription", "contains": "定位 ct"}, "true"),  # full-width letters, other case
        ({"tag": "StudyDescription", "starts_with": "放疗"}, "true"),
        ({"tag": "StudyDescription", "matches": "SIM|定位"}, "true"),
        ({"tag": "StudyDescription", "equals": "放疗定位"}, "false"),
        ({"tag": "ImageType", "contains": "AXIAL"}, "true"),
        ({"tag": "ImageType", "contains": "AXI"}, "false"),  # of a code, a whole value
        ({"tag": "ImageType", "matches": "^[A-Z]+$", "values": "all"}, "true"),
        ({"tag": "ImageType", "one_of": ["ORIGINAL", "PRIMARY"], "values": "all"}, "false"),
        ({"tag": "PixelSpacing", "at_most": 1.0}, "true"),
        ({"tag": "PixelSpacing", "at_most": 1.0, "values": "all"}, "false"),
        ({"tag": "PatientAge", "at_least": 18}, "true"),
        ({"tag": "StudyDate", "between": ["2026-01-01", datetime.date(2026, 1, 31)]}, "true"),
        ({"tag": "StudyDate", "at_least": "2026-02-01"}, "false"),
        ({"tag": "StudyTime", "at_most": "07:30"}, "false"),
        ({"tag": "StudyTime", "at_most": datetime.time(8)}, "true"),
        ({"tag": "SOPClassUID", "equals": "CTImageStorage"}, "true"),
        ({"tag": "PatientName", "equals": "张^三", "component": "ideographic"}, "true"),
        ({"tag": "PatientName", "equals": "张^三", "component": "alphabetic"}, "false"),
        ({"tag": "PatientName", "starts_with": "ZHANG"}, "true"),
        ({"tag": "ProtocolName", "contains": "head"}, "unknown"),
        ({"tag": "ContrastBolusAgent", "contains": "x"}, "unknown"),  # present and empty
        ({"tag": "ProtocolName", "present": False}, "true"),
        ({"tag": "Modality", "present": True}, "true"),
        ({"stack": "regular"}, "true"),
        ({"stack": "irregular"}, "false"),
        ({"stack": "planes", "equals": 19}, "true"),
        ({"stack": "row_spacing_mm", "equals": 1.1}, "true"),
        ({"stack": "column_spacing_mm", "equals": 0.9}, "true"),
        ({"stack": "slice_spacing_mm", "equals": 2.5}, "true"),
        ({"stack": "extent_mm", "between": [44, 46]}, "true"),
        ({"stack": "rows", "equals": 53}, "true"),
        ({"stack": "columns", "equals": 47}, "true"),
        ({"study": "complete"}, "unknown"),
        ({"peer": "CT1"}, "unknown"),
        ({"qc": "grade", "one_of": ["PASS"]}, "unknown"),
    ],
)
def test_a_clause_compares_by_the_type_of_its_fact(head: Stack, clause: dict[str, Any], outcome: str) -> None:
    answer = explained(head, clause)

    assert answer.clauses[0].outcome == outcome
    assert answer.matches == (outcome == "true")


def test_what_the_gateway_knows_around_the_files_is_a_fact(head: Stack) -> None:
    facts = Facts(complete=True, peers=("CT1", "CT2"), qc_grades={head.id: "WARN"})

    assert explained(head, {"study": "complete"}, facts=facts).matches
    assert not explained(head, {"study": "incomplete"}, facts=facts).matches
    assert explained(head, {"peer": ["CT2", "CT9"]}, facts=facts).matches
    assert not explained(head, {"qc": "grade", "equals": "PASS"}, facts=facts).matches
    assert explained(head, {"qc": "grade", "one_of": ["PASS", "WARN"]}, facts=facts).matches


def test_a_route_outside_its_hours_says_so(head: Stack) -> None:
    night = route({"all": [{"tag": "Modality", "equals": "CT"}]}, active={"hours": "20:00-06:00"})

    at_noon, at_night, unknown = (
        explain_stack(head, Facts(now=now), [night]).routes[0]
        for now in (datetime.datetime(2026, 11, 20, 12, 0), datetime.datetime(2026, 11, 20, 23, 0), None)
    )

    assert [a.matches for a in (at_noon, at_night, unknown)] == [False, True, False]
    assert at_noon.clauses[-1].sentence == "time fri 12:00, wanted 20:00-06:00 on mon tue wed thu fri sat sun"


def test_a_route_that_is_switched_off_is_explained_and_never_chosen(head: Stack) -> None:
    off = route({"all": [{"tag": "Modality", "equals": "CT"}]}, active=False)

    explanation = explain_stack(head, Facts(), [off])

    assert explanation.routes[0].clauses[-1].actual == "switched off"
    assert not choose([explanation]).choices


def test_every_clause_is_answered_and_the_first_failure_named(head: Stack) -> None:
    answer = explained(
        head,
        {"tag": "Modality", "equals": "CT"},
        {"tag": "SliceThickness", "at_most": 1.25},
        {"tag": "ProtocolName", "contains": "sim"},
        {"stack": "regular"},
    )

    assert [c.outcome for c in answer.clauses] == ["true", "false", "unknown", "true"]
    assert (answer.first_failing, answer.clauses_away, answer.conditions) == (2, 2, 4)
    assert answer.clauses[1].sentence == "SliceThickness 2.50, wanted at most 1.25"
    assert answer.clauses[2].sentence == "ProtocolName missing, wanted containing sim"


def test_alternatives_count_as_one_condition_and_exclusions_fail_only_when_true(head: Stack) -> None:
    when = {
        "any": [{"tag": "BodyPartExamined", "equals": "NECK"}, {"tag": "StudyDescription", "contains": "chest"}],
        "none": [{"tag": "ProtocolName", "contains": "x"}, {"tag": "ImageType", "contains": "AXIAL"}],
    }

    [answer] = explain_stack(head, Facts(), [route(when)]).routes

    assert [c.holds for c in answer.clauses] == [False, False, True, False]
    assert (answer.clauses_away, answer.conditions) == (2, 3)
    assert answer.clauses[3].sentence == "ImageType ORIGINAL\\PRIMARY\\AXIAL, wanted not containing AXIAL"


def test_the_nearest_route_is_named_where_none_matches(head: Stack) -> None:
    routes = [
        route({"all": [{"tag": "Modality", "equals": "MR"}, {"stack": "planes", "at_least": 30}]}, "brain_mr"),
        route({"all": [{"tag": "Modality", "equals": "CT"}, {"stack": "planes", "at_least": 30}]}, "long_ct"),
    ]

    explanation = explain_stack(head, Facts(), routes)

    assert explanation.nearest == "long_ct"
    assert render_text(explanation).splitlines() == [
        f"stack {head.id} (19 x 53 x 47, regular)",
        "  brain_mr  NO   clause 1: Modality CT, wanted MR  (2 clauses away)",
        "  long_ct   NO   clause 2: stack planes 19, wanted at least 30  (1 clause away)",
        "  no route matches; nearest is long_ct",
    ]


def test_names_and_ids_may_be_asked_for_and_are_not_repeated(head: Stack) -> None:
    answer = explained(head, {"tag": "PatientName", "contains": "zhang"}, {"tag": "PatientAge", "at_least": 18})

    assert answer.matches
    assert answer.clauses[0].actual == "(hidden)"
    assert answer.clauses[1].actual == "061Y"


@pytest.mark.parametrize(
    ("geometry", "actual"),
    [
        ({"tilt_deg": 12.0}, "tilted by 12.0 degrees"),
        ({"planes": 4, "steps_mm": (2.5, 5.0, 2.5)}, "slice distances from 2.50 to 5.00 mm"),
        ({"planes": 1}, "a single plane"),
    ],
)
def test_an_irregular_stack_says_in_which_way(tmp_path: Path, geometry: dict[str, Any], actual: str) -> None:
    stack = stack_of(tmp_path, **geometry)

    answer = explained(stack, {"stack": "regular"})

    assert not answer.matches
    assert answer.clauses[0].actual == actual


def test_a_damaged_value_is_unknown_and_stops_nothing(tmp_path: Path) -> None:
    stack = stack_of(tmp_path)
    for keyword, vr in (("StudyDate", "DA"), ("KVP", "DS")):
        stack.header[keyword] = unchecked(keyword, vr, "not a number")

    answer = explained(stack, {"tag": "StudyDate", "at_least": "2026-01-01"}, {"tag": "KVP", "at_least": 100})

    assert [c.outcome for c in answer.clauses] == ["unknown", "unknown"]


def test_only_the_largest_stack_runs_where_the_route_says_so(tmp_path: Path) -> None:
    large = stack_of(tmp_path / "large", planes=23, seed=2)
    small = stack_of(tmp_path / "small", planes=11, seed=3)
    ct = {"all": [{"tag": "Modality", "equals": "CT"}]}
    routes = [route(ct, "one", "a", select={"input": "largest"}), route(ct, "both", "b")]

    decision = choose([explain_stack(s, Facts(), routes) for s in (small, large)])
    reversed_decision = choose([explain_stack(s, Facts(), routes[::-1]) for s in (large, small)])

    assert {(c.stack, c.route) for c in decision.choices} == {
        (large.id, "one"),
        (large.id, "both"),
        (small.id, "both"),
    }
    assert decision.choices == reversed_decision.choices
    refused = next(e for e in decision.explanations if e.stack == small.id).routes[0]
    assert (refused.chosen, refused.not_chosen_because) == (False, "a larger stack of the study matches this route")


def test_a_larger_stack_with_a_gap_does_not_keep_the_regular_one_from_running(tmp_path: Path) -> None:
    gap = stack_of(tmp_path / "gap", planes=4, steps_mm=(2.5, 5.0, 2.5), seed=2)
    regular = stack_of(tmp_path / "regular", planes=3, seed=3)
    routes = [route({"all": [{"tag": "Modality", "equals": "CT"}]}, "one", "a", select={"input": "largest"})]

    both = choose([explain_stack(s, Facts(), routes) for s in (gap, regular)])
    alone = choose([explain_stack(gap, Facts(), routes)])

    assert [c.stack for c in both.choices] == [regular.id]
    passed_by = next(e for e in both.explanations if e.stack == gap.id).routes[0]
    assert passed_by.not_chosen_because == "a regular stack of the study matches this route"
    assert [c.stack for c in alone.choices] == [gap.id], "where it is alone its refusal is the result"


def test_one_bundle_runs_once_on_a_stack_by_the_most_urgent_route(head: Stack) -> None:
    routes = [
        route({"all": [{"tag": "Modality", "equals": "CT"}]}, "later", "b@1.0", priority=60),
        route({"all": [{"stack": "regular"}]}, "sooner", "b", priority=10),
        route({"all": [{"stack": "regular"}]}, "other", "c", priority=30),
    ]

    decision = choose([explain_stack(head, Facts(), routes)])

    assert [c.route for c in decision.choices] == ["sooner", "other"]
    assert "the route sooner already runs this bundle" in decision.explanations[0].routes[0].not_chosen_because
    assert "not run: the route sooner" in render_text(decision.explanations[0])


def test_a_leftover_is_explained_by_its_refusal(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    [leftover] = scan([tmp_path]).leftovers

    explanation = explain_stack(leftover, Facts(), default_routes())

    assert isinstance(leftover, Leftover)
    assert (explanation.leftover, explanation.routes) == ("not_dicom", ())
    assert "used by no route" in render_text(explanation)


def test_a_decision_is_plain_json(head: Stack) -> None:
    decision = choose([explain_stack(head, Facts(), default_routes())])

    document = json.loads(json.dumps(decision.to_json()))

    assert document["explanations"][0]["routes"][0]["clauses"][0] == {
        "number": 1,
        "group": "all",
        "subject": "Modality",
        "wanted": "CT",
        "actual": "CT",
        "outcome": "true",
        "holds": True,
    }
    assert document["choices"][0]["stack"] == head.id


@pytest.mark.parametrize(
    ("attributes", "chosen"),
    [
        ({"BodyPartExamined": "HEADNECK"}, {"ct_body", "ct_head_neck_named"}),
        ({"StudyDescription": "鼻咽癌 放疗定位", "BodyPartExamined": ""}, {"ct_body", "ct_head_neck_named"}),
        ({"BodyPartExamined": ""}, {"ct_body", "ct_head_neck_unnamed"}),
        ({"BodyPartExamined": "CHEST"}, {"ct_body"}),
        ({"BodyPartExamined": "", "StudyDescription": "胸部平扫"}, {"ct_body"}),
        ({"BodyPartExamined": "HEAD", "tilt_deg": 10.0}, {"ct_body", "ct_head_neck_named"}),
        ({"BodyPartExamined": "HEAD", "planes": 9}, set()),
        ({"BodyPartExamined": "HEAD", "modality": "MR"}, set()),
    ],
)
def test_the_shipped_routes_send_a_ct_where_its_header_says(
    tmp_path: Path, attributes: dict[str, Any], chosen: set[str]
) -> None:
    stack = stack_of(tmp_path, **{"StudyDescription": "", "SeriesDescription": "", **attributes})

    decision = choose([explain_stack(stack, Facts(), default_routes())])

    assert {c.route for c in decision.choices} == chosen


def test_the_slowest_allowed_pattern_answers_on_the_longest_text(head: Stack) -> None:
    head.header["ProtocolName"] = unchecked("ProtocolName", "LO", "a" * 5000)

    answer = explained(head, {"tag": "ProtocolName", "matches": "a*a*a*b"})
    del head.header.ProtocolName

    assert not answer.matches


@pytest.mark.data
def test_a_real_head_and_neck_ct_without_a_body_part_reaches_both_bundles() -> None:
    found = scan([data_folder("ct_head_neck")])
    items: list[Stack | Leftover] = [*found.stacks, *found.leftovers]

    decision = choose([explain_stack(item, Facts(), default_routes()) for item in items])

    assert {c.route for c in decision.choices} == {"ct_body", "ct_head_neck_unnamed"}
