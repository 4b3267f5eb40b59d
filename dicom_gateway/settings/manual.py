"""The reference part of the manual's page on settings, made from the fields themselves."""

from dataclasses import MISSING, fields
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from dicom_gateway.settings.fields import limits_of
from dicom_gateway.settings.model import (
    Bundles,
    Complete,
    Contour,
    Database,
    Destination,
    Dose,
    Flow,
    Listen,
    Peer,
    Quality,
    Report,
    Store,
    Web,
)

__all__ = ["settings_manual"]

_HEADS: tuple[tuple[str, type[Any]], ...] = (
    ("[store]", Store),
    ("[listen]", Listen),
    ("[[peer]]", Peer),
    ("[database]", Database),
    ("[complete]", Complete),
    ("[[destination]]", Destination),
    ("[bundles]", Bundles),
    ("[flow]", Flow),
    ("[web]", Web),
    ("[report]", Report),
    ("[quality]", Quality),
    ("[dose]", Dose),
    ("[contour]", Contour),
)


def settings_manual() -> str:
    """Markdown with one table a section: each field, its default, its unit and range, and why."""
    parts = []
    for head, kind in _HEADS:
        rows = [_row(item) for item in fields(kind)]
        parts.append(
            f"### `{head}`\n\n{kind.__doc__}\n\n| setting | default | allowed | what and why |\n|---|---|---|---|\n"
            + "\n".join(rows)
        )
    return "\n\n".join(parts) + "\n"


def _row(item: Any) -> str:
    limits = limits_of(item)
    default = "required" if item.default is MISSING else f"`{_toml(item.default)}`"
    allowed = " or ".join(f"`{c}`" for c in limits.choices)
    low = f"at least {limits.at_least:g}" if limits.at_least is not None else ""
    high = f"at most {limits.at_most:g}" if limits.at_most is not None else ""
    numbers = ", ".join(p for p in (low, high) if p)
    unit = f" {limits.unit}" if limits.unit and numbers else limits.unit
    return f"| `{item.name}` | {default} | {allowed or numbers + unit} | {limits.why} |"


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path | IPv4Network | IPv6Network):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
