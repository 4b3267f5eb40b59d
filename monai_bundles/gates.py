"""What `configs/radgate.json` asks of image quality: names of checks, or checks with a grade and what follows."""

from collections.abc import Mapping
from typing import Any

from monai_bundles.bundle import QualityGate
from monai_bundles.errors import BadMetadata

__all__ = ["gates_of"]

WARNED_ONLY = (".noise", ".motion")
"""Checks whose failure is a warning unless the bundle says otherwise; all others refuse."""

KEYS = {"check", "min_grade", "on_fail", "not_evaluable"}


def gates_of(radgate: Mapping[str, Any]) -> tuple[QualityGate, ...]:
    """The gates of a bundle, in the order of its file.

    Raises
    ------
    BadMetadata
        An entry is neither a name nor a table of known keys and words, or a check stands twice.
    """
    gates = tuple(_gate(entry, place) for place, entry in enumerate(radgate["required_checks"], start=1))
    names = [g.check for g in gates]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise BadMetadata(f"`required_checks` in configs/radgate.json names {twice} twice; keep one of the two.")
    return gates


def _gate(entry: Any, place: int) -> QualityGate:
    if isinstance(entry, str) and entry:
        return QualityGate(entry)
    where = f"Entry {place} of `required_checks` in configs/radgate.json"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("check"), str) or not entry["check"]:
        raise BadMetadata(f"{where} is neither the name of a check nor a table with `check`; correct it.")
    stray = sorted(set(entry) - KEYS)
    if stray:
        raise BadMetadata(f"{where} has the unknown key {stray[0]!r}; known are {', '.join(sorted(KEYS))}.")
    soft = any(part in entry["check"] for part in WARNED_ONLY)
    values = {"on_fail": "run_with_warning" if soft else "refuse", **entry}
    gate = QualityGate(**values)
    for key, allowed in (
        ("min_grade", QualityGate.MIN_GRADES),
        ("on_fail", QualityGate.WORDS),
        ("not_evaluable", QualityGate.WORDS),
    ):
        if getattr(gate, key) not in allowed:
            raise BadMetadata(f"{where}: `{key}` is one of {', '.join(allowed)}.")
    return gate
