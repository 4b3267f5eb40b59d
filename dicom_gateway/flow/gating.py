"""Image quality before a run: refuse, hold for a person, or run with a warning; and what a person decided."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dicom_gateway.flow.kept import keep_json, kept_json
from dicom_gateway.quality.gate import Decision, GateWord, decide
from dicom_gateway.quality.holds import DECISIONS
from monai_bundles import Bundle, QualityGate

__all__ = ["HELD", "HELD_FILE", "held_reasons", "holding", "keep_release", "stopped", "word_for"]

HELD = "held"
"""What a step answers whose job waits for a person."""

HELD_FILE = "held.json"
RELEASE_FILE = "release.json"

ROLES_ZH = {"technician_lead": "技师长", "radiologist": "放射科医师", "physicist": "物理师"}


def word_for(bundle: Bundle, verdict: Mapping[str, Any], folder: Path) -> Decision:
    """What becomes of a run of this bundle, a person's decision included.

    A run that was let go has the warning on every output; one that was not is refused. A decision holds for the
    reasons that the person saw; where there are others now, the run waits again.
    """
    decision = decide(bundle.gates or tuple(QualityGate(check) for check in bundle.required_checks), verdict)
    path = folder / RELEASE_FILE
    if decision.word is not GateWord.HOLD or not path.exists():
        return decision
    person = kept_json(path)
    if person["decision"] not in DECISIONS or set(_sentences(decision)) - set(person["of"]):
        return decision
    is_let_go = person["decision"] == "released"
    role = str(person["role"])
    return replace(
        decision,
        word=GateWord.RUN_WITH_WARNING if is_let_go else GateWord.REFUSE,
        reasons_en=(
            *decision.reasons_en,
            f"{'Released' if is_let_go else 'Not released'} by a person ({role.replace('_', ' ')}).",
        ),
        reasons_zh=(
            *decision.reasons_zh,
            f"{'已由' if is_let_go else '未获'}{ROLES_ZH.get(role, role)}放行。",
        ),
    )


def stopped(decision: Decision) -> dict[str, Any] | None:
    """The outcome of a run that image quality stops, as plain values; None where it may run."""
    if decision.word < GateWord.HOLD:
        return None
    return {
        "status": "held" if decision.word is GateWord.HOLD else "refused",
        "gate": decision.word.name,
        "reason": " ".join(decision.reasons_en),
        "reason_zh": "".join(decision.reasons_zh),
        "action": decision.action_en,
    }


def holding(bundles: Mapping[str, Bundle], names: Sequence[str], verdict: Mapping[str, Any], folder: Path) -> list[str]:
    """Sentences why a job waits for a person; none where it does not. One bundle that is held holds the whole job.

    They are kept in the job's folder, where the workflow finds them.
    """
    found: list[str] = []
    for name in names:
        bundle = bundles.get(name.partition("@")[0])
        decision = None if bundle is None else word_for(bundle, verdict, folder)
        if decision is not None and decision.word is GateWord.HOLD:
            found += _sentences(decision)
    reasons = list(dict.fromkeys(found))
    if reasons:
        keep_json(folder / HELD_FILE, reasons)
    else:
        (folder / HELD_FILE).unlink(missing_ok=True)
    return reasons


def held_reasons(folder: Path) -> list[str]:
    """Why the job of this folder waits; none where it does not."""
    path = folder / HELD_FILE
    return list(kept_json(path)) if path.exists() else []


def keep_release(folder: Path, decision: Mapping[str, Any]) -> None:
    """Put a person's decision, and of which reasons it is (`of`), where the steps of the job find it."""
    keep_json(folder / RELEASE_FILE, dict(decision))


def _sentences(decision: Decision) -> list[str]:
    return [f"{zh} {en}" for zh, en in zip(decision.reasons_zh, decision.reasons_en, strict=True)]
