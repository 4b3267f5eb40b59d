"""Headers of every answer, and the door: pages and DICOMweb answer only to whom `Access` lets in."""

import secrets

from fastapi import Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_gateway.web.access import Access

__all__ = ["Guard"]

OPEN_PATHS = ("/login", "/language", "/static/", "/health/")
"""What needs no sign-in: the form itself, its looks, and answers without any patient data."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer browsers hide the origin of our own forms, too
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Middleware around the whole application; it passes streams on piece by piece.

    Parameters
    ----------
    app
        What is guarded.
    access
        The rules.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on, and complete the headers of whatever goes out."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        scope.setdefault("state", {})["visitor"] = secrets.token_hex(16)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._complete(request, MutableHeaders(scope=message))
            await send(message)

        app = self._refusal(request) or self._app
        await app(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """The answer to whom is not let in; DICOMweb asks for its bearer token itself."""
        path = request.url.path
        asks_itself = path.startswith("/dicomweb/") and self._access.token is not None
        if path.startswith(OPEN_PATHS) or asks_itself or self._access.is_in(request):
            return None
        if self._access.token is None:
            return JSONResponse({"detail": "Use the address 127.0.0.1, or set web.token_file."}, status_code=421)
        if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
            return RedirectResponse("/login", status_code=303)
        return JSONResponse({"detail": "Sign in first."}, status_code=401)

    def _complete(self, request: Request, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        path = request.url.path
        if not path.startswith("/static/"):
            headers.setdefault("Cache-Control", "no-store")
        elif not request.url.query:
            # an address without a version, as modules import each other: kept, but asked about each time
            headers.setdefault("Cache-Control", "no-cache")
        if not path.startswith(("/static/", "/dicomweb/", "/health/", "/metrics")):
            greeting = Response()
            self._access.greet(request, greeting)
            for cookie in greeting.headers.getlist("set-cookie"):
                headers.append("set-cookie", cookie)
