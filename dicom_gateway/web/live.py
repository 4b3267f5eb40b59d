"""Live updates: Server-Sent Events with the pieces of a page that have changed.

The database is looked at once a second for everyone who watches the same thing; what a browser has already seen is a
digest that it names, so that nothing is missed between the page and the first event, or while a connection was lost.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.responses import StreamingResponse

from dicom_gateway.web.pages import mark_of

__all__ = ["Watch", "event_stream"]

POLL_S = 1.0
HEARTBEAT_S = 15.0
LONGEST_S = 600.0
"""A stream ends after this time and the browser comes again: what it may see is decided anew."""
MOST_STREAMS = 100

Pieces = Mapping[str, str]


@dataclass
class Watch:
    """Who is watching, and what was read last for each thing that is watched."""

    streams: int = 0
    _watchers: Counter[str] = field(default_factory=Counter)
    _cache: dict[str, tuple[float, Pieces]] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def pieces(self, key: str, read: Callable[[], Pieces], since: float) -> Pieces:
        """The pieces of a page, read at most once in a second however many are watching, and not before `since`.

        What was read before a stream began may be older than its page, which shows what its reader has just done.
        """
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            when, kept = self._cache.get(key, (0.0, {}))
            if when >= since and time.monotonic() - when < POLL_S * 0.8:
                return kept
            pieces = await run_sync(read)
            self._cache[key] = (time.monotonic(), pieces)
            return pieces

    def come(self, key: str) -> None:
        """Count one more stream."""
        self.streams += 1
        self._watchers[key] += 1

    def leave(self, key: str) -> None:
        """Count one stream less, and drop what nobody watches any more."""
        self.streams -= 1
        self._watchers[key] -= 1
        if not self._watchers[key]:
            for kept in (self._watchers, self._cache, self._locks):
                kept.pop(key, None)


def event_stream(request: Request, watch: Watch, key: str, read: Callable[[], Pieces]) -> StreamingResponse:
    """The stream of a page whose pieces `read` gives; `key` is equal for all who would read the same."""
    seen = request.headers.get("Last-Event-ID") or request.query_params.get("mark", "")
    return StreamingResponse(
        _events(request, watch, key, read, seen),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(
    request: Request, watch: Watch, key: str, read: Callable[[], Pieces], seen: str
) -> AsyncIterator[str]:
    if watch.streams >= MOST_STREAMS:
        yield "retry: 30000\n\n"
        return
    watch.come(key)
    begun = sent = time.monotonic()
    before: Pieces | None = None
    try:
        yield "retry: 1000\nevent: hello\ndata: {}\n\n"
        while time.monotonic() - begun < LONGEST_S and not await request.is_disconnected():
            pieces = await watch.pieces(key, read, begun)
            mark = mark_of(pieces)
            if before is None and mark != seen:
                before = {}
            if before is not None and pieces != before:
                changed = {name: html for name, html in pieces.items() if before.get(name) != html}
                body = json.dumps({"order": list(pieces), "changed": changed}, ensure_ascii=False)
                yield f"id: {mark}\nevent: change\ndata: {body}\n\n"
                sent = time.monotonic()
            elif time.monotonic() - sent > HEARTBEAT_S:
                yield ": still here\n\n"
                sent = time.monotonic()
            before = pieces
            await asyncio.sleep(POLL_S)
    finally:
        watch.leave(key)
