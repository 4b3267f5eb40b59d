"""Media types: what a client accepts, and the multipart/related bodies that go out (RFC 2387, PS3.18 section 8.6)."""

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

__all__ = ["IMAGE_TYPES", "MediaRange", "Part", "accepted", "multipart_body", "new_boundary", "parse_media_type"]

IMAGE_TYPES: dict[str, str] = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
}
"""Media type of a frame in each compressed transfer syntax (PS3.18 table 8.7.3-5)."""

LONGEST_HEADER = 4096
MOST_RANGES = 50


@dataclass(frozen=True)
class MediaRange:
    """One entry of an Accept header; `part` is the type of the parts where `type` is multipart/related."""

    type: str
    parameters: dict[str, str] = field(default_factory=dict)
    quality: float = 1.0

    @property
    def part(self) -> str:
        """Type of the parts of a multipart answer; "*/*" where the client leaves it open."""
        return self.parameters.get("type", "*/*").lower()

    @property
    def transfer_syntax(self) -> str | None:
        """Transfer syntax that the client asks for, "*" for any, None where it does not say."""
        return self.parameters.get("transfer-syntax")


@dataclass(frozen=True)
class Part:
    """One part of a multipart body."""

    content_type: str
    chunks: Iterable[bytes]
    location: str = ""


def parse_media_type(text: str) -> MediaRange:
    """Type and parameters of a Content-Type, or of one entry of an Accept header."""
    kind, _, rest = text.partition(";")
    found = re.findall(r';?\s*([\w!#$%&\'*+.^`|~-]+)\s*=\s*(?:"([^"]*)"|([^;"\s]+))', rest)
    parameters = {name.lower(): quoted or plain for name, quoted, plain in found}
    try:
        quality = float(parameters.pop("q", "1"))
    except ValueError:
        quality = 0.0
    return MediaRange(kind.strip().lower(), parameters, quality)


def accepted(header: str | None, parameter: str | None = None) -> list[MediaRange]:
    """What a client accepts, best first; the query parameter ``accept`` wins over the header (PS3.18 8.3.3.1)."""
    text = (parameter or header or "*/*")[:LONGEST_HEADER]
    entries = re.findall(r'(?:[^,"]|"[^"]*")+', text)[:MOST_RANGES]
    ranges = [parse_media_type(entry) for entry in entries if entry.strip()]
    return sorted((r for r in ranges if r.quality > 0), key=lambda r: -r.quality)


def new_boundary() -> str:
    """A boundary that no content can guess."""
    return f"radgate-{secrets.token_hex(16)}"


def multipart_body(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    """The body of a multipart/related message, piece by piece."""
    for part in parts:
        head = f"--{boundary}\r\nContent-Type: {part.content_type}\r\n"
        if part.location:
            head += f"Content-Location: {part.location}\r\n"
        yield f"{head}\r\n".encode()
        yield from part.chunks
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
