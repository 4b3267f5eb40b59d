"""The board of image quality: alerts with their pictures, one series, trends, and what people decide there."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from markupsafe import Markup
from starlette.responses import StreamingResponse

from dicom_gateway.errors import UnknownTrend
from dicom_gateway.quality import history, outputs, record
from dicom_gateway.quality.board import Board, read_board, read_series
from dicom_gateway.quality.history import Trend
from dicom_gateway.web.acting import Proof, check_form
from dicom_gateway.web.chart import Drawing, drawing_of
from dicom_gateway.web.live import event_stream
from dicom_gateway.web.pages import mark_of, render
from dicom_gateway.web.site import Site
from imaging.errors import RadgateError

__all__ = ["ROLES", "quality_routes"]

SECTIONS = ("alerts", "inbox", "series")
ROLES = ("technician_lead", "radiologist", "physicist")
"""Who may let a held run go (specification of image quality, section 6)."""

MOST_ON_SERIES = 6
Text = Annotated[str, Form(max_length=500)]


def quality_routes(site: Site) -> APIRouter:
    """Pages and forms of image quality."""
    api = APIRouter(include_in_schema=False)

    @api.get("/quality")
    def board_page(request: Request) -> HTMLResponse:
        day = _day(request.query_params.get("day", ""))
        board = _board(site, day)
        sections = _sections(site, board, request)
        today = datetime.now().astimezone().date()
        return site.page(
            request,
            "quality.html",
            here="quality",
            board=board,
            sections={name: Markup(html) for name, html in sections.items()},  # noqa: S704 - the templates have escaped
            mark=mark_of(_named(sections)),
            before=board.day - timedelta(days=1),
            after=board.day + timedelta(days=1) if board.day < today else None,
        )

    @api.get("/live/quality")
    async def live_board(request: Request) -> StreamingResponse:
        day = _day(request.query_params.get("day", ""))
        language, proof = site.language(request), site.access.form_proof(request)
        return event_stream(
            request,
            site.watch,
            f"quality {language} {proof} {day}",
            lambda: _named(_sections(site, _board(site, day), request)),
        )

    @api.get("/quality/series/{series_uid}")
    def series_page(request: Request, series_uid: str) -> HTMLResponse:
        with site.engine.connect() as connection:
            view = read_series(connection, series_uid[:64])
            if view is None:
                raise HTTPException(404, "This series was not judged.")
            named = [f["check_id"] for f in view.row["findings"]]
            found = history.trends_of(connection, view.row["station"], view.row["profile"])
        chosen = [t for t in found if t.chart.alarms() or t.check_id in named] or found
        return site.page(
            request,
            "quality_one.html",
            here="quality",
            view=view,
            trends=_drawn(chosen[:MOST_ON_SERIES]),
            titles=_titles(),
            can_reject=site.reject is not None,
        )

    @api.get("/quality/series/{series_uid}/verdict.json")
    def verdict_json(series_uid: str) -> JSONResponse:
        with site.engine.connect() as connection:
            view = read_series(connection, series_uid[:64])
        if view is None:
            raise HTTPException(404, "This series was not judged.")
        return JSONResponse(view.row["verdict"])

    @api.get("/quality/series/{series_uid}/report.dcm")
    def report(series_uid: str) -> Response:
        series = outputs.judged(site.settings, site.engine, site.store, series_uid[:64])
        if series is None:
            raise HTTPException(404, "This series has no final verdict yet.")
        try:
            data = outputs.objects_of(series)[0].data
        except RadgateError as error:
            raise HTTPException(500, error.message) from error
        disposition = {"Content-Disposition": 'attachment; filename="quality_sr.dcm"'}
        return Response(data, media_type="application/dicom", headers=disposition)

    @api.get("/quality/trends")
    def trends_page(request: Request) -> HTMLResponse:
        asked = request.query_params
        with site.engine.connect() as connection:
            groups = history.groups(connection)
            stations = sorted({g[0] for g in groups})
            station = asked.get("station", "") if asked.get("station", "") in stations else next(iter(stations), "")
            profiles = [g[1] for g in groups if g[0] == station]
            profile = asked.get("profile", "") if asked.get("profile", "") in profiles else next(iter(profiles), "")
            found = history.trends_of(connection, station, profile)
        return site.page(
            request,
            "quality_trends.html",
            here="quality",
            stations=stations,
            station=station,
            profiles=profiles,
            profile=profile,
            trends=_drawn(found),
            titles=_titles(),
        )

    @api.post("/quality/alerts/{alert_id}/acknowledge")
    def acknowledge(request: Request, alert_id: int, who: Text, note: Text = "", proof: Proof = "") -> Response:
        check_form(site, request, proof)
        if not who.strip() or not record.acknowledge(site.engine, alert_id, who.strip(), note.strip()):
            raise HTTPException(404, "There is no such alert, or no name was given.")
        return RedirectResponse(f"/quality#alert-{alert_id}", status_code=303)

    @api.post("/quality/series/{series_uid}/reject")
    def reject(request: Request, series_uid: str, who: Text, reason: Text, proof: Proof = "") -> Response:
        check_form(site, request, proof)
        given = who.strip() and reason.strip()
        if site.reject is None or not given or not site.reject(series_uid[:64], who.strip(), reason.strip()):
            raise HTTPException(404, "There is no such series to reject, or name and reason are missing.")
        return RedirectResponse(f"/quality/series/{series_uid}", status_code=303)

    @api.post("/quality/holds/{hold_id}")
    def decide(
        request: Request, hold_id: int, who: Text, role: Text, reason: Text, decision: Text, proof: Proof = ""
    ) -> Response:
        check_form(site, request, proof)
        given = who.strip() and reason.strip() and role in ROLES and decision in {"released", "refused"}
        if site.decide is None or not given or not site.decide(hold_id, decision, who.strip(), role, reason.strip()):
            raise HTTPException(404, "There is no such held run, or name, role and reason are missing.")
        return RedirectResponse("/quality", status_code=303)

    @api.post("/quality/baselines")
    def rebaseline(
        request: Request,
        check: Text,
        station: Text,
        profile: Text,
        since: Text,
        who: Text,
        reason: Text,
        proof: Proof = "",
    ) -> Response:
        check_form(site, request, proof)
        day = _day(since)
        if day is None:
            raise HTTPException(422, "The day must be written as YYYY-MM-DD.")
        begin = datetime(day.year, day.month, day.day).astimezone().timestamp()
        try:
            history.rebaseline(site.engine, check, station, profile, since_s=begin, reason=reason, who=who)
        except UnknownTrend as error:
            raise HTTPException(404, error.message) from error
        query = urlencode({"station": station, "profile": profile})
        return RedirectResponse(f"/quality/trends?{query}", status_code=303)

    return api


def _board(site: Site, day: date | None) -> Board:
    with site.engine.connect() as connection:
        return read_board(connection, day)


def _sections(site: Site, board: Board, request: Request) -> dict[str, str]:
    """HTML of the parts of the board."""
    values: dict[str, Any] = {
        "board": board,
        "proof": site.access.form_proof(request),
        "roles": ROLES,
        "titles": _titles(),
        "can_release": site.decide is not None,
    }
    return {name: render(f"quality_{name}.html", site.language(request), **values).strip() for name in SECTIONS}


def _named(sections: Mapping[str, str]) -> dict[str, str]:
    return {f"quality-{name}": str(html) for name, html in sections.items()}


def _drawn(trends: list[Trend]) -> list[tuple[Trend, Drawing]]:
    return [(t, drawing_of(t)) for t in trends]


def _titles() -> dict[str, tuple[str, str]]:
    """What each check is called, in Chinese and English."""
    from qc.image.phantom import TITLES
    from qc.image.registry import discover

    return {s.id: (s.title_zh, s.title_en) for s in discover().values()} | dict(TITLES)


def _day(text: str) -> date | None:
    """A day that was asked for; None where it is none, which means today."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
