"""What people do: sign in and out, choose the language, send again, cancel a job, settle a quarantined object.

Every form brings back the proof that the page gave it; a request without it changes nothing.
"""

import logging
import time
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import insert, select

from dicom_gateway.errors import JobRefused
from dicom_gateway.flow.cancelling import cancel_job
from dicom_gateway.store.tables import delivery, event, job, quarantine
from dicom_gateway.web.site import LANGUAGE_COOKIE, Site
from dicom_gateway.web.texts import LANGUAGES, translator

__all__ = ["Proof", "acting_routes", "check_form"]

log = logging.getLogger(__name__)

YEAR_S = 365 * 24 * 3600
FAILURE_DELAY_S = 0.5

Proof = Annotated[str, Form(max_length=100)]
Name = Annotated[str, Form(max_length=64)]


def acting_routes(site: Site) -> APIRouter:
    """The forms."""
    api = APIRouter(include_in_schema=False)

    @api.get("/language")
    def language(request: Request, to: str = "", next: str = "/") -> Response:  # noqa: A002 - name of the parameter
        answer = RedirectResponse(_own_address(next), status_code=303)
        if to in LANGUAGES:
            secure = request.url.scheme == "https"
            answer.set_cookie(LANGUAGE_COOKIE, to, max_age=YEAR_S, httponly=True, samesite="strict", secure=secure)
        return answer

    @api.get("/login")
    def login_page(request: Request) -> Response:
        if site.access.is_in(request):
            return RedirectResponse("/", status_code=303)
        return site.page(request, "login.html", here="login", problem="")

    @api.post("/login")
    def login(request: Request, token: Annotated[str, Form(max_length=500)], proof: Proof = "") -> Response:
        check_form(site, request, proof)
        if not site.access.may_try():
            return site.page(request, "login.html", 429, here="login", problem="login.slow_down")
        if not site.access.is_token(token.strip()):
            site.access.note_failure()
            log.warning("sign-in refused")
            time.sleep(FAILURE_DELAY_S)
            return site.page(request, "login.html", 403, here="login", problem="login.wrong")
        answer = RedirectResponse("/", status_code=303)
        site.access.open_session(request, answer)
        return answer

    @api.post("/logout")
    def logout(request: Request, proof: Proof = "") -> Response:
        check_form(site, request, proof)
        answer = RedirectResponse("/login", status_code=303)
        site.access.close_session(answer)
        return answer

    @api.post("/deliveries/{delivery_id}/resend")
    def resend(request: Request, delivery_id: int, proof: Proof = "") -> Response:
        check_form(site, request, proof)
        with site.engine.connect() as connection:
            row = connection.execute(select(delivery).where(delivery.c.id == delivery_id)).first()
        if row is None or site.resend is None:
            raise HTTPException(404, "There is no such delivery.")
        site.resend(delivery_id)
        _note(site, "resend", row.study_uid, {"destination": row.destination, "sop_uid": row.sop_uid})
        return RedirectResponse(f"/study/{row.study_uid}#section-objects", status_code=303)

    @api.post("/jobs/{job_id}/cancel")
    def cancel(
        request: Request,
        job_id: str,
        who: Name,
        reason: Annotated[str, Form(max_length=200)] = "",
        sure: Annotated[str, Form(max_length=8)] = "",
        proof: Proof = "",
    ) -> Response:
        check_form(site, request, proof)
        place = _place_of(site, request, job_id)
        if not who.strip() or sure != "yes":
            raise HTTPException(422, translator(site.language(request))("cancel.unsure"))
        try:
            cancel_job(site.engine, job_id, who=who, reason=reason)
        except JobRefused as error:
            raise _refused(site, request, error) from None
        return RedirectResponse(place, status_code=303)

    @api.post("/jobs/{job_id}/again")
    def again(request: Request, job_id: str, who: Name, proof: Proof = "") -> Response:
        check_form(site, request, proof)
        place = _place_of(site, request, job_id)
        if site.begin_again is None or not who.strip():
            raise HTTPException(404, translator(site.language(request))("cancel.not_cancelled"))
        try:
            site.begin_again(job_id, who)
        except JobRefused as error:
            raise _refused(site, request, error) from None
        return RedirectResponse(place, status_code=303)

    @api.post("/quarantine/{row_id}/settle")
    def settle(request: Request, row_id: int, proof: Proof = "") -> Response:
        check_form(site, request, proof)
        with site.engine.connect() as connection:
            row = connection.execute(select(quarantine).where(quarantine.c.id == row_id)).first()
        if row is None:
            raise HTTPException(404, "There is no such object in quarantine.")
        site.store.settle_quarantine(row_id)
        _note(site, "quarantine_settled", row.study_uid, {"reason": row.reason})
        return RedirectResponse("/quarantine", status_code=303)

    return api


def check_form(site: Site, request: Request, proof: str) -> None:
    """Nothing, for a form of a page of ours.

    Raises
    ------
    HTTPException
        403: another origin, or an old page.
    """
    if not site.access.is_own_form(request, proof):
        raise HTTPException(403, translator(site.language(request))("error.stale_form"))


def _place_of(site: Site, request: Request, job_id: str) -> str:
    """Where the page of a study shows this job.

    Raises
    ------
    HTTPException
        404: there is no such job.
    """
    with site.engine.connect() as connection:
        row = connection.execute(select(job.c.study_uid, job.c.version).where(job.c.id == job_id)).first()
    if row is None:
        raise HTTPException(404, translator(site.language(request))("cancel.unknown"))
    return f"/study/{row.study_uid}?version={row.version}#section-jobs"


def _refused(site: Site, request: Request, error: JobRefused) -> HTTPException:
    """409, with the sentence of the refusal in the reader's language."""
    return HTTPException(409, translator(site.language(request))("cancel", error.fields["why"]))


def _own_address(address: str) -> str:
    """An address on this server; whatever could lead elsewhere becomes the worklist."""
    local = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if local and "\\" not in address else "/"


def _note(site: Site, kind: str, study_uid: str | None, detail: dict[str, str]) -> None:
    with site.engine.begin() as connection:
        connection.execute(insert(event).values(time=time.time(), kind=kind, study_uid=study_uid, detail=detail))
