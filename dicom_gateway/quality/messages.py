"""Alerts as messages: a webhook and a mail, only to the addresses of the settings and without any patient data.

Each way is told once, and once more where the alert is withdrawn. What one way does not take is tried again there
alone, less and less often.
"""

import hashlib
import logging
import smtplib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import httpx
from sqlalchemy import Engine

from dicom_gateway.quality import record
from dicom_gateway.quality.record import WITHDRAWN, Told
from dicom_gateway.settings import Quality

__all__ = ["MAIL", "Messenger", "Sender", "Way", "message_of", "send", "ways_of"]

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0

MAIL = "mail"

GONE = (
    "此前的提醒已撤回：后续影像到达后，该问题已不存在或减轻。",
    "The earlier alert is withdrawn: with the images that have come since, the fault is gone or slight.",
    "",
)
NOT_ALL = (
    "影像可能尚未传完，结论可能改变；若问题消失将另行通知。",
    "More images may still come and change this; you will be told if the fault goes.",
    "",
)

RETRY_S, MOST_RETRY_S = 5.0, 600.0
"""Pause after the first failure, and the longest: it doubles with every further one."""


@dataclass(frozen=True)
class Way:
    """One way that alerts go: the mail server of the settings, or a webhook.

    Parameters
    ----------
    key
        "mail", or a digest of the address, which may hold a secret.
    address
        Of the webhook; "" for mail.
    """

    key: str
    address: str = ""


@dataclass
class _Pause:
    failures: int = 0
    until: float = 0.0

    def failed(self, now: float) -> None:
        self.until = now + min(MOST_RETRY_S, RETRY_S * 2.0 ** min(self.failures, 20))
        self.failures += 1


Sender = Callable[[Quality, Told, Way], bool]


def ways_of(settings: Quality) -> list[Way]:
    """Every way that the settings name, each once."""
    addresses = dict.fromkeys(settings.webhooks)
    hooks = [Way(hashlib.sha256(address.encode()).hexdigest()[:32], address) for address in addresses]
    return [*([Way(MAIL)] if settings.smtp_host else []), *hooks]


def message_of(item: Told, board_url: str) -> dict[str, Any]:
    """The message as plain values: what, how bad, what to do, and where to look; nothing of the patient."""
    return {
        "kind": "radgate.quality.alert/1",
        "series_instance_uid": item.series_uid,
        "study_instance_uid": item.study_uid,
        "cause": item.cause,
        "grade": item.grade,
        "final": item.is_final,
        "first_seen": datetime.fromtimestamp(item.first_seen, UTC).isoformat(timespec="seconds"),
        "findings": [
            {k: f[k] for k in ("check_id", "grade", "value", "unit", "cause", "action")} for f in item.findings
        ],
        "page": f"{board_url.rstrip('/')}/quality/series/{item.series_uid}" if board_url else "",
    }


def send(settings: Quality, item: Told, way: Way) -> bool:
    """Send one alert by one way; whether it took it."""
    document = message_of(item, settings.board_url)
    return _mail(settings, item, document) if way.key == MAIL else _post(way.address, document)


class Messenger:
    """Sends what was not told yet, each way for itself.

    Parameters
    ----------
    engine
        Of the index, where alerts and what was told of them are kept.
    settings
        Addresses, and the grade from which alerts go out.
    sender
        Sends one alert by one way.
    """

    def __init__(self, engine: Engine, settings: Quality, sender: Sender = send) -> None:
        self._engine, self._settings, self._sender = engine, settings, sender
        self._ways = ways_of(settings)
        self._way_pauses: defaultdict[str, _Pause] = defaultdict(_Pause)
        self._item_pauses: dict[tuple[str, int, str], _Pause] = {}
        self._unwritten: set[tuple[str, int, str]] = set()

    def round(self, now: float | None = None) -> None:
        """Send what is due; a way that fails pauses, and so does an alert that a way refuses while it takes others."""
        if not self._ways:
            return
        now = time.monotonic() if now is None else now
        pending = record.pending_messages(self._engine, self._settings.alert_from)
        for way in self._ways:
            if self._way_pauses[way.key].until <= now:
                self._send_by(way, pending, now)
        for item in record.pending_messages(self._engine, self._settings.alert_from):
            if not any(item.is_due(way.key) for way in self._ways):
                record.told(self._engine, item)
        open_items = {item.id for item in pending}
        self._item_pauses = {key: pause for key, pause in self._item_pauses.items() if key[1] in open_items}

    def _send_by(self, way: Way, pending: Sequence[Told], now: float) -> None:
        due = [item for item in pending if item.is_due(way.key) and self._pause_of(way, item).until <= now]
        # What was never refused goes first, so that one refused alert holds up no other.
        for item in sorted(due, key=lambda i: (self._pause_of(way, i).failures, i.id)):
            key = (way.key, item.id, item.grade)
            if key not in self._unwritten and not self._sender(self._settings, item, way):
                self._item_pauses.setdefault(key, _Pause()).failed(now)
                self._way_pauses[way.key].failed(now)
                return
            self._unwritten.add(key)  # a database that takes no note makes no second message
            record.told_by(self._engine, item, way.key)
            self._unwritten.discard(key)
            self._way_pauses[way.key] = _Pause()

    def _pause_of(self, way: Way, item: Told) -> _Pause:
        return self._item_pauses.get((way.key, item.id, item.grade), _Pause())


def _what_to_do(finding: Mapping[str, Any]) -> tuple[str, str]:
    return finding["action"]["zh"], finding["action"]["en"]


def _post(address: str, document: dict[str, Any]) -> bool:
    try:
        answer = httpx.post(address, json=document, timeout=TIMEOUT_S, follow_redirects=False)
    except httpx.HTTPError as error:
        log.warning("webhook not reached kind=%s", type(error).__name__)
        return False
    if not answer.is_success:
        log.warning("webhook answered status=%d", answer.status_code)
    return answer.is_success


def _mail(settings: Quality, item: Told, document: dict[str, Any]) -> bool:
    mail = EmailMessage()
    mail["From"], mail["To"] = settings.mail_from, ", ".join(settings.mail_to)
    mail["Subject"] = f"radgate: {item.grade} {item.cause}"
    is_gone = item.grade == WITHDRAWN
    lines = [
        line
        for f in item.findings
        for line in (f["cause"]["zh"], f["cause"]["en"], *(() if is_gone else _what_to_do(f)), "")
    ]
    before = GONE if is_gone else () if item.is_final else NOT_ALL
    mail.set_content("\n".join([*before, *lines, document["page"]]))
    is_taken = False
    try:
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_S) as server:
            refused = server.send_message(mail)
            is_taken = True
    except (OSError, smtplib.SMTPException) as error:
        # A server that took the mail and then broke off has it.
        log.log(logging.INFO if is_taken else logging.WARNING, "mail not sent kind=%s", type(error).__name__)
        return is_taken
    if refused:
        log.warning("mail refused for %d of %d addresses", len(refused), len(settings.mail_to))
    return True
