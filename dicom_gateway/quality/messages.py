"""Alerts as messages: a webhook and a mail, only to the addresses of the settings and without any patient data."""

import logging
import smtplib
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import httpx

from dicom_gateway.quality.record import Told
from dicom_gateway.settings import Quality

__all__ = ["Sender", "message_of"]

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0

Sender = Callable[[Quality, Told], bool]


def message_of(item: Told, board_url: str) -> dict[str, Any]:
    """The message as plain values: what, how bad, what to do, and where to look; nothing of the patient."""
    return {
        "kind": "radgate.quality.alert/1",
        "series_instance_uid": item.series_uid,
        "study_instance_uid": item.study_uid,
        "cause": item.cause,
        "grade": item.grade,
        "first_seen": datetime.fromtimestamp(item.first_seen, UTC).isoformat(timespec="seconds"),
        "findings": [
            {k: f[k] for k in ("check_id", "grade", "value", "unit", "cause", "action")} for f in item.findings
        ],
        "page": f"{board_url.rstrip('/')}/quality/series/{item.series_uid}" if board_url else "",
    }


def send(settings: Quality, item: Told) -> bool:
    """Send one alert by every way that is set; whether all of them took it."""
    document = message_of(item, settings.board_url)
    taken = [_post(address, document) for address in settings.webhooks]
    if settings.smtp_host:
        taken.append(_mail(settings, item, document))
    return all(taken)


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
    lines = [
        line
        for f in item.findings
        for line in (f["cause"]["zh"], f["cause"]["en"], f["action"]["zh"], f["action"]["en"], "")
    ]
    mail.set_content("\n".join([*lines, document["page"]]))
    try:
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_S) as server:
            server.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:
        log.warning("mail not sent kind=%s", type(error).__name__)
        return False
    return True
