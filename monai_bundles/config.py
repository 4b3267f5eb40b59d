"""A bundle's inference configuration as plain data, and the parts of it that evaluate: nothing is run here.

The Model Zoo's configurations agree on no names: the parts are found from the entry that evaluates, then by the usual
names. Building them is left to `monai_bundles.network` and `monai_bundles.zoo`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from monai_bundles.errors import BadMetadata, NetworkSupportMissing, UnknownNetwork
from monai_bundles.metadata import read_json

__all__ = ["PartNames", "inference_file", "looked_up", "part_names", "read_inference", "targets", "walk"]

FILE_NAMES = ("inference.json", "inference.yaml", "inference.yml", "evaluate.json", "evaluate.yaml")
"""Where the configuration stands, most usual first."""

MOST_DEPTH, MOST_ENTRIES = 60, 200_000
"""No configuration of the Model Zoo comes near."""

REFERENCE = re.compile(r"@(\w+(?:(?:::|#)\w+)*)")

NETWORK_NAMES = ("network", "net", "model", "network_def", "detector")
TRANSFORM_NAMES = ("preprocessing", "preprocessing_transforms", "pre_transforms", "transform", "test_transforms")
INFERER_NAMES = ("inferer", "infer", "sliding_window_inferer")
POST_NAMES = ("postprocessing", "postprocessing_transforms", "post_transforms", "post_transform")


class PartNames(dict[str, str]):
    """Id in the configuration of each part that was found: network, preprocessing, inferer, postprocessing."""


def inference_file(root: Path) -> Path:
    """The file of the inference configuration.

    Raises
    ------
    BadMetadata
        There is none.
    """
    for name in FILE_NAMES:
        if (root / "configs" / name).is_file():
            return root / "configs" / name
    raise BadMetadata("The bundle has no configs/inference.json; restore the file from its source.")


def read_inference(root: Path) -> dict[str, Any]:
    """The inference configuration, from JSON or YAML.

    Raises
    ------
    BadMetadata
        There is none, or it is no object.
    NetworkSupportMissing
        It is YAML, and PyYAML is not installed.
    """
    path = inference_file(root)
    if path.suffix == ".json":
        return _bounded(path, read_json(path))
    try:
        import yaml
    except ImportError as error:
        raise NetworkSupportMissing(
            "The bundle's configuration is YAML; install radgate with the group 'ai'."
        ) from error
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadMetadata(f"configs/{path.name} is no YAML; correct it.", kind=type(error).__name__) from error
    if not isinstance(content, dict):
        raise BadMetadata(f"configs/{path.name} holds no mapping; correct it.")
    return _bounded(path, content)


def _bounded(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    """A configuration of a size that can be gone through: YAML can refer to itself, or to the same list many times.

    Raises
    ------
    BadMetadata
        It is too deep or too large.
    """
    waiting: list[tuple[Any, int]] = [(content, 0)]
    seen = 0
    while waiting:
        value, depth = waiting.pop()
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        seen += len(inner)
        if depth > MOST_DEPTH or seen > MOST_ENTRIES:
            raise BadMetadata(
                f"configs/{path.name} is nested too deeply, refers to itself or is too large; correct it."
            )
        waiting += [(v, depth + 1) for v in inner]
    return content


def walk(value: Any, where: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every (id, key, value) below a value; the id is as MONAI writes it, with "::" between its parts."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        here = f"{where}::{key}" if where else str(key)
        yield here, str(key), inner
        yield from walk(inner, here)


def targets(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every (id, entry) that names a class or function by `_target_`."""
    if isinstance(config, dict) and isinstance(config.get("_target_"), str):
        yield "", config
    for where, _, value in walk(config):
        if isinstance(value, dict) and isinstance(value.get("_target_"), str):
            yield where, value


def looked_up(config: dict[str, Any], name: str) -> Any:
    """The entry with an id, or None."""
    entry: Any = config
    for part in re.split("::|#", name):
        if isinstance(entry, list) and part.isdigit() and int(part) < len(entry):
            entry = entry[int(part)]
        elif isinstance(entry, dict) and part in entry:
            entry = entry[part]
        else:
            return None
    return entry


def part_names(config: dict[str, Any]) -> PartNames:
    """Ids of the parts that a run needs.

    Raises
    ------
    UnknownNetwork
        There is no network.
    """
    found = PartNames()
    for where, entry in targets(config):
        if entry["_target_"].endswith("Evaluator"):
            found["evaluator"] = where
            for part, key in (("network", "network"), ("inferer", "inferer"), ("postprocessing", "postprocessing")):
                _take(found, part, entry.get(key), f"{where}::{key}")
            transform = _transform_of(config, entry)
            if transform:
                found["preprocessing"] = transform
            break
    usual = (
        ("network", NETWORK_NAMES),
        ("preprocessing", TRANSFORM_NAMES),
        ("inferer", INFERER_NAMES),
        ("postprocessing", POST_NAMES),
    )
    for part, names in usual:
        for name in names:
            if part not in found and isinstance(config.get(name), dict | list | str):
                found[part] = name
    if "network" not in found:
        raise UnknownNetwork(
            "configs/inference defines no network that radgate could drive: it has none under a known name "
            "(`network_def`), or leaves everything to a program of the bundle's own."
        )
    return found


def _take(found: PartNames, part: str, value: Any, where: str) -> None:
    """Note a part that the evaluator refers to, or holds itself."""
    if isinstance(value, str) and (match := REFERENCE.fullmatch(value)):
        found[part] = match.group(1)
    elif isinstance(value, dict | str) and value:
        found[part] = where


def _transform_of(config: dict[str, Any], evaluator: dict[str, Any]) -> str:
    """Id of the transform of the data set behind the evaluator's data loader, or nothing."""
    entry: Any = evaluator
    where = ""
    for keys in (("val_data_loader", "data_loader"), ("dataset",)):
        value = next((entry[key] for key in keys if isinstance(entry, dict) and key in entry), None)
        match = REFERENCE.fullmatch(value) if isinstance(value, str) else None
        where = match.group(1) if match else ""
        entry = looked_up(config, where) if where else value
    transform = entry.get("transform") if isinstance(entry, dict) else None
    if isinstance(transform, str) and (match := REFERENCE.fullmatch(transform)):
        return match.group(1)
    return f"{where}::transform" if where and transform else ""
