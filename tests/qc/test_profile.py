"""Profiles inherit, and every fault in a file is named with its line and key."""

from pathlib import Path

import pytest

from qc.errors import ProfileInvalid, UnknownProfile
from qc.image.inputs import Inputs
from qc.image.match import choose_profile, fitting, profile_of_sender
from qc.image.profile import load_profiles, profile_by_id
from qc.image.registry import discover
from tests.qc.bodies import edited, header_inputs

SITE = """\
id = "site_head"
extends = "ct_head"
title_en = "Head, our way"
match = { modality = ["CT"], text = ["头颈"] }

[limits."ct.noise.gni"]
warn = [0, 7]
fail = [0, 14]
limit_source = "site"

[expect.KVP]
values = [120]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_profiles_load_and_name_the_source_of_every_limit() -> None:
    for profile in load_profiles().values():
        for check_id, limits in profile.limits.items():
            assert limits.limit_source, (profile.id, check_id)
            assert limits.role in {"gate", "note"}


def test_a_site_profile_inherits_and_overrides_single_keys(tmp_path: Path) -> None:
    profiles = load_profiles(write(tmp_path, SITE))
    site, shipped = profiles["site_head"], profiles["ct_head"]

    assert site.lineage == ("ct_head", "ct_base", "any_base")
    assert list(site.limits["ct.noise.gni"].warn or ()) == [0, 7]
    assert site.limits["ct.noise.gni"].role == shipped.limits["ct.noise.gni"].role
    assert site.limits["ct.truncation"] == shipped.limits["ct.truncation"]
    assert site.sha256 != shipped.sha256
    assert load_profiles(tmp_path)["site_head"].sha256 == site.sha256


@pytest.mark.parametrize(
    ("change", "line", "key"),
    [
        (('id = "site_head"', 'id = "Site Head"'), 1, "id"),
        (('id = "site_head"', 'id = "ct_base"'), 1, "id"),
        (('extends = "ct_head"', 'extends = "ct_hed"'), 2, "extends"),
        (('extends = "ct_head"', 'extends = "site_head"'), 2, "extends"),
        (("title_en =", "titel_en ="), 3, "titel_en"),
        (('modality = ["CT"]', 'modality = ["C T"]'), 4, "match.modality"),
        (('modality = ["CT"]', 'organ = ["CT"]'), 4, "match.organ"),
        (("ct.noise.gni", "ct.noise.gin"), 6, 'limits."ct.noise.gin"'),
        (("warn = [0, 7]", "warn = [7, 0]"), 7, 'limits."ct.noise.gni".warn'),
        (("warn = [0, 7]", "warn = 7"), 7, 'limits."ct.noise.gni".warn'),
        (("warn = [0, 7]", "warm = [0, 7]"), 7, 'limits."ct.noise.gni".warm'),
        (("fail = [0, 14]", "fail = [0, 5]"), 8, 'limits."ct.noise.gni".fail'),
        (('limit_source = "site"', 'role = "gates"'), 9, 'limits."ct.noise.gni".role'),
        (("[expect.KVP]", "[expect.kvp]"), 11, "expect.kvp"),
        (("[expect.KVP]", "[expect.KPV]"), 11, "expect.KPV"),
        (("values = [120]", 'regex = "("'), 12, "expect.KVP.regex"),
        (('title_en = "Head, our way"', 'required = ["ct.coverage"]'), 3, "required"),
    ],
)
def test_a_fault_is_named_with_its_line_and_key(tmp_path: Path, change: tuple[str, str], line: int, key: str) -> None:
    path = write(tmp_path, SITE.replace(*change))

    with pytest.raises(ProfileInvalid) as caught:
        load_profiles(path)

    assert caught.value.fields == {"file": "site.toml", "line": line, "key": key}
    assert f"line {line}" in str(caught.value)


def test_broken_toml_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, SITE.replace('title_en = "Head, our way"', 'title_en = "Head, our way'))

    with pytest.raises(ProfileInvalid) as caught:
        load_profiles(path)

    assert caught.value.fields["line"] == 3


def test_new_limits_without_a_source_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, 'id = "lone"\n\n[limits."ct.noise.gni"]\nwarn = [0, 7]\nfail = [0, 14]\n')

    with pytest.raises(ProfileInvalid, match="limit_source"):
        load_profiles(path)


def test_states_get_no_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, 'id = "lone"\n[limits."gen.tag.position"]\nwarn = [0, 7]\nfail = [0, 14]\n')

    with pytest.raises(ProfileInvalid, match="states"):
        load_profiles(path)


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(UnknownProfile, match="ct_base"):
        profile_by_id(load_profiles(), "ct_bass")


@pytest.mark.parametrize(
    ("tags", "intent", "profile", "how"),
    [
        ({}, "", "ct_base", "base"),
        ({"SeriesDescription": None, "BodyPartExamined": None}, "", "ct_base", "base"),
        ({"BodyPartExamined": "CHEST"}, "", "ct_chest_diag", "matched"),
        ({"BodyPartExamined": "CHEST", "SeriesDescription": "定位 3mm"}, "", "ct_rt_sim", "matched"),
        ({"BodyPartExamined": "CHEST"}, "rt_sim", "ct_rt_sim", "matched"),
        ({"SeriesDescription": "SIMPLE HEAD"}, "", "ct_base", "base"),
        ({"SeriesDescription": "HN_SIM 3.0"}, "", "ct_rt_sim", "matched"),
        ({"Modality": "MR", "BodyPartExamined": "BRAIN"}, "", "mr_brain", "matched"),
        ({"Modality": "PT"}, "", "pt_base", "base"),
        ({"Modality": "OT"}, "", "any_base", "base"),
    ],
)
def test_headers_choose_the_profile(tags: dict[str, str | None], intent: str, profile: str, how: str) -> None:
    inputs = edited(header_inputs(planes=2), **tags)

    choice = choose_profile(load_profiles(), inputs, intent=intent)

    assert (choice.profile.id, choice.how) == (profile, how)


@pytest.mark.parametrize("wanted", ["dx_chest", "site_chest"])
def test_a_profile_made_for_another_modality_is_not_taken(tmp_path: Path, wanted: str) -> None:
    write(tmp_path, 'id = "site_chest"\nextends = "dx_chest"\n')
    inputs = edited(header_inputs(planes=2), BodyPartExamined="CHEST")

    choice = choose_profile(load_profiles(tmp_path), inputs, wanted)

    assert (choice.profile.id, choice.how, choice.candidates) == ("ct_chest_diag", "other_modality", (wanted,))


def test_a_site_profile_without_a_rule_fits_the_modality_of_its_parent_only(tmp_path: Path) -> None:
    write(tmp_path, 'id = "site_film"\nextends = "dx_base"\n')
    ct = header_inputs(planes=2)

    profiles = load_profiles(tmp_path)

    assert "site_film" not in fitting(profiles, ct) and "site_film" in fitting(profiles, edited(ct, Modality="DX"))
    assert choose_profile(profiles, ct, "site_film").profile.id == "ct_base"


def test_a_site_profile_without_a_rule_takes_the_place_of_its_parent(tmp_path: Path) -> None:
    write(tmp_path, 'id = "site_head"\nextends = "ct_head"\n')
    profiles, ct = load_profiles(tmp_path), header_inputs(planes=2)

    assert choose_profile(profiles, edited(ct, BodyPartExamined="HEAD")).profile.id == "site_head"
    assert choose_profile(profiles, edited(ct, BodyPartExamined="ABDOMEN")).profile.id == "ct_base"
    assert profile_of_sender([tmp_path], ["site_head"], "CT") == "site_head"
    assert profile_of_sender([tmp_path], ["site_head"], "MR") == "auto"


def test_a_sender_s_profile_without_a_modality_is_taken_for_every_one(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('id = "site_all"\nextends = "any_base"\n', encoding="utf-8")

    assert [profile_of_sender([tmp_path], ["site_all"], modality) for modality in ("CT", "MR")] == ["site_all"] * 2


def test_what_an_mr_must_be_judged_for_is_its_noise() -> None:
    for name in ("mr_base", "mr_brain", "mr_body"):
        profile = load_profiles()[name]
        assert "mr.noise" in profile.required and profile.limits["mr.noise"].role == "gate"


def test_a_named_profile_judges_what_states_no_modality() -> None:
    assert choose_profile(load_profiles(), edited(header_inputs(planes=2), Modality=None), "ct_head").how == "named"


def test_a_tie_takes_the_base_and_says_so(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(
            f'id = "{name}"\nextends = "ct_base"\nmatch = {{ modality = ["CT"], body_part = ["HEADNECK"] }}\n'
        )

    choice = choose_profile(load_profiles(tmp_path), header_inputs(planes=2))

    assert (choice.profile.id, choice.how, choice.candidates) == ("ct_base", "ambiguous", ("one", "two"))


def test_an_heir_beats_its_parent(tmp_path: Path) -> None:
    path = write(
        tmp_path, 'id = "heir"\nextends = "ct_chest_diag"\nmatch = { modality = ["CT"], body_part = ["CHEST"] }\n'
    )
    inputs = edited(header_inputs(planes=2), BodyPartExamined="CHEST")

    assert choose_profile(load_profiles(path), inputs).profile.id == "heir"


def test_nothing_at_all_gets_the_profile_of_any_series() -> None:
    assert choose_profile(load_profiles(), Inputs(())).profile.id == "any_base"


def test_limits_exist_only_for_checks_that_exist() -> None:
    for profile in load_profiles().values():
        assert set(profile.limits) <= set(discover())
