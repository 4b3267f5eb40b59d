"""From values to HTML: the template environment, and the pieces that pages and live updates share."""

import hashlib
import re
from collections.abc import Mapping
from functools import cache, partial
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from jinja2 import ChainableUndefined, Environment, PackageLoader
from markupsafe import Markup

from dicom_gateway.web.study import StudyView
from dicom_gateway.web.texts import advice, clock_time, decimals, is_coming, phrased, size_text, translator
from dicom_gateway.web.worklist import PAGE_ROWS, WAITING, Filter, Worklist, incomplete_reason, known_states

__all__ = ["assets_digest", "mark_of", "render", "study_sections", "worklist_pieces"]

SECTIONS = ("head", "results", "objects", "jobs", "quality", "input", "routing", "events")
BAD_JOBS = ("FAILED", "REFUSED", "HELD", "PARTLY", "CANCELLED")


@cache
def environment() -> Environment:
    """The templates: everything is escaped, and a key that is missing in some JSON is empty."""
    made = Environment(
        loader=PackageLoader("dicom_gateway.web"),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        clock=clock_time,
        size=size_text,
        decimals=decimals,
        person=person_name,
        dicom_date=dicom_date,
        colour=colour,
        problems=problems,
        is_coming=is_coming,
        unit=unit_text,
    )
    return made


@cache
def assets_digest() -> str:
    """Changes with the style sheet and the script, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for file in sorted(resources.files("dicom_gateway.web").joinpath("static").iterdir(), key=lambda f: f.name):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def render(template: str, language: str, **values: Any) -> str:
    """The HTML of one template."""
    words = {"t": translator(language), "language": language}
    words |= {"phrased": partial(phrased, language=language), "advice": partial(advice, language=language)}
    return environment().get_template(template).render(**words, **values)


def worklist_pieces(found: Worklist, wanted: Filter, language: str) -> dict[str, str]:
    """HTML by element id: every row, and the summary; in the order in which rows are shown."""
    summary = [(s, found.states[s]) for s in known_states(list(found.states))]
    pieces = {"summary": render("worklist_summary.html", language, summary=summary, wanted=wanted)}
    for row in found.rows:
        pieces[f"study-{row.study_uid}"] = render("worklist_row.html", language, row=row)
    return pieces


def worklist_page(found: Worklist, wanted: Filter, language: str, **frame: Any) -> str:
    """The page of a filter."""
    parameters = {"q": wanted.text, "state": wanted.state, "modality": wanted.modality}
    kept = {k: v for k, v in parameters.items() if v}
    return render(
        "worklist.html",
        language,
        here="worklist",
        wanted=wanted,
        rows=found.rows,
        total=found.total,
        summary=[(s, found.states[s]) for s in known_states(list(found.states))],
        states=known_states(list(found.states)),
        modalities=found.modalities,
        page_rows=PAGE_ROWS,
        mark=mark_of(worklist_pieces(found, wanted, language)),
        query=urlencode({**kept, "page": wanted.page}),
        query_without_page=urlencode(kept),
        **frame,
    )


def study_sections(
    view: StudyView, language: str, *, proof: str, can_resend: bool, can_begin_again: bool
) -> dict[str, Markup]:
    """HTML of each section of a study's page, by name."""
    values: dict[str, Any] = {
        "view": view,
        "proof": proof,
        "can_resend": can_resend,
        "can_begin_again": can_begin_again,
    }
    return {
        # The templates have escaped every value; the markup is joined as it is.
        name: Markup(render(f"study_{name}.html", language, **values).strip())  # noqa: S704
        for name in SECTIONS
    }


def mark_of(pieces: Mapping[str, str]) -> str:
    """A digest that changes with any piece: what a browser has seen so far."""
    digest = hashlib.sha256()
    for name, html in pieces.items():
        digest.update(f"{name}\0{html}\0".encode())
    return digest.hexdigest()[:24]


def person_name(text: str | None) -> str:
    """A person's name for people: ideographic group first, then the alphabetic one, carets as blanks."""
    groups = [" ".join(g.split("^")).strip() for g in (text or "").split("=")]
    shown = [g for g in (groups[1] if len(groups) > 1 else "", groups[0]) if g]
    return re.sub(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])", "", " ".join(shown))


def dicom_date(text: str | None) -> str:
    """A DA value with hyphens; anything else as it is."""
    found = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", (text or "").strip())
    return "-".join(found.groups()) if found else (text or "")


def colour(name: Any) -> str:
    """Colour of a structure for an attribute; grey where it has none."""
    rgb = name.get("colour_rgb") if isinstance(name, Mapping) else None
    if isinstance(rgb, list) and len(rgb) == 3 and all(isinstance(c, int) and 0 <= c < 256 for c in rgb):
        return "#{:02x}{:02x}{:02x}".format(*rgb)
    return "#888888"


def unit_text(code: str | None) -> str:
    """A UCUM code as people write it; annotations in braces and the unit one are left out."""
    text = (code or "").replace("[hnsf'U]", "HU").replace("cm3", "cm³")
    return "" if text == "1" or text.startswith("{") else text


def problems(view: StudyView) -> list[dict[str, Any]]:
    """What a person has to look at: the state of the study, and of each job that did not end well."""
    found: list[dict[str, Any]] = []
    incomplete = incomplete_reason(view.version.get("evidence"))
    if incomplete and view.state != "INCOMPLETE":
        found.append({"title": ("state", "INCOMPLETE"), "about": "", "text": incomplete})
    if view.version.get("reason"):
        found.append({"title": ("state", view.state), "about": "", "text": view.version["reason"]})
    found += [
        {"title": ("state", job["state"]), "about": job["bundle"], "text": job["reason"]}
        for job in view.jobs
        if job["state"] in BAD_JOBS and job["reason"] and job["reason"] != view.version.get("reason")
    ]
    found += [
        {"title": ("result", bundle["status"]), "about": bundle.get("bundle"), "text": bundle.get("reason") or ""}
        for job in view.jobs
        for bundle in job["bundles"]
        if bundle.get("status", "ok") != "ok" and bundle.get("reason") not in {p["text"] for p in found}
    ]
    waiting = {
        d["destination"] for r in view.results for o in r["objects"] for d in o["deliveries"] if d["state"] in WAITING
    }
    found += [
        {"title": ("study", "unreached"), "about": name, "text": text}
        for name, text in sorted(view.unreached.items())
        if name in waiting
    ]
    if view.is_split and not view.stacks:
        found += [
            {"title": ("code", item.get("reason")), "about": item.get("modality"), "text": item.get("message")}
            for item in view.leftovers
            if item.get("message") != view.version.get("reason")
        ]
    return found
