"""What every page works with: settings, index, store, rules of access, and the reader's language."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Engine

from dicom_gateway.settings import Settings
from dicom_gateway.store import Store
from dicom_gateway.web.access import Access
from dicom_gateway.web.live import Watch
from dicom_gateway.web.pages import assets_digest, render
from dicom_gateway.web.texts import LANGUAGES

__all__ = ["LANGUAGE_COOKIE", "Site"]

LANGUAGE_COOKIE = "radgate_language"


@dataclass(frozen=True)
class Site:
    """One running server.

    Parameters
    ----------
    settings, engine, store
        As the service has opened them.
    access
        Who may see and change what.
    watch
        The live streams.
    resend
        Called with the id of a delivery that a person wants sent again; None where nothing sends.
    reject
        Called with series, name and reason when a person rejects a series for its quality; whether that was possible.
    decide
        Called with hold, decision, name, role and reason when a person decides on a held run; whether it was possible.
    start_dose
        Called with the id of a sum of doses that a person asked for; None where nothing works on it.
    begin_again
        Called with job and name when a person wants a cancelled job after all; None where nothing works on it.
    """

    settings: Settings
    engine: Engine
    store: Store
    access: Access
    watch: Watch
    resend: Callable[[int], object] | None = None
    reject: Callable[[str, str, str], bool] | None = None
    decide: Callable[[int, str, str, str, str], bool] | None = None
    start_dose: Callable[[str], None] | None = None
    begin_again: Callable[[str, str], None] | None = None

    def language(self, request: Request) -> str:
        """Language of the reader: as chosen on the page, else as the settings say."""
        chosen = request.cookies.get(LANGUAGE_COOKIE, "")
        return chosen if chosen in LANGUAGES else self.settings.report.language

    def frame(self, request: Request) -> dict[str, Any]:
        """What the frame of every page needs."""
        return {
            "assets": assets_digest(),
            "address": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "signed_in": self.access.is_in(request),
            "has_login": self.access.token is not None,
            "proof": self.access.form_proof(request),
        }

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The answer of one template."""
        return HTMLResponse(render(template, self.language(request), **self.frame(request), **values), status)
