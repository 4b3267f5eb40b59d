"""The DICOMweb resources under one prefix: who may use them, which address is what, and the limits of every answer."""

import hmac
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from dicom_gateway.dicomweb.answers import json_answer
from dicom_gateway.dicomweb.files import header_of
from dicom_gateway.dicomweb.frames import frame_count
from dicom_gateway.dicomweb.media import accepted, parse_media_type
from dicom_gateway.dicomweb.metadata import instance_metadata
from dicom_gateway.dicomweb.query import BadQuery, is_uid, modalities_of, parse_query, search
from dicom_gateway.dicomweb.rendered import THUMBNAIL_SIDE, Rendering, parse_rendering, rendered_frame
from dicom_gateway.dicomweb.retrieve import (
    StoredFile,
    bulk_answer,
    frame_numbers,
    frames_answer,
    instances_answer,
)
from dicom_gateway.dicomweb.stow import BadBody, StowAnswer, parts_of, store_parts
from dicom_gateway.errors import UnknownObject
from dicom_gateway.store import Store
from imaging.errors import ImagingError

__all__ = ["router"]

JSON_TYPE = "application/dicom+json"
PREFIX = "/dicomweb"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _PatientDataRoute(APIRoute):
    """Every answer, also a refusal, may be kept by nobody and be taken for nothing but what it says it is."""

    def get_route_handler(self) -> Handler:
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
            try:
                response = await inner(request)
            except HTTPException as refusal:
                refusal.headers = {**headers, **(refusal.headers or {})}
                raise
            response.headers.update(headers)
            return response

        return handler


def router(
    store: Store,
    engine: Engine,
    *,
    token: str | None = None,
    let_in: Callable[[Request], bool] = lambda request: False,
) -> APIRouter:
    """QIDO-RS, WADO-RS and STOW-RS over the store.

    Parameters
    ----------
    store
        Where objects are.
    engine
        Of the index.
    token
        Bearer token. With one, every request needs it; without one, reading is open to whoever can reach the port
        (loopback by default) and storing is refused.
    let_in
        Another way to be allowed to read, such as the cookie of the pages. Never enough to store.
    """

    def may_read(request: Request) -> None:
        if token is not None and not _has_token(request, token) and not let_in(request):
            raise HTTPException(401, "A token is needed.", headers={"WWW-Authenticate": "Bearer"})

    def may_store(request: Request) -> None:
        if token is None:
            raise HTTPException(403, "Storing needs a token: set web.token_file in the settings.")
        if not _has_token(request, token):
            raise HTTPException(401, "A token is needed.", headers={"WWW-Authenticate": "Bearer"})

    api = APIRouter(prefix=PREFIX, route_class=_PatientDataRoute)
    reading = [Depends(may_read)]
    _add_search(api, engine, reading)
    _add_retrieval(api, store, reading)
    _add_pictures(api, store, reading)
    _add_storing(api, store, [Depends(may_store)])
    return api


def _has_token(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _base(request: Request) -> str:
    """Address of the DICOMweb root as the client sees it.

    dicomweb-client leaves the port out of its Host header; where the host is this server itself and no proxy, the port
    is known.
    """
    url = request.base_url
    server = request.scope.get("server") or ("", None)
    if url.port is None and url.hostname == server[0] and server[1] is not None:
        url = url.replace(port=server[1])
    return f"{str(url).rstrip('/')}{PREFIX}"


def _check_uids(request: Request) -> dict[str, str]:
    """UIDs of the address.

    Raises
    ------
    HTTPException
        400: one of them is no UID.
    """
    named = {k: str(v) for k, v in request.path_params.items() if k in {"study", "series", "sop"}}
    if not all(is_uid(v) for v in named.values()):
        raise HTTPException(400, "The address holds something that is no UID.")
    return named


def _add_search(api: APIRouter, engine: Engine, guards: list[Any]) -> None:
    def searching(level: str) -> Callable[[Request], Response]:
        def handler(request: Request) -> Response:
            named = _check_uids(request)
            within = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID"}
            try:
                query = parse_query(level, request.query_params.multi_items(), {within[k]: v for k, v in named.items()})
            except BadQuery as error:
                raise HTTPException(400, str(error)) from error
            with engine.connect() as connection:
                rows = search(connection, query)
                modalities = modalities_of(connection, sorted({r["study_uid"] for r in rows}))
            notes = list(query.warnings)
            if len(rows) > query.limit and "limit" not in request.query_params:
                notes.append("There are more results; continue with offset.")
            if any("\ufffd" in value for r in rows for value in r.values() if isinstance(value, str)):
                notes.append(
                    "Text that does not decode in its stated character set stands as replacement signs; "
                    "the stored instances hold its bytes."
                )
            answers = [
                json_answer(r, level, _base(request), query.include, modalities.get(r["study_uid"], []))
                for r in rows[: query.limit]
            ]
            headers = {"Warning": ", ".join(f'299 radgate "{note}"' for note in notes)} if notes else {}
            return JSONResponse(answers, media_type=JSON_TYPE, headers=headers)

        return handler

    for level, paths in {
        "study": ["/studies"],
        "series": ["/series", "/studies/{study}/series"],
        "instance": ["/instances", "/studies/{study}/instances", "/studies/{study}/series/{series}/instances"],
    }.items():
        for path in paths:
            api.add_api_route(path, searching(level), methods=["GET"], dependencies=guards, response_model=None)


_LEVEL_PATHS = (
    "/studies/{study}",
    "/studies/{study}/series/{series}",
    "/studies/{study}/series/{series}/instances/{sop}",
)


def _files(store: Store, request: Request) -> list[StoredFile]:
    """Files of the study, series or instance of an address.

    Raises
    ------
    HTTPException
        400: no UID; 404: nothing there.
    """
    named = _check_uids(request)
    rows = store.instances(study_uid=named["study"], series_uid=named.get("series"), sop_uid=named.get("sop"))
    try:
        base = _base(request)
        files: list[StoredFile] = [
            (
                row,
                store.path(row.sha256),
                f"{base}/studies/{row.study_uid}/series/{row.series_uid}/instances/{row.sop_uid}",
            )
            for row in rows
        ]
    except UnknownObject as error:
        raise HTTPException(410, "The object was here and has been purged.") from error
    if not files:
        raise HTTPException(404, "Nothing with these UIDs is in the store.")
    return files


def _add_retrieval(api: APIRouter, store: Store, guards: list[Any]) -> None:
    def instances(request: Request) -> Response:
        return instances_answer(_files(store, request), _accepted(request))

    def metadata(request: Request) -> Response:
        files = _files(store, request)
        return StreamingResponse(_json_list(files), media_type=JSON_TYPE)

    def frames(request: Request, frame_list: str) -> Response:
        [(row, file, _)] = _files(store, request)
        return frames_answer(row, file, frame_numbers(frame_list), _accepted(request))

    def bulk(request: Request, bulk_path: str) -> Response:
        [(row, file, _)] = _files(store, request)
        return bulk_answer(row, file, bulk_path, _accepted(request))

    one = _LEVEL_PATHS[-1]
    for path in _LEVEL_PATHS:
        api.add_api_route(path, instances, methods=["GET"], dependencies=guards, response_model=None)
        api.add_api_route(f"{path}/metadata", metadata, methods=["GET"], dependencies=guards, response_model=None)
    api.add_api_route(one + "/frames/{frame_list}", frames, methods=["GET"], dependencies=guards, response_model=None)
    api.add_api_route(
        one + "/bulkdata/{bulk_path:path}", bulk, methods=["GET"], dependencies=guards, response_model=None
    )


def _add_pictures(api: APIRouter, store: Store, guards: list[Any]) -> None:
    def picture(request: Request, frame: str | None = None) -> Response:
        files = _files(store, request)
        kind = _picture_type(request)
        asked = request.query_params
        try:
            rendering = parse_rendering(kind, asked.get("window"), asked.get("viewport"), asked.get("quality"))
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        if request.url.path.endswith("/thumbnail") and rendering.viewport is None:
            rendering = Rendering(kind, rendering.window, (THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        _, file, _ = files[len(files) // 2]
        try:
            count = frame_count(header_of(file))
            number = frame_numbers(frame)[0] if frame else max(1, (count + 1) // 2)
            if number > count:
                raise HTTPException(404 if count else 406, f"The object has {count} frames.")
            return Response(rendered_frame(file, number, rendering), media_type=kind)
        except ImagingError as error:
            raise HTTPException(406, error.message) from error

    one = _LEVEL_PATHS[-1]
    for path in (*(f"{p}/thumbnail" for p in _LEVEL_PATHS), f"{one}/rendered"):
        api.add_api_route(path, picture, methods=["GET"], dependencies=guards, response_model=None)
    for name in ("rendered", "thumbnail"):
        path = f"{one}/frames/{{frame}}/{name}"
        api.add_api_route(path, picture, methods=["GET"], dependencies=guards, response_model=None)


def _add_storing(api: APIRouter, store: Store, guards: list[Any]) -> None:
    async def store_instances(request: Request) -> Response:
        study_uid = _check_uids(request).get("study")
        content = parse_media_type(request.headers.get("Content-Type", "")[:1024])
        boundary = content.parameters.get("boundary", "")
        if content.type != "multipart/related" or content.part != "application/dicom":
            raise HTTPException(415, 'Send multipart/related; type="application/dicom".')
        if not 1 <= len(boundary) <= 70 or not boundary.isascii():
            raise HTTPException(400, "The boundary is missing or longer than 70 characters.")
        answer = StowAnswer(_base(request))
        try:
            await store_parts(parts_of(request.stream(), boundary), store, answer, peer="STOW-RS", study_uid=study_uid)
        except BadBody as error:
            detail = f"{error} {len(answer.stored)} instances before it are stored."
            raise HTTPException(400, detail) from error
        body = await run_in_threadpool(answer.to_json)
        retry = {"Retry-After": "60"} if answer.status == 503 else None
        return JSONResponse(body, status_code=answer.status, media_type=JSON_TYPE, headers=retry)

    for path in ("/studies", "/studies/{study}"):
        api.add_api_route(path, store_instances, methods=["POST"], dependencies=guards, response_model=None)


def _accepted(request: Request) -> list[Any]:
    header = ",".join(request.headers.getlist("Accept")) or None
    return list(accepted(header, request.query_params.get("accept")))


def _picture_type(request: Request) -> str:
    for wanted in _accepted(request):
        kind: str = wanted.type
        if kind in {"image/png", "image/jpeg"}:
            return kind
        if kind in {"*/*", "image/*"}:
            return "image/jpeg"
    raise HTTPException(406, "Pictures are image/jpeg or image/png.")


def _json_list(files: list[StoredFile]) -> Iterator[str]:
    """A JSON array of metadata, piece by piece: a series of thousands of instances never stands in memory whole."""
    yield "["
    for number, (row, file, address) in enumerate(files):
        text = json.dumps(instance_metadata(row, file, address), ensure_ascii=False, separators=(",", ":"))
        yield f",{text}" if number else text
    yield "]"
