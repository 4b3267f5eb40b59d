"""Reads `configs/metadata.json` and `configs/radgate.json`, and says exactly which entry is wrong.

`metadata.json` follows MONAI's bundle specification; `radgate.json` holds what a hospital must know besides: what the
bundle accepts, what its outputs mean, the hashes of its weights.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_bundles.adding.labels import is_background
from monai_bundles.bundle import Accepts, BundleInput, BundleStructure, Channel, OutputForm
from monai_bundles.errors import BadMetadata, UnlabelledOutput

__all__ = [
    "absent_within_px_of",
    "accepted_range",
    "inputs_of",
    "instances_of",
    "left_out_of",
    "output_of",
    "read_json",
    "read_metadata",
    "read_radgate",
    "structures_of",
]

OUTPUT_FORMS: tuple[OutputForm, ...] = ("structures", "labels", "channels", "boxes", "scores", "points", "findings")

REQUIRED_METADATA: dict[str, type] = {
    "version": str,
    "monai_version": str,
    "pytorch_version": str,
    "numpy_version": str,
    "task": str,
    "description": str,
    "authors": str,
    "copyright": str,
    "changelog": dict,
    "network_data_format": dict,
}
"""Entries that MONAI's bundle specification asks for, and their types."""

REQUIRED_RADGATE: dict[str, type] = {
    "title": dict,
    "intended_use": dict,
    "licence": str,
    "accepts": dict,
    "structures": list,
    "required_checks": list,
    "weights_sha256": dict,
}

ACCEPTS_KEYS = frozenset(Accepts.__dataclass_fields__)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises
    ------
    BadMetadata
        The file is missing, is no JSON, or holds something other than an object.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadMetadata(f"The bundle has no {name}; restore the file from its source.", file=name) from None
    except json.JSONDecodeError as error:
        raise BadMetadata(
            f"{name} is no JSON: line {error.lineno}, {error.msg}; correct that line.", file=name
        ) from error
    except UnicodeDecodeError as error:
        raise BadMetadata(f"{name} is not UTF-8; save it as UTF-8.", file=name) from error
    if not isinstance(content, dict):
        raise BadMetadata(f"{name} holds no JSON object; it must begin with a brace.", file=name)
    return content


def read_metadata(root: Path) -> dict[str, Any]:
    """`configs/metadata.json`, with every entry that MONAI's specification requires.

    Raises
    ------
    BadMetadata
        The file or an entry is missing or of the wrong kind.
    """
    content = read_json(root / "configs" / "metadata.json")
    _check_types(content, REQUIRED_METADATA, "configs/metadata.json")
    if not re.fullmatch(r"\d+\.\d+\.\d+([.+-][0-9A-Za-z.+-]*)?", content["version"]):
        raise BadMetadata("The version in configs/metadata.json is not of the form 1.2.3; correct it.")
    return content


def read_radgate(root: Path) -> dict[str, Any]:
    """`configs/radgate.json` with the entries radgate needs.

    Raises
    ------
    BadMetadata
        The file or an entry is missing, unknown or of the wrong kind.
    """
    content = read_json(root / "configs" / "radgate.json")
    _check_types(content, REQUIRED_RADGATE, "configs/radgate.json")
    return content


def accepted_range(radgate: Mapping[str, Any]) -> Accepts:
    """The `accepts` entry as a value.

    Raises
    ------
    BadMetadata
        An entry is unknown or unusable.
    """
    entry: dict[str, Any] = radgate["accepts"]
    unknown = sorted(set(entry) - ACCEPTS_KEYS)
    if unknown or not entry.get("modalities"):
        wrong = f"unknown entry {unknown[0]!r}" if unknown else "no modalities"
        raise BadMetadata(
            f"`accepts` in configs/radgate.json has {wrong}; known are {', '.join(sorted(ACCEPTS_KEYS))}."
        )
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    if values.get("shows", "") not in {"", "head_neck"}:
        raise BadMetadata("`accepts.shows` in configs/radgate.json is neither empty nor 'head_neck'; correct it.")
    if values.get("contrast", "") not in {"", "required", "forbidden"}:
        raise BadMetadata("`accepts.contrast` in configs/radgate.json is 'required', 'forbidden' or empty; correct it.")
    return Accepts(**values)


def output_of(radgate: Mapping[str, Any]) -> OutputForm:
    """What the network's output is; without an entry `output`, sigmoid channels that are cleaned up here.

    Raises
    ------
    BadMetadata
        An unknown form.
    """
    entry = radgate.get("output", {"form": "structures"})
    form = entry.get("form") if isinstance(entry, dict) else None
    for known in OUTPUT_FORMS:
        if form == known:
            return known
    raise BadMetadata(f"`output.form` in configs/radgate.json is none of {', '.join(OUTPUT_FORMS)}; correct it.")


def inputs_of(radgate: Mapping[str, Any]) -> tuple[BundleInput, ...]:
    """Entries of the dictionary that preprocessing takes; without an entry `inputs`, one image under "image".

    Raises
    ------
    BadMetadata
        An entry is unknown, a pattern is no regular expression, there is no image at all, or another image beside a
        colour picture.
    """
    inputs = []
    try:
        for entry in radgate.get("inputs", [{"key": "image", "channels": [{"name": "image"}]}]):
            channels = tuple(Channel(**channel) for channel in entry.get("channels", ()))
            for channel in channels:
                re.compile(channel.description)
            repeat, colours = int(entry.get("repeat", 1)), bool(entry.get("colours", False))
            size_px = tuple(int(n) for n in entry.get("size_px", ()))
            zeros, phases = bool(entry.get("zeros", False)), bool(entry.get("phases", False))
            rows_first = bool(entry.get("rows_first", False))
            inputs.append(BundleInput(str(entry["key"]), channels, zeros, repeat, colours, phases, size_px, rows_first))
    except (TypeError, ValueError, KeyError, AttributeError, re.error) as error:
        raise BadMetadata(
            "`inputs` in configs/radgate.json needs a key and channels with name and modality; correct it.",
            kind=type(error).__name__,
        ) from error
    if not inputs or not inputs[0].channels or inputs[0].channels[0].optional:
        raise BadMetadata("The first of `inputs` in configs/radgate.json needs the series of the route as its channel.")
    if any(entry.size_px and (len(entry.size_px) != 2 or min(entry.size_px) < 1) for entry in inputs):
        raise BadMetadata("`size_px` in configs/radgate.json is the number of columns and of rows; correct it.")
    if output_of(radgate) == "points" and sum(len(entry.channels) + entry.zeros for entry in inputs) > 1:
        raise BadMetadata("A bundle that gives points takes one series; correct `inputs` in configs/radgate.json.")
    coloured = [entry for entry in inputs if entry.colours]
    images = [channel for entry in inputs for channel in entry.channels]
    if coloured and (len(coloured) > 1 or len(images) > 1 or coloured[0].repeat > 1 or coloured[0].zeros):
        raise BadMetadata(
            "An input with `colours` in configs/radgate.json is the only image of the bundle and is not repeated; "
            "correct `inputs`."
        )
    return tuple(inputs)


def absent_within_px_of(radgate: Mapping[str, Any]) -> float:
    """The entry `output.absent_within_px`: how near the first pixel a point means that it is not there; 0 without it.

    Raises
    ------
    BadMetadata
        It is no distance.
    """
    entry = radgate.get("output", {})
    distance = entry.get("absent_within_px", 0.0) if isinstance(entry, dict) else 0.0
    if isinstance(distance, bool) or not isinstance(distance, int | float) or not 0 <= distance < math.inf:
        raise BadMetadata("`output.absent_within_px` in configs/radgate.json is a distance in pixels; correct it.")
    return float(distance)


def instances_of(radgate: Mapping[str, Any]) -> bool:
    """The entry `output.instances`: whether the label map numbers single objects; not so without it.

    Raises
    ------
    BadMetadata
        It is neither true nor false, stands beside another form than labels, or there are several structures.
    """
    entry = radgate.get("output", {})
    numbered = entry.get("instances", False) if isinstance(entry, dict) else False
    fits = not numbered or (output_of(radgate) == "labels" and len(radgate["structures"]) == 1)
    if not isinstance(numbered, bool) or not fits:
        raise BadMetadata(
            "`output.instances` in configs/radgate.json is true or false, and true only for labels of one structure; "
            "correct it."
        )
    return numbered


def left_out_of(radgate: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The entry `left_out`: patients that each further weights file has not seen; nothing where there is none.

    Raises
    ------
    BadMetadata
        A file is not among the hashed weights, or a patient stands twice.
    """
    entry = radgate.get("left_out", {})
    usable = isinstance(entry, dict) and all(isinstance(names, list) for names in entry.values())
    files = {str(path): tuple(str(name) for name in names) for path, names in entry.items()} if usable else {}
    names = [name for patients in files.values() for name in patients]
    if not usable or not set(files) <= set(radgate["weights_sha256"]) or len(set(names)) < len(names):
        raise BadMetadata(
            "`left_out` in configs/radgate.json needs, for weights that are hashed there, the patients that they have "
            "not seen, each once; correct it."
        )
    return files


def structures_of(radgate: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[BundleStructure, ...]:
    """What each output label or channel means, in the order of the labels.

    Raises
    ------
    UnlabelledOutput
        A label or channel of the metadata has no name here, a name has no label, or one of them appears twice.
    """
    structures = []
    for entry in radgate["structures"]:
        label, name = (entry.get("label"), entry.get("name")) if isinstance(entry, dict) else (None, None)
        if not isinstance(label, int) or label < 1 or not isinstance(name, str) or not name:
            raise UnlabelledOutput(
                "A structure in configs/radgate.json needs a label from 1 and a TG-263 name; add them."
            )
        snomed, kind = str(entry.get("snomed", "")), str(entry.get("interpreted_type", ""))
        structures.append(BundleStructure(label, name, snomed, kind))
    structures.sort(key=lambda s: s.label)
    labels = [s.label for s in structures]
    form = output_of(radgate)
    # A label map may skip numbers (0, 1, 2, 4); channels follow one another.
    gapless = form == "labels" or labels == list(range(1, len(labels) + 1))
    if not labels or not gapless or len(set(labels)) < len(labels) or len({s.name for s in structures}) < len(labels):
        raise UnlabelledOutput(
            "The structures in configs/radgate.json need each label from 1 and each name exactly once; correct them.",
            labels=labels,
        )
    declared = _declared_names(metadata)
    if form != "structures":
        _check_count(form, len(structures), len(declared))
        return tuple(structures)
    if declared and sorted(declared) != sorted(s.name for s in structures):
        raise UnlabelledOutput(
            "The outputs in configs/metadata.json and the structures in configs/radgate.json differ; name every output "
            "channel in both.",
            metadata=sorted(declared),
            radgate=sorted(s.name for s in structures),
        )
    return tuple(structures)


def _check_count(form: OutputForm, named: int, declared: int) -> None:
    """A bundle with its own words for its outputs needs as many names as outputs.

    Raises
    ------
    UnlabelledOutput
        An output has no name.
    """
    if form in {"labels", "channels", "scores"} and declared and named < declared:
        raise UnlabelledOutput(
            f"configs/metadata.json declares {declared} outputs, configs/radgate.json names {named}; name every one.",
            metadata=declared,
            radgate=named,
        )


def _declared_names(metadata: Mapping[str, Any]) -> list[str]:
    """Names in `channel_def` of the first output of the metadata, without the background."""
    outputs: Mapping[str, Any] = metadata["network_data_format"].get("outputs", {})
    for output in outputs.values():
        names = output.get("channel_def", {}).values() if isinstance(output, dict) else ()
        return [str(name) for name in names if not is_background(str(name))]
    return []


def _check_types(content: Mapping[str, Any], required: Mapping[str, type], name: str) -> None:
    for key, kind in required.items():
        if not isinstance(content.get(key), kind):
            state = "of the wrong kind" if key in content else "missing"
            raise BadMetadata(
                f"The entry {key!r} of {name} is {state}; it must be a JSON {JSON_NAMES[kind]}.", entry=key
            )


JSON_NAMES: dict[type, str] = {str: "string", dict: "object", list: "array"}
