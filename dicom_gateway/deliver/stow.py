"""Sending by STOW-RS: each object streamed in its own request, so that each has its own answer."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from dicom_gateway.deliver.objects import OutgoingObject
from dicom_gateway.deliver.outcome import Outcome, classify_status
from dicom_gateway.settings import Destination

__all__ = ["StowSender"]

CHUNK_BYTES = 1 << 18
BOUNDARY = "radgate-part"

_FAILED = "00081198"
_FAILURE_REASON = "00081197"
_STORED = "00081199"
_WARNING_REASON = "00081196"


class StowSender:
    """A STOW-RS client for one destination."""

    def __init__(self, destination: Destination, calling_aet: str) -> None:
        self._destination = destination
        self._agent = destination.calling_aet or calling_aet
        self._root = destination.url.rstrip("/")

    def send(self, objects: Sequence[OutgoingObject]) -> Iterator[Outcome]:
        """One outcome for each object, in order; ends early where the destination stops answering."""
        with self._client() as client:
            for item in objects:
                outcome = self._send_one(client, item)
                yield outcome
                if not outcome.reached:
                    return

    def probe(self) -> bool:
        """Whether the destination answers a small query."""
        try:
            with self._client() as client:
                answer = client.get(f"{self._root}/studies", params={"limit": "1"})
        except httpx.HTTPError:
            return False
        return answer.status_code < 500

    def find(self, objects: Sequence[OutgoingObject]) -> Iterator[bool | None]:
        """Whether each object is listed by QIDO-RS; None where there is no answer."""
        with self._client() as client:
            for item in objects:
                yield self._find_one(client, item)

    def _client(self) -> httpx.Client:
        destination = self._destination
        headers = {"Accept": "application/dicom+json", "User-Agent": self._agent}
        if destination.token_env:
            headers["Authorization"] = f"Bearer {os.environ.get(destination.token_env, '')}"
        timeout = httpx.Timeout(destination.response_timeout_s, connect=destination.connect_timeout_s)
        return httpx.Client(headers=headers, timeout=timeout, trust_env=False)

    def _send_one(self, client: httpx.Client, item: OutgoingObject) -> Outcome:
        head = (
            f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\nContent-Length: {item.size_bytes}\r\n\r\n"
        ).encode()
        tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        try:
            answer = client.post(
                f"{self._root}/studies",
                content=_body(head, item, tail),
                headers={
                    "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
                    "Content-Length": str(len(head) + item.size_bytes + len(tail)),
                },
            )
        except httpx.TimeoutException:
            return classify_status(None)
        except httpx.HTTPError:
            return Outcome(
                "retry", "no_connection", "The destination cannot be reached; check that it runs.", reached=False
            )
        return _outcome(answer, item.sop_uid)

    def _find_one(self, client: httpx.Client, item: OutgoingObject) -> bool | None:
        try:
            answer = client.get(
                f"{self._root}/studies/{item.study_uid}/instances", params={"SOPInstanceUID": item.sop_uid}
            )
        except httpx.HTTPError:
            return None
        if answer.status_code in {204, 404}:
            return False
        if answer.status_code != 200:
            return None
        return bool(_json(answer))


def _body(head: bytes, item: OutgoingObject, tail: bytes) -> Iterator[bytes]:
    yield head
    with item.path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
    yield tail


def _outcome(answer: httpx.Response, sop_uid: str) -> Outcome:
    """The meaning of a response (PS3.18 10.5.3), by its list for this instance where it has one."""
    code = f"http_{answer.status_code}"
    if answer.status_code in {200, 202, 409}:
        document = _json(answer)
        failed = _reason(document, _FAILED, _FAILURE_REASON, sop_uid)
        if failed is not None:
            return classify_status(failed)
        warned = _reason(document, _STORED, _WARNING_REASON, sop_uid)
        if warned:
            return classify_status(warned)
        if answer.status_code == 409:
            return Outcome("permanent", code, "The destination refuses this object; look into its log.")
        return Outcome("accepted", code)
    if answer.status_code in {401, 403, 404, 405}:
        return Outcome(
            "misconfigured", code, "The destination refuses the address or the token; check both.", reached=False
        )
    if answer.status_code in {408, 425, 429} or answer.status_code >= 500:
        return Outcome("retry", code, "The destination is busy or broken; look at its log.", reached=False)
    return Outcome("permanent", code, "The destination refuses this object; look into its log.")


def _reason(document: Any, sequence: str, reason: str, sop_uid: str) -> int | None:
    """Reason code of an instance in a sequence: 0 where it stands without one, None where it does not stand there."""
    first = document[0] if isinstance(document, list) and document else document
    if not isinstance(first, dict):
        return None
    for item in first.get(sequence, {}).get("Value", []):
        uids = item.get("00081155", {}).get("Value", [sop_uid])
        if sop_uid in uids:
            codes = item.get(reason, {}).get("Value", [])
            return int(codes[0]) if codes else 0 if sequence == _STORED else 0xC000
    return None


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
