import datetime
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dicom_gateway.errors import SettingsError
from dicom_gateway.route import ActiveTime, check_routes, default_routes, parse_route, parse_routes
from dicom_gateway.route.clauses import FACTS
from dicom_gateway.route.values import KINDS

MINIMAL = 'name = "body"\nbundle = "ct_body_segmentation"\n'
CT = 'when.all = [{ tag = "Modality", equals = "CT" }]\n'


def route_table(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def refusal(text: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        parse_route(route_table(text), "route[3]")
    return caught.value


def clause_refusal(clause: str) -> SettingsError:
    return refusal(f"{MINIMAL}when.all = [{clause}]")


def test_a_full_route_becomes_a_frozen_value() -> None:
    table = route_table("""
        name = "rt_sim_headneck"
        priority = 20
        when.all = [
          { tag = "Modality", equals = "CT" },
          { tag = "SliceThickness", at_most = 3.0 },
          { tag = "StudyDescription", matches = "(?i)sim|定位" },
          { stack = "regular" }, { study = "complete" },
        ]
        when.none = [{ tag = "ImageType", contains = "LOCALIZER" }]
        select = { input = "largest" }
        profile = "ct_rt_sim"
        bundle = "oar_headneck@1.4"
        review = "findings_only"
        deliver = ["tps", "pacs"]
        active = { hours = "20:00-06:30", days = ["fri", "mon"] }
    """)

    route = parse_route(table, "route[0]")

    assert (route.name, route.priority, route.select, route.profile) == ("rt_sim_headneck", 20, "largest", "ct_rt_sim")
    assert (route.bundle_name, route.bundle_version) == ("oar_headneck", "1.4")
    assert [c.name for c in route.when_all] == [
        "Modality",
        "SliceThickness",
        "StudyDescription",
        "stack regular",
        "study complete",
    ]
    assert route.when_all[1].wanted == (3.0,)
    assert route.destinations(["pacs", "archive", "tps"]) == ("pacs", "tps")
    assert route.active == ActiveTime(20 * 60, 6 * 60 + 30, (0, 4))
    assert hash(route) == hash(parse_route(table, "elsewhere"))


def test_what_is_left_out_has_the_documented_default() -> None:
    route = parse_route(route_table(MINIMAL + CT), "route[0]")

    assert (route.priority, route.select, route.profile, route.review) == (50, "each", "auto", "required")
    assert route.destinations(["a", "b"]) == ("a", "b")
    assert route.active.always
    assert route.enabled


def test_a_tag_may_be_named_by_its_number() -> None:
    route = parse_route(route_table(MINIMAL + 'when.all = [{ tag = "0018,0050", at_most = 3 }]'), "route[0]")

    assert route.when_all[0].subject == "SliceThickness"


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        (MINIMAL + CT + 'boundle = "x"', "route[3].boundle", "did you mean bundle?"),
        (MINIMAL + CT + 'shadow = "x@2"', "route[3].shadow", "not known"),
        ('bundle = "x"\n' + CT, "route[3].name", "needs name"),
        ('name = "a b"\nbundle = "x"\n' + CT, "route[3].name", "letters"),
        ('name = "a"\n' + CT, "route[3].bundle", "needs bundle"),
        ('name = "a"\nbundle = "../x"\n' + CT, "route[3].bundle", "name@version"),
        (MINIMAL, "route[3].when", "needs when.all"),
        (MINIMAL + "when.all = []", "route[3].when.all", "1 to 50"),
        (MINIMAL + 'when.al = [{ tag = "Modality", equals = "CT" }]', "route[3].when.al", "did you mean all?"),
        (MINIMAL + CT + "priority = 101", "route[3].priority", "0 (urgent)"),
        (MINIMAL + CT + "priority = true", "route[3].priority", "whole number"),
        (MINIMAL + CT + 'review = "findings"', "route[3].review", "did you mean findings_only?"),
        (MINIMAL + CT + 'select = { input = "larges" }', "route[3].select.input", "did you mean largest?"),
        (MINIMAL + CT + "select = { planning_mr = 1 }", "route[3].select.planning_mr", "not known"),
        (MINIMAL + CT + "deliver = []", "route[3].deliver", "leave it out"),
        (MINIMAL + CT + 'deliver = ["a", "a"]', "route[3].deliver", "different"),
        (MINIMAL + CT + 'active = { hours = "7-19" }', "route[3].active.hours", "HH:MM"),
        (MINIMAL + CT + 'active = { hours = "07:00-24:01" }', "route[3].active.hours", "HH:MM"),
        (MINIMAL + CT + 'active = { hours = "07:00-07:00" }', "route[3].active.hours", "never match"),
        (MINIMAL + CT + 'active = { days = ["monday"] }', "route[3].active.days", "mon"),
    ],
)
def test_a_mistake_is_refused_at_its_key_with_what_was_meant(text: str, key: str, says: str) -> None:
    error = refusal(text)

    assert error.key == key
    assert says in error.message


@pytest.mark.parametrize(
    ("clause", "key", "says"),
    [
        ('{ tag = "SliceThicknes", at_most = 3 }', "tag", "did you mean SliceThickness"),
        ('{ tag = "9999,0001", equals = "x" }', "tag", "no tag"),
        ('{ tag = "Modality", equal = "CT" }', "equal", "did you mean equals"),
        ('{ tag = "Modality" }', "", "exactly one comparator"),
        ('{ tag = "Modality", equals = "CT", matches = "C" }', "", "exactly one comparator"),
        ('{ tag = "Modality", at_least = "CT" }', "at_least", "cannot be compared"),
        ('{ tag = "SliceThickness", matches = "3" }', "matches", "cannot be compared"),
        ('{ tag = "SliceThickness", at_most = "3" }', "at_most", "a number is wanted"),
        ('{ tag = "SliceThickness", at_most = true }', "at_most", "a number is wanted"),
        ('{ tag = "SliceThickness", at_most = nan }', "at_most", "a number is wanted"),
        ('{ tag = "SliceThickness", between = [3, 1] }', "between", "smaller value first"),
        ('{ tag = "SliceThickness", between = [3] }', "between", "list"),
        ('{ tag = "SliceThickness", one_of = 3 }', "one_of", "list"),
        ('{ tag = "StudyDate", at_least = "31.1.2026" }', "at_least", "2026-01-31"),
        ('{ tag = "StudyTime", at_least = "7 o\'clock" }', "at_least", "07:30:00"),
        ('{ tag = "SOPClassUID", equals = "CTImageStore" }', "equals", "CTImageStorage"),
        ('{ tag = "SliceThickness", values = "all", at_most = 3 }', "values", "several values"),
        ('{ tag = "ImageType", values = "some", contains = "X" }', "values", '"any"'),
        ('{ tag = "PatientName", component = "kanji", equals = "X" }', "component", "ideographic"),
        ('{ tag = "ReferencedImageSequence", equals = "X" }', "equals", "cannot be compared"),
        ('{ tag = "BodyPartExamined", present = "yes" }', "present", "true or false"),
        ('{ stack = "regula" }', "stack", "did you mean regular"),
        ('{ stack = "regular", at_least = 1 }', "", "no other comparator"),
        ('{ stack = "planes", at_leats = 1 }', "at_leats", "did you mean at_least"),
        ('{ study = "done" }', "study", "no fact of a study"),
        ('{ qc = "grade", equals = "GOOD" }', "", "PASS"),
        ('{ tags = "Modality", equals = "CT" }', "", "exactly one of tag"),
        ('{ tag = "Modality", stack = "regular" }', "", "exactly one of tag"),
        ('"Modality"', "", "table"),
    ],
)
def test_a_bad_clause_is_refused_with_what_it_could_be(clause: str, key: str, says: str) -> None:
    error = clause_refusal(clause)

    assert error.key == "route[3].when.all[0]" + (f".{key}" if key else "")
    assert says in error.message


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|a)*b",
        "(a?){40}b",
        "((ab)*c)+",
        ".*.*.*.*x",
        "(a)\\1",
        "a" * 201,
        "((((((a))))))",
        "(",
        "(?x) a # (",
        "a?" * 13,
    ],
)
def test_a_pattern_that_could_run_away_is_refused(pattern: str) -> None:
    with pytest.raises(SettingsError, match="ProtocolName"):
        parse_route(
            {"name": "a", "bundle": "b", "when": {"all": [{"tag": "ProtocolName", "matches": pattern}]}}, "route[0]"
        )


@pytest.mark.parametrize(
    "pattern", ["(?i)sim|定位", "^(head|neck)[ _-]?[0-9]+$", "[(]x+[)]", r"\d{2}\.\d", "(?:a|b)c*"]
)
def test_an_ordinary_pattern_is_allowed(pattern: str) -> None:
    parse_route(
        {"name": "a", "bundle": "b", "when": {"all": [{"tag": "ProtocolName", "matches": pattern}]}}, "route[0]"
    )


@pytest.mark.parametrize(
    ("when", "says"),
    [
        (
            'when.all = [{ tag = "Modality", equals = "CT" }, { tag = "Modality", equals = "MR" }]',
            "no value of Modality",
        ),
        (
            'when.all = [{ tag = "SliceThickness", at_least = 5 }, { tag = "SliceThickness", at_most = 3 }]',
            "at least 5 and at most 3",
        ),
        (
            'when.all = [{ tag = "SliceThickness", equals = 5 }, { tag = "SliceThickness", at_most = 3 }]',
            "no value of SliceThickness",
        ),
        (
            'when.all = [{ tag = "BodyPartExamined", present = false }, { tag = "BodyPartExamined", equals = "HEAD" }]',
            "absent",
        ),
        ('when.all = [{ stack = "regular" }, { stack = "irregular" }]', "both yes and no"),
        ('when.all = [{ study = "complete" }, { study = "complete", equals = false }]', "both yes and no"),
        ('when.all = [{ stack = "regular" }]\nwhen.none = [{ stack = "regular" }]', "wanted and excluded"),
        ('when.any = [{ stack = "regular" }]\nwhen.none = [{ stack = "regular" }]', "excluded by when.none"),
        (
            'when.all = [{ tag = "Modality", equals = "CT" }]\n'
            'when.any = [{ tag = "Modality", equals = "MR" }, { tag = "Modality", equals = "PT" }]',
            "no value of Modality",
        ),
    ],
)
def test_a_route_that_can_never_match_is_refused(when: str, says: str) -> None:
    error = refusal(MINIMAL + when)

    assert error.key == "route[3].when"
    assert says in error.message


def test_a_multi_valued_tag_may_be_asked_for_two_values() -> None:
    parse_route(
        route_table(
            MINIMAL
            + 'when.all = [{ tag = "ImageType", contains = "AXIAL" }, { tag = "ImageType", contains = "PRIMARY" }]'
        ),
        "route[0]",
    )


def two_routes(first: str, second: str) -> list[dict[str, Any]]:
    head = 'name = "{}"\nbundle = "b"\n'
    return [route_table(head.format("one") + first), route_table(head.format("two") + second)]


def test_two_routes_of_one_name_are_refused() -> None:
    tables = [route_table(MINIMAL + CT), route_table(MINIMAL.replace("ct_body", "other") + CT)]

    with pytest.raises(SettingsError, match=r"route\[1\]\.name.*taken by route\[0\]"):
        parse_routes(tables)


@pytest.mark.parametrize("extra", ["", 'when.none = [{ tag = "ImageType", contains = "MIP" }]\n'])
def test_a_route_that_includes_another_of_the_same_bundle_is_refused_in_either_order(extra: str) -> None:
    for tables in (two_routes(CT, CT + extra), two_routes(CT + extra, CT)):
        with pytest.raises(SettingsError, match="same stacks"):
            parse_routes(tables)


def test_two_routes_to_one_bundle_with_different_conditions_are_allowed() -> None:
    assert len(parse_routes(two_routes(CT, CT.replace("CT", "MR")))) == 2


def test_routes_are_held_against_the_site_s_destinations_and_bundles() -> None:
    routes = parse_routes([route_table(MINIMAL + CT + 'deliver = ["pacs_man"]')])

    with pytest.raises(SettingsError, match="did you mean pacs_main"):
        check_routes(routes, destinations=["pacs_main"])
    with pytest.raises(SettingsError, match="did you mean ct_body_segmentatio"):
        check_routes(routes, bundles={"ct_body_segmentatio": ["CT"]})
    with pytest.raises(SettingsError, match="accepts MR"):
        check_routes(routes, bundles={"ct_body_segmentation": ["MR"]})
    check_routes(routes, destinations=["pacs_man"], bundles={"ct_body_segmentation": ["CT", "MR"]})


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-11-20T19:59", False),  # Friday
        ("2026-11-20T20:00", True),
        ("2026-11-21T06:29", True),  # the night that began on Friday
        ("2026-11-21T06:30", False),
        ("2026-11-21T20:00", False),  # Saturday's night is not named
        ("2026-11-22T01:00", False),
    ],
)
def test_hours_over_midnight_belong_to_the_day_they_begin_on(moment: str, holds: bool) -> None:
    friday_night = ActiveTime(20 * 60, 6 * 60 + 30, (4,))

    assert friday_night.holds(datetime.datetime.fromisoformat(moment)) is holds


def test_the_shipped_routes_pass_their_own_checks() -> None:
    routes = default_routes()

    assert {r.bundle for r in routes} == {
        "ct_body_segmentation",
        "head_neck_ct_oar_segmentation",
        "pet_ct_lesion_segmentation",
        "soft_tissue_sarcoma_gtv_segmentation",
    }
    check_routes(routes, bundles={r.bundle: ["PT" if r.bundle.startswith("pet") else "CT"] for r in routes})


def test_the_manual_s_routes_are_routes() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)

    assert blocks
    for block in blocks:
        assert parse_routes(tomllib.loads(block)["route"])


def test_the_manual_names_every_comparator_and_fact() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")

    for word in {c for k in KINDS.values() for c in k.comparators} | {f for facts in FACTS.values() for f in facts}:
        assert word in manual, word
