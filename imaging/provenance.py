"""Who made a result, and the UIDs that follow from it: the same input, algorithm and settings give the same UIDs."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Algorithm", "deterministic_uid", "digest"]

NAMESPACE = uuid.UUID("5f0f5c56-6f4a-5d1e-9c39-7a0d3a4c2f10")
"""Root of radgate's name-based UUIDs; a site may set its own."""


@dataclass(frozen=True)
class Algorithm:
    """What produced a result: written into every object that leaves radgate.

    Parameters
    ----------
    name, version
        Name and full version of the bundle or program.
    weights_sha256
        Hash of each weights file, sorted; empty where the algorithm has no weights.
    bundle_digest
        Hash over all files of the bundle.
    manufacturer
        Who answers for it.
    deterministic
        True for image processing without a trained model.
    intended_use
        One sentence in each language, by its code ("en", "zh").
    """

    name: str
    version: str
    weights_sha256: tuple[str, ...] = ()
    bundle_digest: str = ""
    manufacturer: str = "radgate"
    deterministic: bool = False
    intended_use: Mapping[str, str] = field(default_factory=dict)


def digest(parts: Any) -> str:
    """sha256 (hex) of the canonical JSON of `parts`."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def deterministic_uid(kind: str, parts: Any, namespace: uuid.UUID = NAMESPACE) -> str:
    """A legal DICOM UID below 2.25 (at most 44 characters) that depends on `kind` and the JSON value `parts` alone."""
    text = json.dumps([kind, parts], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"2.25.{uuid.uuid5(namespace, text).int}"
