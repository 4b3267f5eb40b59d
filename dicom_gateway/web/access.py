"""Who may see the pages and who may change something: the access token, its session, and the proof of a form's origin.

A session is a signed cookie, so that nothing is kept in the server: it ends after twelve hours, or with a new token.
"""

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.responses import Response

__all__ = ["Access", "new_access"]

SESSION_COOKIE = "radgate_session"
VISITOR_COOKIE = "radgate_visitor"
SESSION_S = 12 * 3600.0
FAILURES_PER_MINUTE = 10


@dataclass
class Access:
    """The rules of one running server.

    Parameters
    ----------
    token
        Access token; None where the pages are open to whoever reaches the port (loopback only).
    key
        Signs sessions and forms; follows from the token, so that a restart does not sign people out.
    now
        Seconds, for tests.
    """

    token: str | None
    key: bytes
    now: Callable[[], float] = time.time
    _failures: deque[float] = field(default_factory=deque)

    def is_in(self, request: Request) -> bool:
        """Whether the request may see patient data: by session or by bearer token."""
        if self.token is None:
            return self._is_local_name(request)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        issued, _, signature = request.cookies.get(SESSION_COOKIE, "").partition(".")
        if not hmac.compare_digest(signature, self._sign(f"session:{issued}")):
            return False
        return issued.isdigit() and 0 <= self.now() - int(issued) < SESSION_S

    def is_token(self, given: str) -> bool:
        """Whether this is the token, in constant time."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def may_try(self) -> bool:
        """Whether another sign-in may be tried: after ten failures within a minute nobody may."""
        while self._failures and self.now() - self._failures[0] > 60:
            self._failures.popleft()
        return len(self._failures) < FAILURES_PER_MINUTE

    def note_failure(self) -> None:
        """Count a wrong token."""
        self._failures.append(self.now())

    def open_session(self, request: Request, response: Response) -> None:
        """Set the session's cookie."""
        issued = str(int(self.now()))
        self._set(request, response, SESSION_COOKIE, f"{issued}.{self._sign(f'session:{issued}')}")

    def close_session(self, response: Response) -> None:
        """Drop the session's cookie."""
        response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")

    def form_proof(self, request: Request) -> str:
        """The value that a form of this visitor has to bring back; empty before `greet` has set the cookie."""
        visitor = request.cookies.get(VISITOR_COOKIE) or getattr(request.state, "visitor", "")
        return self._sign(f"form:{visitor}") if visitor else ""

    def is_own_form(self, request: Request, proof: str) -> bool:
        """Whether a POST comes from a page of ours: cookie and proof fit, and the browser names our own origin."""
        origin = request.headers.get("Origin")
        if origin is not None and origin.split("://")[-1] != request.headers.get("Host"):
            return False
        expected = self.form_proof(request)
        return bool(expected) and hmac.compare_digest(proof, expected)

    def greet(self, request: Request, response: Response) -> None:
        """Give a new visitor the cookie that forms are bound to."""
        if VISITOR_COOKIE not in request.cookies:
            self._set(request, response, VISITOR_COOKIE, getattr(request.state, "visitor", secrets.token_hex(16)))

    def _is_local_name(self, request: Request) -> bool:
        """Whether an open server was called by an address of this machine.

        A foreign page can make its own name point to 127.0.0.1 and would then read as the same origin; its name gives
        it away.
        """
        host = request.url.hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def _set(self, request: Request, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, httponly=True, samesite="strict", secure=request.url.scheme == "https")

    def _sign(self, text: str) -> str:
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()


def new_access(token: str | None) -> Access:
    """The rules for this token."""
    seed = token.encode() if token is not None else secrets.token_bytes(32)
    return Access(token, hmac.new(b"radgate pages", seed, hashlib.sha256).digest())
