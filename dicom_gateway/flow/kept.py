"""What a step leaves for the next one, as files in the job's folder: whole or not there at all, never pickled."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imaging.volume import Region

__all__ = ["keep_bytes", "keep_json", "keep_regions", "kept_json", "kept_regions"]


def keep_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves either the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def keep_json(path: Path, value: Any) -> None:
    """Write a JSON value."""
    keep_bytes(path, json.dumps(value, ensure_ascii=False, indent=1).encode())


def kept_json(path: Path) -> Any:
    """A JSON value that was kept."""
    return json.loads(path.read_text(encoding="utf-8"))


def keep_regions(path: Path, regions: Sequence[tuple[str, Region]]) -> None:
    """Write named regions, with their probabilities where they have any, as one uncompressed npz file."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    index = []
    for number, (name, region) in enumerate(regions):
        index.append({"name": name, "start": list(region.start), "shape": list(region.shape)})
        arrays[f"crop{number}"] = region.crop
        if region.probability is not None:
            arrays[f"probability{number}"] = np.asarray(region.probability, dtype=np.float16)
    arrays["index"] = np.frombuffer(json.dumps(index).encode(), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        # numpy's annotation takes `allow_pickle` for one of the arrays.
        np.savez(stream, **arrays)  # type: ignore[arg-type]
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def kept_regions(path: Path) -> list[tuple[str, Region]]:
    """Named regions that were kept."""
    with np.load(path, allow_pickle=False) as arrays:
        index: list[Mapping[str, Any]] = json.loads(bytes(arrays["index"]))
        return [
            (
                entry["name"],
                Region(
                    crop=arrays[f"crop{number}"],
                    start=tuple(entry["start"]),
                    shape=tuple(entry["shape"]),
                    probability=arrays.get(f"probability{number}"),
                ),
            )
            for number, entry in enumerate(index)
        ]
