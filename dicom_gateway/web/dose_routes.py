"""The dose pages: the list, the viewer with its slices, and the forms by which people ask for sums."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.background import BackgroundTask

from dicom_gateway.dose import record
from dicom_gateway.dose.candidates import doses_of
from dicom_gateway.dose.choice import complete
from dicom_gateway.dose.numbers import fractions_of, ratio_gy_of
from dicom_gateway.dose.page_data import first_slice, open_ahead, registration_file, slice_bytes
from dicom_gateway.dose.ways import EVERY_FRAME
from dicom_gateway.dose.workflow import pages_folder
from dicom_gateway.errors import DoseChoiceRefused, UnknownObject
from dicom_gateway.web.acting import check_form
from dicom_gateway.web.dose_view import DoseView, list_rows, read_dose
from dicom_gateway.web.site import Site
from dicom_gateway.web.texts import translator
from reports.dose.sentences import sentence_words

__all__ = ["dose_routes"]

MOST_DOSES = 26

Proof = Annotated[str, Form(max_length=100)]
MOST_STRUCTURES = 400

Ratios = Annotated[list[str], Form(max_length=MOST_STRUCTURES)]
Chosen = Annotated[list[str], Form(max_length=MOST_DOSES)]


def dose_routes(site: Site) -> APIRouter:
    """The pages and forms."""
    api = APIRouter(include_in_schema=False)

    @api.get("/dose")
    def dose_list(request: Request) -> HTMLResponse:
        return site.page(request, "dose_list.html", here="dose", rows=list_rows(site), said=_said(site, request))

    @api.get("/dose/{study_uid}")
    def dose_page(request: Request, study_uid: str, sum: str = "") -> HTMLResponse:  # noqa: A002 - the parameter's name
        return _page(site, request, study_uid, sum)

    @api.get("/dose/{study_uid}/sums/{sum_id}/state")
    def state(study_uid: str, sum_id: str) -> Response:
        row = _row(site, study_uid, sum_id)
        return JSONResponse({"state": row.state, "progress": row.progress, "reason": row.reason})

    @api.get("/dose/{study_uid}/sums/{sum_id}/page.json")
    def page_json(study_uid: str, sum_id: str) -> Response:
        path = _folder(site, study_uid, sum_id) / "page.json"
        if not path.is_file():
            raise HTTPException(404, "There is no picture of this sum yet.")
        return FileResponse(path, media_type="application/json")

    @api.get("/dose/{study_uid}/sums/{sum_id}/slice/{plane}/{index}")
    def one_slice(study_uid: str, sum_id: str, plane: str, index: int) -> Response:
        try:
            data = slice_bytes(_folder(site, study_uid, sum_id), plane, index)
        except UnknownObject as error:
            raise HTTPException(404, error.message) from None
        return Response(data, media_type="application/octet-stream")

    @api.get("/dose/{study_uid}/sums/{sum_id}/registration/{letter}")
    def registration_picture(study_uid: str, sum_id: str, letter: str) -> Response:
        try:
            path = registration_file(_folder(site, study_uid, sum_id), letter)
        except UnknownObject as error:
            raise HTTPException(404, error.message) from None
        if not path.is_file():
            raise HTTPException(404, "There is no picture of this registration.")
        return FileResponse(path, media_type="image/png")

    @api.post("/dose/{study_uid}/run")
    def run(
        request: Request,
        study_uid: str,
        dose: Chosen = [],  # noqa: B006 - FastAPI copies it
        known: Chosen = [],  # noqa: B006
        fractions: Chosen = [],  # noqa: B006
        structures: Annotated[str, Form(max_length=64)] = "",
        frame: Chosen = [],  # noqa: B006
        registration: Chosen = [],  # noqa: B006
        limits: Annotated[str, Form(max_length=64)] = "",
        ratio_of: Ratios = [],  # noqa: B006
        ratio: Ratios = [],  # noqa: B006
        bed: bool = Form(default=False),
        proof: Proof = "",
    ) -> Response:
        check_form(site, request, proof)
        if site.start_dose is None:
            raise HTTPException(404, "No service works on sums here.")
        patient = doses_of(site.engine, site.store, study_uid[:64])
        given = dict(zip(known, fractions, strict=False))
        try:
            choice = complete(
                patient,
                dose,
                structures=structures,
                fractions=[_fractions(given.get(uid, "")) for uid in dose],
                # one field for each frame, or one for all
                ways=dict(zip([*frame, EVERY_FRAME], registration, strict=False)),
                site=limits,
                alpha_beta=_ratios(ratio_of, ratio),
                bed=bed,
            )
        except DoseChoiceRefused as error:
            return _page(site, request, study_uid, "", error.message, 422)
        sum_id = record.ask(site.engine, choice)
        site.start_dose(sum_id)
        return RedirectResponse(f"/dose/{choice.study_uid}?sum={sum_id}", status_code=303)

    @api.post("/dose/{study_uid}/dismiss")
    def dismiss(
        request: Request, study_uid: str, sum_id: Annotated[str, Form(max_length=64)], proof: Proof = ""
    ) -> Response:
        check_form(site, request, proof)
        row = _row(site, study_uid, sum_id)
        if row.state == "PROPOSED":
            record.set_state(site.engine, row.id, "DISMISSED")
        return RedirectResponse("/dose", status_code=303)

    return api


def _page(
    site: Site, request: Request, study_uid: str, sum_id: str, problem: str = "", status: int = 200
) -> HTMLResponse:
    """The page of a study.

    Raises
    ------
    HTTPException
        404: there is no such study.
    """
    view: DoseView | None = read_dose(site, study_uid[:64], sum_id[:64])
    if view is None:
        raise HTTPException(404, translator(site.language(request))("study.not_found"))
    can_run = site.start_dose is not None
    folder = pages_folder(site.settings, view.shown.id) if view.shown is not None and view.shown.is_finished else None
    shown = {"view": view, "problem": problem, "can_run": can_run, "first": first_slice(folder) if folder else None}
    shown["said"] = _said(site, request)
    page = site.page(request, "dose.html", status, here="dose", **shown)
    if folder is not None:
        # while the browser reads the page, the server opens what it will ask for next
        page.background = BackgroundTask(open_ahead, folder)
    return page


def _said(site: Site, request: Request) -> Callable[[str], str]:
    """Sentences of refusals in the reader's language."""
    chinese = site.language(request) == "zh"
    return lambda text: sentence_words(text or "")[0 if chinese else 1]


def _row(site: Site, study_uid: str, sum_id: str) -> record.DoseRow:
    """The sum of a study.

    Raises
    ------
    HTTPException
        404: there is none.
    """
    row = record.row_of(site.engine, sum_id[:64])
    if row is None or row.study_uid != study_uid:
        raise HTTPException(404, "There is no such sum.")
    return row


def _folder(site: Site, study_uid: str, sum_id: str) -> Path:
    """Folder of the page's arrays; the id is one of the index, so no path can be made of it."""
    return pages_folder(site.settings, _row(site, study_uid, sum_id).id)


def _fractions(given: str) -> int | None:
    """A number of fractions, or None where the field was left empty.

    Raises
    ------
    DoseChoiceRefused
        It is no whole number of at least 1.
    """
    return fractions_of(given) if given.strip() else None


def _ratios(names: list[str], given: list[str]) -> dict[str, float]:
    """Alpha/beta by structure, where a field was filled in.

    Raises
    ------
    DoseChoiceRefused
        A value is no positive number, or too large to be one of Gy.
    """
    return {name: ratio_gy_of(value) for name, value in zip(names, given, strict=False) if value.strip()}
