"""Series, verdicts and an observer at work, for the tests of image quality in the gateway."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import Engine, select

from dicom_gateway.quality import QualityObserver
from dicom_gateway.settings import Settings
from dicom_gateway.store import Store
from dicom_gateway.store.quality_tables import judged_series
from tests.qc.bodies import TRUNK, Body
from tests.synthetic.series import SeriesDescription, series_datasets

__all__ = ["ct", "hook", "judged", "mailed", "observing", "rows", "series_of", "stored"]


def ct(description: SeriesDescription = TRUNK, *, planes: int = 12, **body: Any) -> list[Dataset]:
    d = replace(description, planes=planes, intercept=0.0, attributes=(("SeriesDescription", "定位"),))
    return series_datasets(replace(d, pixels=Body(**body).values(d.grid())))


def stored(store: Store, datasets: list[Dataset], association: str = "") -> None:
    for dataset in datasets:
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        assert store.receive(buffer.getvalue(), peer="CT1", association=association).kind == "stored"


@contextmanager
def observing(settings: Settings, engine: Engine, store: Store, **options: Any) -> Iterator[QualityObserver]:
    observer = QualityObserver(settings, engine, store, **options)
    observer.start()
    try:
        yield observer
    finally:
        observer.stop()


def rows(engine: Engine, table: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(table)))


def series_of(engine: Engine, condition: Callable[[Any], bool]) -> Callable[[], Any]:
    return lambda: next((r for r in rows(engine, judged_series) if condition(r)), None)


def judged(
    grade: str = "FAIL", *, provisional: bool = True, planes: int = 9, checks: tuple[str, ...] = ("ct.x",)
) -> Any:
    result = {
        "grade": grade,
        "value": 3.5,
        "unit": "%",
        "uncertainty": 0.1,
        "limits": {"role": "gate", "warn": [0, 1], "fail": [0, 2]},
        "cause": {"code": "positioning", "zh": "偏心", "en": "off centre"},
        "action": {"zh": "请居中", "en": "Centre", "operator": "technician", "now": True},
    }
    return {
        "series": "1.2.3",
        "planes": planes,
        "pictures": {},
        "source": {"study_uid": "1.2", "modality": "CT", "station": "CT1", "serial": "7", "time": 1_790_000_000.0},
        "verdict": {
            "profile_id": "ct_base",
            "grade": grade,
            "provisional": provisional,
            "results": [{**result, "check_id": c} for c in checks],
            "measurements": [],
        },
    }


class Hook(BaseHTTPRequestHandler):
    heard: list[dict[str, Any]]
    status = 204

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        if self.status == 307:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def hook(status: int = 204) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    heard: list[dict[str, Any]] = []
    handler = type("Handler", (Hook,), {"heard": heard, "status": status})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def mailed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a mail server got, instead of sending it."""
    sent: list[Any] = []

    class Server:
        def __init__(self, host: str, port: int, timeout: float) -> None:
            assert (host, port) == ("mail.example", 25)

        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *_: object) -> None:
            return

        def send_message(self, mail: Any) -> None:
            sent.append(mail)

    monkeypatch.setattr("dicom_gateway.quality.messages.smtplib.SMTP", Server)
    return sent
