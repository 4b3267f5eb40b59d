"""What a bundle asks of image quality: refuse, hold for a person, run with a warning; each with a planted fault."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dicom_gateway.errors import SettingsError
from dicom_gateway.flow.gating import held_reasons, holding, keep_release, stopped, word_for
from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.local import process_folder
from dicom_gateway.quality.gate import GateWord, decide
from dicom_gateway.settings import Settings, load_settings
from monai_bundles import BundleError, QualityGate, run_bundle
from monai_bundles.gates import gates_of
from tests.dicom_gateway.gated import BODY, HOLDS, body, body_routes, faulty_ct, verdict


@pytest.mark.parametrize(
    ("gate", "found", "word"),
    [
        (QualityGate("a.b"), "PASS", GateWord.RUN),
        (QualityGate("a.b"), "WARN", GateWord.RUN),
        (QualityGate("a.b"), "FAIL", GateWord.REFUSE),
        (QualityGate("a.b", "PASS", "hold"), "WARN", GateWord.HOLD),
        (QualityGate("a.b", "PASS", "run_with_warning"), "FAIL", GateWord.RUN_WITH_WARNING),
        (QualityGate("a.b"), "NOT_EVALUABLE", GateWord.RUN_WITH_WARNING),
        (QualityGate("a.b", not_evaluable="hold"), "NOT_EVALUABLE", GateWord.HOLD),
        (QualityGate("other", not_evaluable="refuse"), "PASS", GateWord.REFUSE),
    ],
)
def test_a_gate_decides_by_grade(gate: QualityGate, found: str, word: GateWord) -> None:
    decision = decide((gate,), verdict(a__b=found))

    assert decision.word is word
    assert len(decision.reasons_en) == len(decision.reasons_zh)
    assert bool(decision.reasons_en) is (word is not GateWord.RUN)


def test_the_worst_gate_counts_and_its_action_is_told() -> None:
    gates = (QualityGate("ct.noise", on_fail="run_with_warning"), QualityGate("ct.cut", on_fail="hold"))

    decision = decide(gates, verdict("FAIL", ct__noise="FAIL", ct__cut="FAIL"))

    assert decision.word is GateWord.HOLD
    assert decision.reasons_en[0].startswith("Image quality failed in ct.cut: FAIL, at least WARN is needed.")
    assert (decision.action_zh, decision.action_en) == ("请居中", "Centre.")


def test_a_series_that_is_not_clean_runs_with_a_warning_even_where_no_gate_is_broken() -> None:
    assert decide((QualityGate("a.b"),), verdict("WARN", a__b="PASS")).word is GateWord.RUN_WITH_WARNING


def test_a_bundle_says_what_it_asks_by_names_or_tables() -> None:
    gates = gates_of({
        "required_checks": [
            "gen.geometry.missing",
            {"check": "ct.noise.gni"},
            {"check": "ct.truncation", "min_grade": "PASS", "on_fail": "hold"},
        ]
    })

    assert [(g.check, g.min_grade, g.on_fail) for g in gates] == [
        ("gen.geometry.missing", "WARN", "refuse"),
        ("ct.noise.gni", "WARN", "run_with_warning"),
        ("ct.truncation", "PASS", "hold"),
    ]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (3, "neither the name"),
        ({"grade": "PASS"}, "neither the name"),
        ({"check": "a.b", "on_fial": "hold"}, "unknown key 'on_fial'"),
        ({"check": "a.b", "on_fail": "stop"}, "`on_fail` is one of refuse, hold"),
        ({"check": "a.b", "min_grade": "FAIL"}, "`min_grade` is one of PASS, WARN"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(entry: object, words: str) -> None:
    with pytest.raises(BundleError, match=r"radgate\.json") as caught:
        gates_of({"required_checks": ["gen.geometry.tilt", entry]})

    assert words in caught.value.message


def test_a_check_stands_once() -> None:
    with pytest.raises(BundleError, match="twice"):
        gates_of({"required_checks": ["a.b", {"check": "a.b"}]})


def test_one_held_bundle_holds_the_whole_job_until_a_person_decides(tmp_path: Path) -> None:
    found = verdict("WARN", gen__tag__position="WARN")
    bundles = {BODY: HOLDS, "other": replace(HOLDS, gates=())}

    assert len(holding(bundles, [BODY, "other"], found, tmp_path)) == 1
    reasons = held_reasons(tmp_path)
    assert len(reasons) == 1
    keep_release(tmp_path, {"decision": "released", "role": "radiologist", "reason": "急诊", "of": reasons})
    assert holding(bundles, [BODY, "other"], found, tmp_path) == []
    assert held_reasons(tmp_path) == []
    let_go = word_for(HOLDS, found, tmp_path)
    keep_release(tmp_path, {"decision": "refused", "role": "radiologist", "reason": "重扫", "of": reasons})
    not_let_go = stopped(word_for(HOLDS, found, tmp_path))

    assert let_go.word is GateWord.RUN_WITH_WARNING
    assert "已由放射科医师放行。" in let_go.reasons_zh and "急诊" not in "".join(let_go.reasons_zh)
    assert not_let_go is not None and (not_let_go["status"], not_let_go["gate"]) == ("refused", "REFUSE")


def test_a_decision_holds_for_the_reasons_that_the_person_saw(tmp_path: Path) -> None:
    bundle = body(QualityGate("gen.tag.position", "PASS", "hold"), QualityGate("ct.cut", "PASS", "hold"))
    seen = holding({BODY: bundle}, [BODY], verdict("WARN", gen__tag__position="WARN", ct__cut="PASS"), tmp_path)
    keep_release(tmp_path, {"decision": "released", "role": "radiologist", "reason": "急诊", "of": seen})

    now = holding({BODY: bundle}, [BODY], verdict("WARN", gen__tag__position="WARN", ct__cut="WARN"), tmp_path)

    assert set(seen) < set(now) and held_reasons(tmp_path) == now
    keep_release(tmp_path, {"decision": "open", "role": None, "reason": None, "of": now})
    both = verdict("WARN", gen__tag__position="WARN", ct__cut="WARN")
    assert word_for(bundle, both, tmp_path).word is GateWord.HOLD


# The whole way, with a CT whose PatientPosition was lost


@pytest.mark.parametrize(
    ("gate", "status", "gate_word"),
    [
        (QualityGate("gen.tag.position", "PASS", "refuse"), "refused", "REFUSE"),
        (QualityGate("gen.tag.position", "PASS", "run_with_warning"), "findings", "RUN_WITH_WARNING"),
    ],
)
def test_a_folder_is_refused_or_run_with_a_warning(
    tmp_path: Path, gate: QualityGate, status: str, gate_word: str
) -> None:
    faulty_ct(tmp_path / "ct")
    settings = replace(Settings(), routes=body_routes())

    done = process_folder(tmp_path / "ct", tmp_path / "out", settings, Tools({BODY: body(gate)}, run_bundle), Journal())

    [job] = done.jobs
    assert job.status == status and job.result is not None
    [run] = job.result["runs"]
    assert run["gate"] == gate_word
    said = run["reason"] if status == "refused" else " ".join(run["warnings"])
    assert "gen.tag.position" in said
    assert (tmp_path / "out" / "sr.dcm").exists()  # a refusal is delivered as well


# Which profile a run is decided by

SITE = """
id = "site_body"
extends = "ct_base"
[limits."gen.slice.thickness"]
warn = [0.0, 0.1]
fail = [0.0, 0.2]
role = "gate"
limit_source = "site"
"""


def qc_of(folder: Path, settings: Settings, profile: str, tools: Tools) -> Any:
    routes = tuple(replace(r, profile=profile) for r in body_routes())
    done = process_folder(folder / "ct", folder / "out", replace(settings, routes=routes), tools, Journal())
    assert done.jobs[0].result is not None, done.jobs[0].reason
    return done.jobs[0].result


def test_a_route_may_name_a_profile_of_the_site(tmp_path: Path) -> None:
    faulty_ct(tmp_path / "ct")
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    gate = QualityGate("gen.slice.thickness", "WARN", "refuse")
    tools = Tools({BODY: body(gate)}, run_bundle, profiles=(tmp_path / "site.toml",))

    [refused] = qc_of(tmp_path, Settings(), "site_body", tools)["runs"]
    [let_run] = qc_of(tmp_path, Settings(), "ct_base", tools)["runs"]

    assert (refused["gate"], let_run["gate"]) == ("REFUSE", "RUN")


def test_an_unknown_profile_of_a_route_is_refused_when_the_service_starts(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE, encoding="utf-8")
    config = tmp_path / "radgate.toml"
    route = '[[route]]\nname = "r"\npriority = 1\nbundle = "x"\nwhen.all = [{ tag = "Modality", equals = "CT" }]\n'
    config.write_text(f'[quality]\nprofiles = ["site.toml"]\n{route}profile = "site_body"\n', encoding="utf-8")
    assert load_settings(config).routes[0].profile == "site_body"
    config.write_text(f'{route}profile = "site_body"\n', encoding="utf-8")

    with pytest.raises(SettingsError, match="site_body") as caught:
        load_settings(config)

    assert caught.value.fields["key"] == "route[0].profile"


def test_a_folder_that_is_held_writes_nothing_and_says_why(tmp_path: Path) -> None:
    faulty_ct(tmp_path / "ct")
    settings = replace(Settings(), routes=body_routes())

    done = process_folder(tmp_path / "ct", tmp_path / "out", settings, Tools({BODY: HOLDS}, run_bundle), Journal())

    assert [(j.status, j.objects) for j in done.jobs] == [("held", [])]
    assert "gen.tag.position" in done.jobs[0].reason
