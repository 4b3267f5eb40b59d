"""Applies the list of repairs (`repairs.json`) to a configuration in memory, and says which ones it applied."""

import importlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from monai_bundles.config import targets

__all__ = ["Repair", "all_repairs", "own_code", "repair_config", "repair_modules"]

Repair = dict[str, Any]
"""One entry of the list: `id`, `kind`, what it looks for, `to`, and the release that made it necessary."""


@lru_cache(maxsize=1)
def all_repairs() -> tuple[Repair, ...]:
    """The list."""
    content = json.loads(Path(__file__).with_name("repairs.json").read_text(encoding="utf-8"))
    return tuple(content["repairs"])


def repair_config(config: dict[str, Any]) -> tuple[str, ...]:
    """Change a configuration in place so that today's libraries take it; the ids of the repairs that did something."""
    applied = []
    for repair in all_repairs():
        if repair["kind"] == "replace_text":
            done = _replace_text(config, repair["text"], repair["to"])
        else:
            done = sum(_repair_entry(entry, repair) for _, entry in list(targets(config))) > 0
        if done:
            applied.append(repair["id"])
    return tuple(applied)


def own_code(root: Path) -> str:
    """The text of the Python files that a bundle brings."""
    return "\n".join(p.read_text(encoding="utf-8", errors="replace") for p in sorted(root.rglob("*.py")))


def repair_modules(code: str) -> tuple[str, ...]:
    """Give libraries back the names that a bundle's own code still uses; only for a bundle's own process.

    Parameters
    ----------
    code
        Text of that code.
    """
    applied = []
    for repair in all_repairs():
        if repair["kind"] == "module_attribute" and f".{repair['attribute']}" in code:
            module = importlib.import_module(repair["module"])
            if not hasattr(module, repair["attribute"]):
                setattr(module, repair["attribute"], getattr(module, repair["to"]))
            applied.append(repair["id"])
    return tuple(applied)


def _repair_entry(entry: dict[str, Any], repair: Repair) -> bool:
    """Apply a repair to one component; whether it changed anything."""
    kind, name = repair["kind"], entry["_target_"].rpartition(".")[2]
    argument = repair.get("argument", "")
    if kind == "set_argument":
        if entry.get(argument) != repair["when"] or not isinstance(entry.get(argument), bool):
            return False
        entry[argument] = repair["to"]
        return True
    if name != repair.get("target"):
        return False
    if kind == "set_value":
        if argument in entry and entry[argument] == repair["to"]:
            return False
        entry[argument] = repair["to"]
        return True
    if kind == "rename_target":
        entry["_target_"] = repair["to"]
        return True
    if argument not in entry:
        return False
    value = entry.pop(argument)
    if kind == "rename_argument":
        entry.setdefault(repair["to"], value)
    return True


def _replace_text(value: Any, old: str, new: str) -> bool:
    """Replace a piece of every expression below a value; whether there was one."""
    done = False
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        if isinstance(inner, str) and inner.startswith("$") and old in inner:
            value[key] = inner.replace(old, new)
            done = True
        elif _replace_text(inner, old, new):
            done = True
    return done
