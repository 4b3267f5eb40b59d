"""One page for the technician: what is wrong, where, why, and what to do, with pictures; no patient data."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from qc.image.illustrate import SeriesPictures
from qc.image.registry import discover
from qc.image.result import CheckResult, Grade, SeriesVerdict

__all__ = ["render_page"]

STYLE = """
body { font-family: system-ui, "Noto Sans CJK SC", sans-serif; margin: 2rem auto; max-width: 70rem; color: #1d2733; }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; margin: .4rem 0 1rem }
table.findings { table-layout: fixed }
.findings th:nth-child(1) { width: 6rem } .findings th:nth-child(2) { width: 10rem }
.findings th:nth-child(4) { width: 15rem }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #d8dee6 }
th { font-weight: 600; color: #55606e; font-size: .85rem }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.grade { display: inline-block; padding: .05rem .5rem; border-radius: .7rem; font-size: .8rem; font-weight: 600 }
.PASS { background: #d9f0dd; color: #14532d } .WARN { background: #fdeeb8; color: #713f12 }
.FAIL { background: #f9d3d3; color: #7f1d1d } .NOT_EVALUABLE { background: #e5e7eb; color: #374151 }
.now { color: #7f1d1d; font-weight: 600 } .en { color: #55606e; font-size: .88rem } details { margin: .3rem 0 }
img { max-width: 100%; margin: .4rem 0; display: block }
"""


def render_page(verdicts: Sequence[SeriesVerdict], pictures: Sequence[SeriesPictures] = ()) -> str:
    """A page in HTML with the findings of each series first and all numbers behind a fold.

    Parameters
    ----------
    pictures
        Of each verdict, in the same order; they are part of the page, which needs no other file.
    """
    shown = pictures or [SeriesPictures() for _ in verdicts]
    parts = [_series(v, p) for v, p in zip(verdicts, shown, strict=True)]
    return (
        '<!doctype html>\n<html lang="zh"><head><meta charset="utf-8"><title>图像质量 / Image quality</title>'
        f"<style>{STYLE}</style></head><body><h1>图像质量 <span class=en>Image quality</span></h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def _series(verdict: SeriesVerdict, pictures: SeriesPictures) -> str:
    subject = verdict.results[0].subject if verdict.results else None
    what = f"{escape(subject.modality)} · {subject.planes} 层 / slices" if subject else ""
    head = (
        f"<section><h2>{_badge(str(verdict.grade))} {what} "
        f"<span class=en>{escape(verdict.series_instance_uid)}</span></h2>"
        f"<div class=en>{escape(verdict.profile_id)} · sha256 {escape(verdict.profile_sha256[:12])}</div>"
    )
    findings = verdict.findings()
    rows = "".join(_finding(r, pictures.findings.get(r.check_id, b"")) for r in findings)
    if pictures.overview:
        head += f"<div>{_picture(pictures.overview, '序列 / series')}</div>"
    body = (
        "<table class=findings><tr><th>等级 / grade<th>项目 / check<th>原因 / cause<th>处理 / action</tr>"
        + rows
        + "</table>"
        if findings
        else "<p>未发现问题。 <span class=en>Nothing was found.</span></p>"
    )
    if missing := ", ".join(f"{r.check_id} ({r.reason})" for r in verdict.unjudged()):
        body += f"<p class=now>必需项目无法评估 / required and not evaluable: {escape(missing)}</p>"
    unjudged = [r.check_id for r in verdict.results if r.grade is Grade.NOT_EVALUABLE]
    if unjudged:
        body += (
            f"<p>{len(unjudged)} 项无法评估。 <span class=en>Not evaluable: {escape(', '.join(unjudged))}</span></p>"
        )
    numbers = "".join(_numbers(r) for r in verdict.results)
    table = f"<table><tr><th>grade<th>check<th>value<th>unit<th>warn<th>fail<th>reason</tr>{numbers}</table>"
    summary = f"<summary>全部结果 / all results ({len(verdict.results)})</summary>"
    return f"{head}{body}<details>{summary}{table}</details></section>"


def _finding(result: CheckResult, picture: bytes) -> str:
    spec = discover().get(result.check_id)
    title = (spec.title_zh, spec.title_en) if spec else (result.check_id, result.check_id)
    cause = (result.cause.zh, result.cause.en) if result.cause else ("", "")
    action = (result.action.zh, result.action.en) if result.action else ("", "")
    now = "<div class=now>患者离开前 / while the patient is here</div>" if result.action and result.action.now else ""
    return (
        f"<tr><td>{_badge(str(result.grade))}<td>{_both(title)}<td>{_both(cause)}{_places(result)}"
        f"{_picture(picture, f'位置 / place: {title[0]} / {title[1]}')}<td>{_both(action)}{now}</tr>"
    )


def _picture(png: bytes, words: str) -> str:
    if not png:
        return ""
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{b64encode(png).decode("ascii")}">'


def _places(result: CheckResult) -> str:
    """Slice positions of a finding, at most six."""
    positions = [p for w in result.where if w.kind == "slices" for p in w.data.get("p_mm", [])]
    if not positions:
        return ""
    shown = ", ".join(f"{p:.1f}" for p in positions[:6]) + (" ..." if len(positions) > 6 else "")
    return f"<div class=en>层面位置 / slice positions: {shown} mm</div>"


def _numbers(result: CheckResult) -> str:
    value = "" if result.value is None else result.value if isinstance(result.value, str) else f"{result.value:.4g}"
    limits = result.limits
    warn, fail = (_range(limits.warn), _range(limits.fail)) if limits else ("", "")
    cells = (escape(result.check_id), escape(str(value)), escape(result.unit), warn, fail, escape(result.reason))
    row = "".join(f"<td class=number>{c}" if n == 1 else f"<td>{c}" for n, c in enumerate(cells))
    return f"<tr><td>{_badge(str(result.grade))}{row}</tr>"


def _range(interval: tuple[float | None, float | None] | None) -> str:
    if interval is None:
        return ""
    low, high = ("" if v is None else f"{v:g}" for v in interval)
    return f"{low} … {high}"


def _badge(grade: str) -> str:
    return f'<span class="grade {grade}">{grade}</span>'


def _both(texts: tuple[str, str]) -> str:
    return f"{escape(texts[0])}<div class=en>{escape(texts[1])}</div>"
