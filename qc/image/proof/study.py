"""The study: how values follow planted severities, which other checks move, and how many clean series pass."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from qc.image.inputs import Inputs
from qc.image.proof.clean import CleanSeries
from qc.image.proof.planting import DEFECTS, Defect
from qc.image.registry import Measured, discover
from qc.image.result import Grade, worst
from qc.image.run import check_inputs

__all__ = ["LISTED", "claims", "gaps", "prove", "wilson"]

SEEDS = (1, 2)
LARGE = 8_000_000
"""Voxels above which one seed is enough: there is no chance left in so many."""

MOST_OF_KIND = {"CT": 6, "MR": 4, "DX": 10}
"""Series of each kind into which defects are planted; specificity takes all of them."""

BAD = {Grade.WARN, Grade.FAIL}
LEAST = 0.95
FEWEST_JUDGED = 20
"""Of fewer clean series a share says nothing."""

Z95 = 1.959964

NOISE_MOVES = {
    "ct.hu.air": "noise widens the peak of air",
    "ct.ring": "noise raises the mean of circles with few pixels",
    "ct.motion": "noise lowers the likeness of neighbouring slices",
    "ct.hu.fat": "noise takes the peak of fat away",
    "ct.truncation": "noise above -300 HU in air looks like matter at the border",
}

LISTED: dict[str, dict[str, str]] = {
    **dict.fromkeys(("noise", "noise, smooth", "noise, smoother"), NOISE_MOVES),
    "blur": {
        "ct.ring": "blur lowers the noise that rings are measured against",
        "ct.hu.air": "blur mixes air with skin",
        "ct.hu.fat": "blur mixes fat with skin and muscle",
        "ct.starvation": "without noise, what differs between pixels is anatomy, which has directions",
    },
    "slice displacement": {"ct.starvation": "a crop's first column, repeated, has no differences across columns"},
    "scale offset": {
        "ct.hu.tissue": "an offset moves all",
        "ct.hu.fat": "an offset moves both",
        "ct.noise.gni": "tissue leaves its window",
        "ct.ring": "tissue leaves its window",
    },
    "scale offset (fat)": {
        "ct.hu.tissue": "an offset moves all",
        "ct.hu.air": "an offset moves both",
        "ct.noise.gni": "tissue leaves its window",
        "ct.ring": "tissue leaves its window",
    },
    "saturation": {
        "ct.metal": "what is at the top of the range reads as metal",
        "ct.ring": "saturated pixels are rings",
        "ct.hu.tissue": "in a crop without bone the cut goes through soft tissue",
    },
    "ring": {"ct.hu.fat": "rings run through the fat as well"},
    "metal": {"gen.pixel.clipped": "metal is at the top of the range"},
    "black anatomy": {
        "dx.collimation": "what is black reads as field without anatomy",
        "dx.side_marker": "a letter on black anatomy",
    },
    "film saturation": {
        "gen.pixel.burned_text": "saturated specks are as white and small as letters",
        "dx.side_marker": "a letter on saturated anatomy",
    },
    "wide field": {"dx.side_marker": "the letter is smaller in a wider field"},
    "missing slices": {"gen.instance.holes": "a lost slice takes its number with it"},
    "MR ghost": {"mr.ghost": "it is one", "mr.motion": "a copy along phase", "mr.wrap": "a copy at the border"},
    "MR noise": {"mr.noise": "it is noise", "mr.wrap": "strong noise in the air at the border reads as matter"},
    "MR shading": {"mr.zipper": "tissue in the shade counts as air, and has lines"},
    "MR spike": {
        "mr.noise": "the pattern differs from pixel to pixel",
        "mr.wrap": "the pattern reaches the border",
        "gen.pixel.empty": "under the pattern no pixel stands out of the background",
        "gen.pixel.burned_text": "crests of the pattern are as bright and small as letters",
    },
}
"""Checks that move with a defect for a physical reason."""


def prove(series: Iterable[CleanSeries], progress: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """All three parts over the given series; plain values for JSON."""
    ranks: dict[str, list[dict[str, Any]]] = {d.name: [] for d in DEFECTS}
    moved: dict[str, Counter[str]] = {d.name: Counter() for d in DEFECTS}
    planted: Counter[str] = Counter()
    open_to: Counter[str] = Counter()
    judged: dict[tuple[str, str], Counter[str]] = {}
    whole: dict[str, Counter[str]] = {}
    taken: Counter[str] = Counter()
    for one in series:
        progress(one.name)
        clean = check_inputs(replace(one.inputs), one.profile)
        fit = [r for r in clean.results if r.check_id not in one.unfit]
        whole.setdefault(one.kind, Counter())[str(worst([r.grade for r in fit if r.is_gate]))] += 1
        for result in clean.results:
            grade = "unfit" if result.check_id in one.unfit else str(result.grade)
            judged.setdefault((one.kind, result.check_id), Counter())[grade] += 1
        if taken[one.kind] >= MOST_OF_KIND.get(one.kind, 0):
            continue
        taken[one.kind] += 1
        alarms = {r.check_id for r in clean.results if r.grade in BAD}
        for defect in DEFECTS:
            if defect.kind != one.kind:
                continue
            found = _follow(defect, one.inputs)
            if found is not None:
                ranks[defect.name].append({"series": one.name, **found})
            strongest = defect.plant(replace(one.inputs), defect.severities[-1], 1)
            if strongest is None or found is None:
                continue
            planted[defect.name] += 1
            # A series that alarms from the start gives no new alarm, and a check without limits gives none ever.
            open_to[defect.name] += any(r.check_id == defect.check and r.grade not in BAD for r in clean.results)
            after = check_inputs(strongest, one.profile)
            moved[defect.name].update({r.check_id for r in after.results if r.grade in BAD} - alarms)
    study: dict[str, Any] = {
        "defects": [_summary(d, ranks[d.name]) for d in DEFECTS],
        "cross_talk": _matrix(moved, planted, open_to),
        "specificity": [_passing(kind, check_id, n) for (kind, check_id), n in sorted(judged.items())],
        "verdicts": {kind: dict(sorted(n.items())) for kind, n in sorted(whole.items())},
    }
    return study | {"claims": claims(study), "gaps": gaps(study)}


def claims(study: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is to be shown, and for each claim what speaks against it: nothing where it holds.

    What no series of the study can show is not claimed.
    """
    planted = [d for d in study["defects"] if d["rho_median"] is not None]
    of_white = [d for d in planted if d["name"] == "noise"]
    judged = [r for r in study["specificity"] if r["judged"] >= FEWEST_JUDGED]
    found = {
        f"rank correlation at least {LEAST} in the median": [
            f"{d['name']}: {d['rho_median']:.3f}" for d in planted if d["rho_median"] < LEAST
        ],
        f"at least {LEAST} of the clean series pass, where {FEWEST_JUDGED} and more were judged": [
            f"{r['kind']} {r['check']}: {r['passed']} of {r['judged']}" for r in judged if r["share"] < LEAST
        ],
        "noise within 5 % of what was planted": [
            f"{d['name']}: up to {d['largest_error_percent']:.1f} %" for d in of_white if d["largest_error_percent"] > 5
        ],
    }
    return {
        claim: against
        for (claim, against), shown in zip(found.items(), (planted, judged, of_white), strict=True)
        if shown
    }


def gaps(study: Mapping[str, Any]) -> dict[str, list[str]]:
    """Where the matrix of cross-talk is not what one would wish; a few series of each kind, so no claim."""
    return {
        f"a defect's own check alarms in at least {LEAST} of the series": [
            f"{r['name']}, {r['check']}: {r['own']:.2f} of {r['open_to_own']}"
            for r in study["cross_talk"]
            if r["own"] is not None and r["own"] < LEAST
        ],
        f"other checks alarm in at most {1 - LEAST:.2f} of them, or for a reason that is listed": [
            f"{r['name']}: {check} in {share:.2f} of {r['series']}"
            for r in study["cross_talk"]
            for check, share in r["unlisted"].items()
            if share > 1 - LEAST
        ],
    }


def _value(check_id: str, inputs: Inputs) -> float | None:
    found = discover()[check_id].run(inputs)
    return float(found.value) if isinstance(found, Measured) and not isinstance(found.value, str) else None


def _follow(defect: Defect, inputs: Inputs) -> dict[str, Any] | None:
    """Rank correlation of one series; None where it does not admit the defect or the check cannot judge it."""
    own = _value(defect.check, inputs)
    pairs = []
    seeds = SEEDS if inputs.volume is None or inputs.volume.array.size < LARGE else SEEDS[:1]
    for severity in defect.severities:
        for seed in seeds:
            made = defect.plant(inputs, severity, seed)
            value = None if made is None else _value(defect.check, made)
            if value is not None:
                pairs.append((severity, value))
    if len(pairs) < len(seeds) * len(defect.severities) - len(seeds):
        return None
    rho = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic) * defect.sign
    return {"clean": own, "rho": rho if math.isfinite(rho) else 0.0, "pairs": [[s, round(v, 6)] for s, v in pairs]}


def _summary(defect: Defect, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    rhos = [row["rho"] for row in rows]
    summary: dict[str, Any] = {
        "name": defect.name,
        "check": defect.check,
        "kind": defect.kind,
        "unit": defect.unit,
        "severities": list(defect.severities),
        "series": len(rows),
        "rho_median": float(np.median(rhos)) if rhos else None,
        "rho_lowest": min(rhos) if rhos else None,
        "rows": list(rows),
    }
    if defect.check == "ct.noise.gni" and rows:
        errors = [
            abs(v / math.hypot(row["clean"], s) - 1)
            for row in rows
            if row["clean"] is not None
            for s, v in row["pairs"]
        ]
        summary["largest_error_percent"] = 100 * max(errors, default=0.0)
        summary["within_5_percent"] = float(np.mean([e <= 0.05 for e in errors])) if errors else 0.0
        summary["median_error_percent"] = 100 * float(np.median(errors)) if errors else 0.0
    return summary


def _matrix(moved: dict[str, Counter[str]], planted: Counter[str], open_to: Counter[str]) -> list[dict[str, Any]]:
    """Per defect: share of the series (where it can) in which its own check alarms, and the shares of all others."""
    rows = []
    for defect in DEFECTS:
        count = planted[defect.name]
        if not count:
            continue
        shares = {check: n / count for check, n in sorted(moved[defect.name].items())}
        listed = LISTED.get(defect.name, {})
        rows.append({
            "name": defect.name,
            "check": defect.check,
            "series": count,
            "own": moved[defect.name][defect.check] / open_to[defect.name] if open_to[defect.name] else None,
            "open_to_own": open_to[defect.name],
            "others": {c: s for c, s in shares.items() if c != defect.check},
            "unlisted": {c: s for c, s in shares.items() if c != defect.check and c not in listed},
        })
    return rows


def _passing(kind: str, check_id: str, counts: Counter[str]) -> dict[str, Any]:
    passed = counts["PASS"]
    total = passed + counts["WARN"] + counts["FAIL"]
    low, high = wilson(passed, total)
    return {
        "kind": kind,
        "check": check_id,
        "judged": total,
        "not_evaluable": counts["NOT_EVALUABLE"],
        "unfit": counts["unfit"],
        "passed": passed,
        "share": passed / total if total else None,
        "wilson": [low, high],
    }


def wilson(hits: int, total: int) -> tuple[float, float]:
    """95 % interval of a share after Wilson; from 0 to 1 where nothing was counted."""
    if not total:
        return 0.0, 1.0
    p = hits / total
    middle = (p + Z95**2 / (2 * total)) / (1 + Z95**2 / total)
    half = Z95 / (1 + Z95**2 / total) * math.sqrt(p * (1 - p) / total + Z95**2 / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)
