"""Results for the tests: two asymmetric structures on an oblique series, and results that failed in every way."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from contouring.names import lookup
from imaging.geometry import Grid
from imaging.provenance import Algorithm
from imaging.series import Stack, load_volume, scan
from imaging.volume import Region, Volume
from qc.image.result import Action, Cause, CheckResult, Grade, LimitsUsed, Location, SeriesVerdict, Subject
from reports import (
    Result,
    Run,
    RunStatus,
    StackRef,
    Structure,
    input_version,
    measured_structure,
    outcome,
    study_ref,
)
from tests.synthetic.series import write_series

__all__ = ["ALGORITHM", "MADE_AT", "PROCESSING", "Case", "make_case", "run_of", "set_raw", "verdict", "without_output"]

MADE_AT = datetime(2026, 3, 4, 15, 6, 7, tzinfo=timezone(timedelta(hours=8)))
ALGORITHM = Algorithm(
    "head_neck_ct_oar_segmentation",
    "1.2.0",
    weights_sha256=("a1" * 32, "b2" * 32),
    bundle_digest="c3" * 32,
    intended_use={"zh": "头颈部危及器官勾画", "en": "Contours of organs at risk in head and neck"},
)
PROCESSING = Algorithm("ct_body_segmentation", "0.3.0", bundle_digest="d4" * 32, deterministic=True)


@dataclass(frozen=True)
class Case:
    """A series, its pixels, and a result on it."""

    stack: Stack
    volume: Volume
    result: Result


def run_of(status: RunStatus = "ok", algorithm: Algorithm = ALGORITHM, **fields: Any) -> Run:
    """A run of `algorithm` on stack s1."""
    reason = {} if status == "ok" else {"reason": "The run ended early; look at its log.", "reason_zh": "运行中断"}
    return Run(**{"id": "r1", "algorithm": algorithm, "status": status, "targets": ("s1",), **reason, **fields})


def box(grid: Grid, low: tuple[int, int, int], high: tuple[int, int, int], step: int = 0) -> Region:
    """A box with one corner cut off, which no flip leaves unchanged."""
    mask = np.zeros(grid.shape, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    if step:
        mask[low[0] : low[0] + 2, low[1] : low[1] + step, low[2] : low[2] + step] = False
    return Region.from_mask(mask)


def structures(grid: Grid, run: Run, study_uid: str) -> tuple[Structure, ...]:
    """A parotid gland of 12 cm3 and a cord of 2 cm3."""
    regions = {
        "Parotid_L": box(grid, (3, 10, 8), (13, 32, 22), 5),
        "SpinalCord": box(grid, (1, 30, 28), (18, 36, 37), 3),
    }
    return tuple(
        measured_structure(lookup(name), region, grid, run=run, study_uid=study_uid, number=number)
        for number, (name, region) in enumerate(regions.items(), start=1)
    )


def verdict(stack: Stack) -> SeriesVerdict:
    """One check of each grade."""
    subject = Subject(stack.study_instance_uid, stack.series_instance_uid, "CT", len(stack.sources))
    limits = LimitsUsed((None, 0.5), (None, 2.0), {}, "gate", "site policy", "ct_rt_sim", "e5" * 32)
    cause = Cause("positioning", "左侧体表超出重建视野", "Left skin outside the reconstructed field")
    action = Action("recentre", "technician", True, "请将患者右移约 15 mm", "Move the patient about 15 mm to the right")
    checks = (
        CheckResult("ct.noise.gni", "1.0.0", subject, 11.2, "[hnsf'U]", 0.3, limits, Grade.PASS),
        CheckResult(
            "ct.truncation", "1.0.0", subject, 3.14, "%", 0.2, limits, Grade.FAIL, "",
            (Location("side", {"side": "L"}),), cause, action,
        ),
        CheckResult("gen.tag.position", "1.0.0", subject, None, "1", None, limits, Grade.NOT_EVALUABLE, "missing_tag"),
    )  # fmt: skip
    return SeriesVerdict(
        stack.series_instance_uid, Grade.FAIL, "ct_rt_sim", "e5" * 32, checks, required=("gen.tag.position",)
    )


def make_case(folder: Path, **series: Any) -> Case:
    """A series written to `folder`, read back, with a result that has findings."""
    write_series(folder, **series)
    stack = scan([folder]).stacks[0]
    volume = load_volume(stack)
    run = run_of(scope_covered=True)
    found = structures(stack.grid, run, stack.study_instance_uid)
    result = Result(
        study=study_ref(stack.header),
        input=input_version(
            ((s.sop_instance_uid, "0f" * 32) for s in stack.sources),
            [
                StackRef(
                    "s1", stack.series_instance_uid, stack.frame_of_reference_uid, len(stack.sources), "CT", "CT 测试"
                )
            ],
        ),
        runs=(run,),
        status="findings",
        created_at=MADE_AT,
        qc=(verdict(stack).to_json(),),
        structures=found,
    )
    return Case(stack, volume, result)


def without_output(result: Result, *runs: Run) -> Result:
    """The result with these runs and without structures."""
    return replace(result, runs=runs, structures=(), status=outcome(runs))


def set_raw(ds: Dataset, keyword: str, value: bytes) -> None:
    """Writes bytes that pydicom would not take."""
    tag = Tag(tag_for_keyword(keyword) or 0)
    value += b" " * (len(value) % 2)
    ds[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
