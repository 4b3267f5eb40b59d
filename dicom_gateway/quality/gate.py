"""What a bundle asks of image quality before it runs, and what follows where that is not met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from monai_bundles import QualityGate

__all__ = ["Decision", "GateWord", "decide"]

RANK = {"FAIL": 0, "WARN": 1, "PASS": 2}


class GateWord(IntEnum):
    """What becomes of a run, from the best to the worst."""

    RUN = 0
    RUN_WITH_WARNING = 1
    HOLD = 2
    REFUSE = 3


@dataclass(frozen=True)
class Decision:
    """What becomes of a run and why, as sentences in both languages; `action` is the worst check's, for a person."""

    word: GateWord
    reasons_en: tuple[str, ...] = ()
    reasons_zh: tuple[str, ...] = ()
    action_en: str = ""
    action_zh: str = ""


def decide(gates: Sequence[QualityGate], verdict: Mapping[str, Any]) -> Decision:
    """The worst of what the gates of a bundle say about a verdict (as JSON).

    A check that could not be judged, or was not made, follows the gate's `not_evaluable`: never a silent pass.
    """
    results = {r["check_id"]: r for r in verdict["results"]}
    broken = []
    for gate in gates:
        result = results.get(gate.check)
        grade = result["grade"] if result is not None else "NOT_EVALUABLE"
        if grade in RANK and RANK[grade] >= RANK[gate.min_grade]:
            continue
        word = GateWord[(gate.on_fail if grade in RANK else gate.not_evaluable).upper()]
        broken.append((word, gate, result))
    if not broken:
        is_clean = verdict["grade"] not in {"WARN", "FAIL"}
        return Decision(GateWord.RUN if is_clean else GateWord.RUN_WITH_WARNING)
    broken.sort(key=lambda b: (-b[0], b[1].check))
    action = next((r["action"] for _, _, r in broken if r is not None and r["action"]), None) or {}
    return Decision(
        max(word for word, _, _ in broken),
        tuple(_sentence(gate, result, "en") for _, gate, result in broken),
        tuple(_sentence(gate, result, "zh") for _, gate, result in broken),
        action.get("en", ""),
        action.get("zh", ""),
    )


def _sentence(gate: QualityGate, result: Mapping[str, Any] | None, language: str) -> str:
    """Why one gate is not met."""
    if result is None or result["grade"] == "NOT_EVALUABLE":
        if language == "zh":
            return f"影像质控无法评价 {gate.check}。"
        return f"Image quality could not judge {gate.check}."
    grade = result["grade"]
    cause = (result["cause"] or {}).get(language, "")
    if language == "zh":
        return f"影像质控 {gate.check} 为 {grade}（要求至少 {gate.min_grade}）{'：' if cause else ''}{cause}。"
    return f"Image quality failed in {gate.check}: {grade}, at least {gate.min_grade} is needed. {cause}".strip()
