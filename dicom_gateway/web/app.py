"""The web application: pages, live updates, DICOMweb, health; put together from settings, engine and store."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy import Engine
from starlette.exceptions import HTTPException

from dicom_gateway import dicomweb
from dicom_gateway.errors import SettingsError
from dicom_gateway.settings import Settings
from dicom_gateway.store import Store
from dicom_gateway.web.access import new_access
from dicom_gateway.web.acting import acting_routes
from dicom_gateway.web.dose_routes import dose_routes
from dicom_gateway.web.guard import Guard
from dicom_gateway.web.health import metrics_text, readiness
from dicom_gateway.web.live import Watch
from dicom_gateway.web.quality import quality_routes
from dicom_gateway.web.reading import reading_routes
from dicom_gateway.web.site import Site

__all__ = ["create_app"]

SHORTEST_TOKEN = 16


def create_app(
    settings: Settings,
    engine: Engine,
    store: Store,
    *,
    resend: Callable[[int], object] | None = None,
    reject: Callable[[str, str, str], bool] | None = None,
    decide: Callable[[int, str, str, str, str], bool] | None = None,
    start_dose: Callable[[str], None] | None = None,
    begin_again: Callable[[str, str], None] | None = None,
) -> FastAPI:
    """The application of one service.

    Parameters
    ----------
    settings, engine, store
        As the service has opened them.
    resend
        Called with the id of a row of the delivery ledger that a person wants sent again; without it the button is
        not shown.
    reject, decide
        What people do on the board of image quality, as in `Site`.
    start_dose
        Called with the id of a sum of doses that a person asked for; without it none can be asked for.
    begin_again
        Called with a cancelled job that a person wants after all, and the name; without it the button is not shown.

    Raises
    ------
    SettingsError
        The token file cannot be read, or its first line is too short to be a secret.
    """
    token = None if settings.web.token_file is None else _token(settings.web.token_file)
    site = Site(settings, engine, store, new_access(token), Watch(), resend, reject, decide, start_dose, begin_again)
    app = FastAPI(title="radgate", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(dicomweb.router(store, engine, token=token, let_in=site.access.is_in))
    app.include_router(reading_routes(site))
    app.include_router(acting_routes(site))
    app.include_router(quality_routes(site))
    app.include_router(dose_routes(site))
    _add_health(app, site)
    with resources.as_file(resources.files("dicom_gateway.web") / "static") as folder:
        app.mount("/static", StaticFiles(directory=folder), name="static")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        wants_page = "text/html" in request.headers.get("Accept", "")
        if wants_page and not request.url.path.startswith("/dicomweb"):
            return site.page(request, "error.html", error.status_code, here="", text=error.detail)
        return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> Response:
        # FastAPI's own answer repeats what was sent, which may be a token or a name.
        return JSONResponse({"detail": "The request is malformed."}, status_code=422)

    app.add_middleware(Guard, access=site.access)
    return app


def _add_health(app: FastAPI, site: Site) -> None:
    @app.get("/health/live")
    def live() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/health/ready")
    def ready() -> Response:
        store = site.settings.store
        conditions = readiness(site.engine, store.root, store.floor_free)
        return JSONResponse(conditions, status_code=200 if all(conditions.values()) else 503)

    @app.get("/metrics")
    def metrics() -> Response:
        with site.engine.connect() as connection:
            text = metrics_text(connection, site.settings.store.root)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _token(file: Path) -> str:
    """The first line of the token file.

    Raises
    ------
    SettingsError
        It cannot be read, or is too short.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            "The token file cannot be read; check its path and rights.", key="web.token_file"
        ) from error
    token = lines[0].strip() if lines else ""
    if len(token) < SHORTEST_TOKEN:
        raise SettingsError(
            f"The first line of the token file is the token and has at least {SHORTEST_TOKEN} characters.",
            key="web.token_file",
        )
    return token
