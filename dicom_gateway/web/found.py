"""What a result detected and classified, as rows of the study's page: robust against documents of other versions."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

from reports.findings import MEASURED
from reports.numbers import format_number, format_significant

__all__ = ["MOST_PICTURES", "finding_rows", "landmark_rows", "score_rows"]

MOST_PICTURES = 40
"""Pictures in the table, as many as in the PDF; a film has thousands."""

Row = dict[str, Any]


def finding_rows(document: Mapping[str, Any]) -> list[Row]:
    """Label, structure, score and algorithm of each finding, with its measurements as (zh, en, value with unit)."""
    algorithms = _algorithms(document)
    coded = {s.get("id"): s.get("name") for s in _entries(document, "structures")}
    names = {key: str(n.get("tg263") or "") for key, n in coded.items() if isinstance(n, Mapping)}
    rows = []
    for entry in _entries(document, "findings"):
        pairs = [p for p in _listed(entry, "measured") if isinstance(p, list) and len(p) == 2]
        measured = [_measurement(str(key), value) for key, value in pairs]
        box = " × ".join(format_significant(float(v), 3) for v in _listed(entry, "size_mm") if isinstance(v, Real))
        rows.append({
            "label": entry.get("label") or "",
            "structure": names.get(entry.get("structure"), ""),
            "score": entry.get("score"),
            "measured": [m for m in measured if m],
            "box": box,
            "algorithm": algorithms.get(entry.get("run"), ""),
        })
    return rows


def score_rows(document: Mapping[str, Any]) -> tuple[list[Row], int]:
    """Of each image that was classified its picture (0: the whole), classes and algorithm; and how many are left out.

    The first one is the most certain.
    """
    algorithms = _algorithms(document)
    pictures: dict[tuple[Any, Any], list[tuple[str, float]]] = {}
    for entry in _entries(document, "scores"):
        if isinstance(entry.get("value"), Real):
            key = (entry.get("run"), entry.get("picture") or 0)
            pictures.setdefault(key, []).append((str(entry.get("label") or ""), float(entry["value"])))
    rows = [
        {"picture": picture, "classes": classes, "algorithm": algorithms.get(run, "")}
        for (run, picture), classes in pictures.items()
    ]
    return rows[:MOST_PICTURES], max(len(rows) - MOST_PICTURES, 0)


def landmark_rows(document: Mapping[str, Any]) -> list[Row]:
    """Of each landmark its place on the first picture that shows it, and on how many pictures it is seen."""
    algorithms = _algorithms(document)
    groups: dict[tuple[Any, Any], list[Mapping[str, Any]]] = {}
    for entry in _entries(document, "landmarks"):
        position = _listed(entry, "position_lps")
        if isinstance(entry.get("picture"), int) and len(position) == 3 and all(isinstance(v, Real) for v in position):
            groups.setdefault((entry.get("run"), entry.get("label")), []).append(entry)
    rows = []
    for (run, label), entries in groups.items():
        first = min(entries, key=lambda e: e["picture"])
        rows.append({
            "label": label or "",
            "picture": first["picture"],
            "position": ", ".join(format_number(float(v), 1) for v in first["position_lps"]),
            "seen": len(entries),
            "algorithm": algorithms.get(run, ""),
        })
    return rows


def _measurement(key: str, value: Any) -> tuple[str, str, str] | None:
    quantity = MEASURED.get(key)
    if quantity is None or not isinstance(value, Real):
        return None
    return quantity.zh, quantity.en, f"{format_significant(float(value), 3)} {quantity.shown_unit}".strip()


def _algorithms(document: Mapping[str, Any]) -> dict[Any, str]:
    named = {run.get("id"): run.get("algorithm") for run in _entries(document, "runs")}
    return {key: str(a.get("name") or "") for key, a in named.items() if isinstance(a, Mapping)}


def _entries(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return [entry for entry in _listed(document, key) if isinstance(entry, Mapping)]


def _listed(form: Mapping[str, Any], key: str) -> list[Any]:
    value = form.get(key)
    return value if isinstance(value, list) else []
