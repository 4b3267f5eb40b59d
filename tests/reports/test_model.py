"""The result: what it may say, what it refuses, and its way to JSON and back."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contouring.volumes import volume_cc
from imaging.volume import Region
from reports import Result, Run, mask_digest, outcome
from reports.errors import InvalidResult
from tests.reports.making import MADE_AT, PROCESSING, Case, run_of, without_output

OK = run_of(scope_covered=True)
BLIND = run_of()
FLAGGED = run_of(scope_covered=True, gate="RUN_WITH_WARNING")
FAILED = run_of("failed", PROCESSING, id="r2")
REFUSED = run_of("refused", PROCESSING, id="r3")
HELD = run_of("held", PROCESSING, id="r4")


@pytest.mark.parametrize(
    ("runs", "without", "with_structures"),
    [
        ([OK], "none_found", "findings"),
        ([BLIND], "partial", "findings"),
        ([FLAGGED], "partial", "findings"),
        ([OK, FAILED], "partial", "partial"),
        ([OK, REFUSED], "partial", "partial"),
        ([FAILED], "failed", None),
        ([FAILED, REFUSED], "failed", None),
        ([REFUSED], "refused", None),
        ([OK, HELD], "held", "held"),
    ],
)
def test_the_status_follows_from_runs_and_structures(
    case: Case, runs: list[Run], without: str, with_structures: str | None
) -> None:
    assert outcome(runs) == without
    if with_structures is not None:
        assert outcome(runs, case.result.structures) == with_structures


def test_none_found_is_never_said_of_half_covered_scope_or_a_flagged_image(case: Case) -> None:
    for run in (BLIND, FLAGGED):
        with pytest.raises(InvalidResult):
            replace(case.result, runs=(run,), structures=(), status="none_found")


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "none_found"},
        {"runs": ()},
        {"runs": (run_of("failed"),), "status": "failed"},
        {"runs": (run_of(id="other"),)},
        {"runs": (run_of(targets=("s2",)),)},
        {"runs": (OK, OK)},
        {"created_at": datetime(2026, 3, 4)},
        {"schema": "radgate.result/0"},
    ],
)
def test_a_result_that_contradicts_itself_is_refused(case: Case, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidResult):
        replace(case.result, **changes)


def test_structures_need_numbers_without_gaps_and_ids_of_their_own(case: Case) -> None:
    first, second = case.result.structures

    for broken in (replace(second, number=3), replace(second, id=first.id)):
        with pytest.raises(InvalidResult):
            replace(case.result, structures=(first, broken))


def test_a_run_without_output_has_to_say_why() -> None:
    with pytest.raises(InvalidResult, match="say why"):
        replace(FAILED, reason="")


def test_a_changed_mask_is_noticed(case: Case) -> None:
    structure = case.result.structures[0]
    assert structure.region is not None
    crop = structure.region.crop.copy()
    crop[0, -1, -1] = not crop[0, -1, -1]

    with pytest.raises(InvalidResult, match="not the one that was measured"):
        replace(structure, region=Region(crop, structure.region.start, structure.region.shape))


def test_the_hash_of_a_mask_does_not_depend_on_the_room_around_it(case: Case) -> None:
    structure = case.result.structures[0]
    assert structure.region is not None
    mask = structure.region.mask()
    shifted = np.roll(mask, 1, axis=2)

    assert mask_digest(Region(mask, (0, 0, 0), mask.shape)) == structure.mask_sha256
    assert mask_digest(Region(shifted, (0, 0, 0), mask.shape)) != structure.mask_sha256


def test_volumes_derive_from_the_stored_masks(case: Case) -> None:
    for structure in case.result.structures:
        assert structure.region is not None
        assert structure.volume_cc == pytest.approx(volume_cc(structure.region, case.stack.grid), abs=1e-9)
        by_hand = np.count_nonzero(structure.region.crop) * 2.5 * 1.1 * 0.9 / 1000
        assert structure.volume_cc == pytest.approx(by_hand, rel=1e-4)  # positions are written with 6 decimals


def test_json_comes_back_equal_with_and_without_masks(case: Case) -> None:
    text = json.dumps(case.result.to_json(), ensure_ascii=False)

    bare = Result.from_json(json.loads(text))
    whole = Result.from_json(json.loads(text), {s.id: s.region for s in case.result.structures if s.region})

    assert bare.to_json() == whole.to_json() == case.result.to_json()
    assert bare.structures[0].region is None
    assert "张^三" in text
    assert "true, true" not in text  # masks are referred to by their hash, never embedded


@pytest.mark.parametrize("key", ["study", "runs", "created_at"])
def test_damaged_json_is_refused(case: Case, key: str) -> None:
    form = case.result.to_json()
    del form[key]

    with pytest.raises(InvalidResult, match="damaged"):
        Result.from_json(form)


def test_uids_follow_all_that_is_written_stated_time_input_settings_and_failure(case: Case) -> None:
    result = case.result
    later = replace(result, created_at=MADE_AT.replace(hour=23))
    settings = replace(result, runs=(replace(result.runs[0], settings_digest="ff"),))
    failed = without_output(result, run_of("failed"))
    failed_otherwise = without_output(result, run_of("failed", reason="Out of memory; give the service more."))

    assert replace(result).uid_parts == result.uid_parts
    assert later.uid_parts != result.uid_parts
    parts = [json.dumps(r.uid_parts) for r in (result, settings, failed, failed_otherwise)]
    assert len(set(parts)) == 4


def test_importing_the_model_loads_no_renderer_and_no_network(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, reports; print([m for m in ('torch', 'reportlab', 'highdicom', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
