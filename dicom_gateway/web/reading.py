"""What people look at: worklist, study, quarantine, status, pictures and downloads, and their live streams."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from sqlalchemy import select
from starlette.responses import StreamingResponse

from dicom_gateway.dicomweb.files import whole_of
from dicom_gateway.errors import UnknownObject
from dicom_gateway.store.tables import encoded_object, result, study
from dicom_gateway.web.live import event_stream
from dicom_gateway.web.pages import mark_of, study_sections, worklist_page, worklist_pieces
from dicom_gateway.web.site import Site
from dicom_gateway.web.status import status_values
from dicom_gateway.web.study import StudyView, read_study
from dicom_gateway.web.texts import translator
from dicom_gateway.web.worklist import Filter, read_worklist

__all__ = ["reading_routes"]

LONGEST_SEARCH = 100


def reading_routes(site: Site) -> APIRouter:
    """The pages that change nothing."""
    api = APIRouter(include_in_schema=False)

    @api.get("/")
    def worklist(request: Request) -> HTMLResponse:
        wanted = _filter(request)
        with site.engine.connect() as connection:
            found = read_worklist(connection, wanted)
        return HTMLResponse(worklist_page(found, wanted, site.language(request), **site.frame(request)))

    @api.get("/live/worklist")
    async def live_worklist(request: Request) -> StreamingResponse:
        wanted, language = _filter(request), site.language(request)
        return event_stream(
            request, site.watch, f"worklist {language} {wanted}", _worklist_reader(site, wanted, language)
        )

    @api.get("/study/{study_uid}")
    def study_page(request: Request, study_uid: str, version: int | None = None) -> HTMLResponse:
        language, proof = site.language(request), site.access.form_proof(request)
        view = _view(site, request, study_uid, version)
        sections = study_sections(view, language, proof=proof, **_abilities(site))
        mark = mark_of(_prefixed(sections))
        return site.page(request, "study.html", here="study", view=view, sections=sections, mark=mark)

    @api.get("/live/study/{study_uid}")
    async def live_study(request: Request, study_uid: str, version: int | None = None) -> StreamingResponse:
        language, proof = site.language(request), site.access.form_proof(request)
        read = partial(_study_pieces, site, request, study_uid, version, language, proof)
        return event_stream(request, site.watch, f"study {language} {proof} {version} {study_uid}", read)

    @api.get("/study/{study_uid}/objects/{sop_uid}")
    def download(study_uid: str, sop_uid: str) -> FileResponse:
        path, outlet, sha256 = _object(site, study_uid, sop_uid)
        return FileResponse(path, media_type="application/dicom", filename=f"{outlet}-{sha256[:12]}.dcm")

    @api.get("/study/{study_uid}/objects/{sop_uid}/document.pdf")
    def document(study_uid: str, sop_uid: str) -> Response:
        path, outlet, sha256 = _object(site, study_uid, sop_uid)
        content = whole_of(path).get("EncapsulatedDocument") if outlet == "pdf" else None
        if not isinstance(content, bytes) or not content.startswith(b"%PDF"):
            raise HTTPException(404, "There is no PDF here.")
        disposition = {"Content-Disposition": f'inline; filename="report-{sha256[:12]}.pdf"'}
        return Response(content, media_type="application/pdf", headers=disposition)

    @api.get("/pictures/{sha256}.png")
    def picture(sha256: str) -> FileResponse:
        path = site.settings.store.root / "pictures" / f"{sha256}.png"
        if not re.fullmatch(r"[0-9a-f]{64}", sha256) or not path.is_file():
            raise HTTPException(404, "There is no such picture.")
        return FileResponse(path, media_type="image/png")

    @api.get("/quarantine")
    def quarantine(request: Request) -> HTMLResponse:
        rows = site.store.quarantined()
        settled = sorted(site.store.quarantined(settled=True), key=lambda q: -(q.settled or 0))[:50]
        uids = {q.study_uid for q in (*rows, *settled) if q.study_uid}
        with site.engine.connect() as connection:
            known = {uid for (uid,) in connection.execute(select(study.c.study_uid).where(study.c.study_uid.in_(uids)))}
        return site.page(request, "quarantine.html", here="quarantine", rows=[*rows, *settled], known=known)

    @api.get("/status")
    def status(request: Request) -> HTMLResponse:
        return site.page(request, "status.html", here="status", **status_values(site))

    return api


def _filter(request: Request) -> Filter:
    asked = request.query_params
    page = asked.get("page", "0")
    return Filter(
        text=asked.get("q", "")[:LONGEST_SEARCH].replace("\0", ""),
        state=asked.get("state", "")[:24],
        modality=asked.get("modality", "")[:16],
        page=int(page) if re.fullmatch(r"[0-9]{1,6}", page) else 0,
    )


def _worklist_reader(site: Site, wanted: Filter, language: str) -> Callable[[], dict[str, str]]:
    def read() -> dict[str, str]:
        with site.engine.connect() as connection:
            return worklist_pieces(read_worklist(connection, wanted), wanted, language)

    return read


def _view(site: Site, request: Request, study_uid: str, version: int | None) -> StudyView:
    """The study.

    Raises
    ------
    HTTPException
        404: there is none with this UID.
    """
    with site.engine.connect() as connection:
        view = read_study(connection, study_uid[:64], version)
    if view is None:
        raise HTTPException(404, translator(site.language(request))("study.not_found"))
    return view


def _study_pieces(
    site: Site, request: Request, study_uid: str, version: int | None, language: str, proof: str
) -> dict[str, str]:
    view = _view(site, request, study_uid, version)
    return _prefixed(study_sections(view, language, proof=proof, **_abilities(site)))


def _abilities(site: Site) -> dict[str, bool]:
    """Which buttons there are."""
    return {"can_resend": site.resend is not None, "can_begin_again": site.begin_again is not None}


def _prefixed(sections: Mapping[str, str]) -> dict[str, str]:
    return {f"section-{name}": str(html) for name, html in sections.items()}


def _object(site: Site, study_uid: str, sop_uid: str) -> tuple[Path, str, str]:
    """File, outlet and digest of an object that radgate made for this study.

    Raises
    ------
    HTTPException
        404: there is none; 410: it has been purged.
    """
    with site.engine.connect() as connection:
        row = connection.execute(
            select(encoded_object.c.sha256, encoded_object.c.outlet)
            .join(result, result.c.id == encoded_object.c.result_id)
            .where(encoded_object.c.sop_uid == sop_uid[:64], result.c.study_uid == study_uid[:64])
        ).first()
    if row is None:
        raise HTTPException(404, "There is no such object.")
    try:
        return site.store.path(row.sha256), row.outlet, row.sha256
    except UnknownObject as error:
        raise HTTPException(410, "The object was here and has been purged.") from error
