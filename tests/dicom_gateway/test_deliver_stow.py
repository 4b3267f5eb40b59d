"""STOW-RS answers, each read for what it means for the one object that was sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dicom_gateway.deliver.objects import OutgoingObject, outgoing
from dicom_gateway.deliver.stow import StowSender
from dicom_gateway.settings import Destination
from dicom_gateway.store import Store
from tests.dicom_gateway.making import ct_slice, file_of, uid
from tests.e2e.peers import free_port

OTHER = uid(9, 9)


def listing(sequence: str, reason: str, code: int, sop_uid: str = uid(1, 1, 1)) -> list[dict[str, Any]]:
    item = {"00081155": {"vr": "UI", "Value": [sop_uid]}, reason: {"vr": "US", "Value": [code]}}
    return [{sequence: {"vr": "SQ", "Value": [item]}}]


FAILED = ("00081198", "00081197")
STORED = ("00081199", "00081196")


@contextmanager
def archive(status: int, document: Any, got: list[tuple[dict[str, str], bytes]]) -> Iterator[int]:
    """A web server that gives one answer and keeps what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = json.dumps(document).encode() if document is not None else b"<html>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def item(store: Store) -> OutgoingObject:
    receipt = store.receive(file_of(ct_slice(1)), peer="radgate", origin="result")
    return outgoing(store, receipt.sha256)


def sender(port: int, token_env: str = "") -> StowSender:
    root = f"http://127.0.0.1:{port}/dicom-web/"
    return StowSender(Destination("web", kind="stow", url=root, token_env=token_env), "RADGATE")


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (200, [{}], "accepted"),
        (200, None, "accepted"),
        (202, listing(*STORED, 0xB000), "warned"),
        (202, listing(*FAILED, 0xA700), "retry"),
        (202, listing(*FAILED, 0xC000, OTHER), "accepted"),
        (409, listing(*FAILED, 0xC000), "permanent"),
        (409, listing(*FAILED, 0x0111), "accepted"),
        (409, None, "permanent"),
        (400, None, "permanent"),
        (415, None, "permanent"),
        (401, None, "misconfigured"),
        (404, None, "misconfigured"),
        (429, None, "retry"),
        (503, None, "retry"),
    ],
)
def test_each_answer_has_its_class(item: OutgoingObject, status: int, document: Any, kind: str) -> None:
    with archive(status, document, []) as port:
        (outcome,) = sender(port).send([item])

    assert outcome.kind == kind
    assert outcome.kind == "accepted" or outcome.message


def test_the_object_is_streamed_as_it_is_with_the_token(item: OutgoingObject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE_TOKEN", "s3cret")
    got: list[tuple[dict[str, str], bytes]] = []

    with archive(200, [{}], got) as port:
        list(sender(port, "ARCHIVE_TOKEN").send([item]))

    ((headers, body),) = got
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Content-Type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert item.path.read_bytes() in body


def test_an_archive_that_is_away_ends_the_batch_after_one_try(item: OutgoingObject) -> None:
    outcomes = list(sender(free_port()).send([item, item, item]))

    assert [(o.kind, o.reached) for o in outcomes] == [("retry", False)]


@pytest.mark.parametrize(
    ("status", "document", "found"),
    [(200, [{"00080018": {}}], True), (200, [], False), (204, None, False), (500, None, None)],
)
def test_presence_is_asked_by_qido(item: OutgoingObject, status: int, document: Any, found: bool | None) -> None:
    with archive(status, document, []) as port:
        assert list(sender(port).find([item])) == [found]
