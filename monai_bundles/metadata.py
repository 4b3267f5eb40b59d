"""Reads `configs/metadata.json` and `configs/radgate.json`, and says exactly which entry is wrong.

`metadata.json` follows MONAI's bundle specification; `radgate.json` holds what a hospital must know besides: what the
bundle accepts, what its outputs mean, the hashes of its weights. Kinds and ranges of its entries stand in
`monai_bundles.radgate_schema`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from monai_bundles.adding.labels import is_background
from monai_bundles.bundle import Accepts, BundleInput, BundleStructure, Channel, OutputForm
from monai_bundles.errors import BadMetadata, UnlabelledOutput
from monai_bundles.radgate_schema import OUTPUT_FORMS, check_entry, check_radgate

__all__ = [
    "absent_within_px_of",
    "accepted_range",
    "declared_images",
    "empty_windows_of",
    "inputs_of",
    "instances_of",
    "left_out_of",
    "output_of",
    "read_json",
    "read_metadata",
    "read_radgate",
    "structures_of",
]

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

MOST_VERSION = 64
"""Characters of a version: DICOM's long string."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises
    ------
    BadMetadata
        The file is missing, cannot be read, is no JSON, or holds something other than an object.
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
    except RecursionError as error:
        raise BadMetadata(f"{name} is nested too deeply; correct it.", file=name) from error
    except OSError as error:
        raise BadMetadata(
            f"{name} cannot be read ({error.strerror}); correct that and try again.", file=name
        ) from error
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
    for key, kind in REQUIRED_METADATA.items():
        if not isinstance(content.get(key), kind):
            state = "of the wrong kind" if key in content else "missing"
            raise BadMetadata(
                f"The entry {key!r} of configs/metadata.json is {state}; it must be a JSON {JSON_NAMES[kind]}.",
                entry=key,
            )
    version = content["version"]
    if len(version) > MOST_VERSION or not re.fullmatch(r"\d+\.\d+\.\d+([.+-][0-9A-Za-z.+-]*)?", version, re.ASCII):
        raise BadMetadata("The version in configs/metadata.json is not of the form 1.2.3; correct it.")
    for direction in ("inputs", "outputs"):
        declared_images(content, direction)
    return content


def declared_images(metadata: Mapping[str, Any], direction: str) -> dict[str, dict[str, Any]]:
    """What the metadata say of each input or output by its name; nothing where they do not mention them.

    Parameters
    ----------
    direction
        "inputs" or "outputs".

    Raises
    ------
    BadMetadata
        They are no object of objects.
    """
    images = metadata["network_data_format"].get(direction, {})
    if not isinstance(images, dict) or not all(isinstance(image, dict) for image in images.values()):
        where = f"network_data_format.{direction}"
        raise BadMetadata(
            f"The entry {where!r} of configs/metadata.json must be a JSON object that holds one object for each of the "
            f"{direction}; correct it.",
            entry=where,
        )
    return images


def read_radgate(root: Path) -> dict[str, Any]:
    """`configs/radgate.json`, in which every entry is of the right kind and in its range.

    Raises
    ------
    BadMetadata
        The file or an entry is missing, unknown or of the wrong kind.
    UnlabelledOutput
        A structure has no label or no name.
    """
    content = read_json(root / "configs" / "radgate.json")
    check_radgate(content)
    return content


def accepted_range(radgate: Mapping[str, Any]) -> Accepts:
    """The `accepts` entry, which `check_radgate` has passed, as a value."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in radgate["accepts"].items()}
    return Accepts(**values)


def output_of(radgate: Mapping[str, Any]) -> OutputForm:
    """What the network's output is; without an entry `output`, sigmoid channels that are cleaned up here."""
    form: OutputForm = radgate.get("output", {"form": OUTPUT_FORMS[0]})["form"]
    return form


def inputs_of(radgate: Mapping[str, Any]) -> tuple[BundleInput, ...]:
    """Entries of the dictionary that preprocessing takes; without an entry `inputs`, one image under "image".

    Raises
    ------
    BadMetadata
        There is no image at all, or another image beside a colour picture.
    """
    check_entry("inputs", radgate)
    inputs = tuple(
        BundleInput(**{
            **entry,
            "channels": tuple(Channel(**channel) for channel in entry.get("channels", ())),
            "size_px": tuple(entry.get("size_px", ())),
        })
        for entry in radgate.get("inputs", [{"key": "image", "channels": [{"name": "image"}]}])
    )
    if not inputs[0].channels or inputs[0].channels[0].optional:
        raise BadMetadata(
            "`inputs[0].channels` in configs/radgate.json needs the series of the route as its first channel."
        )
    if output_of(radgate) == "points" and sum(len(entry.channels) + entry.zeros for entry in inputs) > 1:
        raise BadMetadata("A bundle that gives points takes one series; correct `inputs` in configs/radgate.json.")
    coloured = [entry for entry in inputs if entry.colours]
    images = [channel for entry in inputs for channel in entry.channels]
    if coloured and (len(coloured) > 1 or len(images) > 1 or coloured[0].repeat > 1 or coloured[0].zeros):
        raise BadMetadata(
            "An input with `colours` in configs/radgate.json is the only image of the bundle and is not repeated; "
            "correct `inputs`."
        )
    return inputs


def empty_windows_of(radgate: Mapping[str, Any]) -> Literal["skip", "compute"]:
    """The entry `empty_windows`; without one every window is computed.

    Raises
    ------
    BadMetadata
        It is another word, or "skip" where no CT gives labels.
    """
    word = radgate.get("empty_windows", "compute")
    if word == "compute":
        return "compute"
    is_ct = set(radgate["accepts"].get("modalities", ())) == {"CT"}
    if word != "skip" or not is_ct or output_of(radgate) not in {"labels", "channels"}:
        raise BadMetadata(
            "`empty_windows` in configs/radgate.json is 'compute', or 'skip' where the output is labels or channels "
            "and CT the only modality, on which a body can be told from air; correct it."
        )
    return "skip"


def absent_within_px_of(radgate: Mapping[str, Any]) -> float:
    """The entry `output.absent_within_px`: how near the first pixel a point is one that is not there; 0 without it.

    Raises
    ------
    BadMetadata
        It is no distance.
    """
    check_entry("output", radgate)
    return float(radgate.get("output", {}).get("absent_within_px", 0.0))


def instances_of(radgate: Mapping[str, Any]) -> bool:
    """The entry `output.instances`: whether the label map numbers single objects; not so without it.

    Raises
    ------
    BadMetadata
        It is neither true nor false, stands beside another form than labels, or there are several structures.
    """
    check_entry("output", radgate)
    numbered = bool(radgate.get("output", {}).get("instances", False))
    if numbered and (output_of(radgate) != "labels" or len(radgate["structures"]) != 1):
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
    structures = [BundleStructure(**entry) for entry in radgate["structures"]]
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
    for output in declared_images(metadata, "outputs").values():
        meanings = output.get("channel_def")
        names = meanings.values() if isinstance(meanings, dict) else ()
        return [str(name) for name in names if not is_background(str(name))]
    return []


JSON_NAMES: dict[type, str] = {str: "string", dict: "object", list: "array"}
