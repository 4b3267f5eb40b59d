"""The plots of the manual, as SVG that a browser and a repository's page can show."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

__all__ = ["draw_all"]

FONT = 'font-family="system-ui, sans-serif"'
INK, FAINT, GOOD, POOR = "#1d2733", "#c9d1da", "#1f7a4d", "#b03a2e"
SERIES = ("#2b6cb0", "#b7791f", "#2f855a", "#9b2c2c", "#6b46c1", "#2c7a7b", "#97266d", "#4a5568")


def draw_all(study: Mapping[str, Any], folder: Path) -> tuple[Path, ...]:
    """Write `qc_response.svg`, `qc_cross_talk.svg` and `qc_specificity.svg`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {
        "qc_response.svg": response([d for d in study["defects"] if d["rows"]]),
        "qc_cross_talk.svg": cross_talk(study["cross_talk"]),
        "qc_specificity.svg": specificity(study["specificity"]),
    }
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(folder / name for name in made)


def _page(width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" {FONT} font-size="11">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _text(
    x: float, y: float, text: str, anchor: str = "start", size: float = 11, colour: str = INK, turn: float = 0
) -> str:
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" fill="{colour}"{turned}>'
        f"{escape(text)}</text>"
    )


def response(defects: Sequence[Mapping[str, Any]]) -> str:
    """One small picture for each defect: value over severity, a line for each series."""
    across, wide, high = 4, 230.0, 170.0
    parts = []
    for number, defect in enumerate(defects):
        left, top = (number % across) * wide + 46, (number // across) * high + 34
        w, h = wide - 66, high - 66
        values = [v for row in defect["rows"] for _, v in row["pairs"]]
        low, span = min(values), (max(values) - min(values)) or 1.0
        first, last = defect["severities"][0], defect["severities"][-1]
        title = f"{defect['name']} ({defect['unit']})"
        parts += [
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{w:.1f}" height="{h:.1f}" fill="none" stroke="{FAINT}"/>',
            _text(left, top - 18, title, size=12),
            _text(
                left,
                top - 5,
                f"{defect['check']}   rho {defect['rho_median']:.2f}, lowest {defect['rho_lowest']:.2f}",
                size=9.5,
                colour="#55606e",
            ),
            _text(left - 4, top + 9, f"{low + span:.3g}", "end", 9),
            _text(left - 4, top + h, f"{low:.3g}", "end", 9),
            _text(left, top + h + 12, f"{first:g}", "start", 9),
            _text(left + w, top + h + 12, f"{last:g}", "end", 9),
        ]
        for index, row in enumerate(defect["rows"]):
            points = " ".join(
                f"{left + w * (s - first) / (last - first):.1f},{top + h * (1 - (v - low) / span):.1f}"
                for s, v in _means(row["pairs"])
            )
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{SERIES[index % len(SERIES)]}" stroke-width="1.4"/>'
            )
    rows = -(-len(defects) // across)
    return _page(across * wide + 40, rows * high + 10, parts)


def _means(pairs: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    by_severity: dict[float, list[float]] = {}
    for severity, value in pairs:
        by_severity.setdefault(severity, []).append(value)
    return [(s, sum(v) / len(v)) for s, v in sorted(by_severity.items())]


def cross_talk(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows are defects, columns checks; the shade is the share of series in which the check newly alarms."""
    checks = sorted({row["check"] for row in rows} | {c for row in rows for c in row["others"]})
    cell, left, top = 24.0, 170.0, 150.0
    parts = [_text(8, 18, "New alarms by planted defect (framed: the check that has to see it)", size=13)]
    for column, check in enumerate(checks):
        parts.append(_text(left + (column + 0.65) * cell, top - 6, check, size=10, turn=-58))
    for line, row in enumerate(rows):
        y = top + line * cell
        parts.append(_text(left - 8, y + 16, f"{row['name']} (n = {row['series']})", "end"))
        for column, check in enumerate(checks):
            is_own = check == row["check"]
            share = (row["own"] or 0.0) if is_own else row["others"].get(check, 0.0)
            colour = GOOD if is_own else POOR if check in row["unlisted"] else "#b7791f"
            parts.append(
                f'<rect x="{left + column * cell:.1f}" y="{y:.1f}" width="{cell - 2:g}" height="{cell - 2:g}" '
                f'fill="{colour}" fill-opacity="{share:.2f}" stroke="{INK if is_own else FAINT}"/>'
            )
            if share:
                parts.append(_text(left + (column + 0.46) * cell, y + 15, f"{100 * share:.0f}", "middle", 9))
    return _page(left + len(checks) * cell + 110, top + len(rows) * cell + 14, parts)


def specificity(rows: Sequence[Mapping[str, Any]]) -> str:
    """Share of clean series that pass, with Wilson's interval, for each kind and check that was judged."""
    shown = [r for r in rows if r["judged"]]
    left, wide, step = 250.0, 360.0, 17.0
    parts = [_text(8, 18, "Clean series that pass, with 95 % interval (Wilson)", size=13)]
    for share in (0.0, 0.25, 0.5, 0.75, 0.95, 1.0):
        x = left + wide * share
        parts.append(f'<line x1="{x:.1f}" y1="34" x2="{x:.1f}" y2="{44 + step * len(shown):.1f}" stroke="{FAINT}"/>')
        parts.append(_text(x, 30, f"{100 * share:.0f}", "middle", 9))
    for line, row in enumerate(shown):
        y = 46 + line * step
        low, high = (left + wide * v for v in row["wilson"])
        colour = GOOD if row["share"] >= 0.95 else POOR
        parts += [
            _text(left - 10, y + 4, f"{row['kind']}  {row['check']}  ({row['passed']}/{row['judged']})", "end", 10),
            f'<line x1="{low:.1f}" y1="{y:.1f}" x2="{high:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{left + wide * row["share"]:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"/>',
        ]
    return _page(left + wide + 24, 56 + step * len(shown), parts)
