"""What a configuration as a whole would call or evaluate that is not known to be harmless, as MONAI would read it."""

from collections.abc import Iterator
from typing import Any

from monai_bundles.adding.allowed import allowed
from monai_bundles.adding.expressions import (
    USUAL_NAMES,
    fetches,
    foreign_argument,
    foreign_expression,
    import_in,
    named_by,
    refers_to_import,
)
from monai_bundles.adding.replacing import expanded, is_reference
from monai_bundles.errors import FileMacro

__all__ = ["foreign_entries", "foreign_target"]

MODES = ("default", "callable")
"""Values of `_mode_`; the third one starts a debugger."""


def foreign_target(target: object) -> str:
    """What is wrong with a `_target_`; empty where it is a name on the list, written out.

    Examples
    --------
    >>> foreign_target("monai.networks.nets.UNet")
    ''
    >>> foreign_target("@what")
    'the target @what'
    """
    known = isinstance(target, str) and (target in allowed().full or target in allowed().short)
    if known:
        return ""
    if not isinstance(target, str):
        return "a target that is no name"
    return f"the {'unknown ' if target.isidentifier() else ''}target {target}"


def foreign_entries(config: dict[str, Any]) -> list[tuple[str, str]]:
    """Every (id, what) of a configuration that is not known to be harmless; empty where it may run unasked.

    Parameters
    ----------
    config
        As it is given to MONAI's parser: repaired, and without the steps that radgate leaves out.
    """
    try:
        config = expanded(config)
        entries = list(_entries(config))
    except FileMacro as macro:
        return [(str(macro.fields["where"]), f"the content of {macro.fields['text']}")]
    except RecursionError:
        return [("", "entries that hold themselves")]
    names, imports, found = _imported(entries)
    for where, value, inside in entries:
        if isinstance(value, dict) and "_target_" in value:
            found += [(f"{where}::{key}" if where else key, said) for key, said in _foreign_component(value)]
        elif where in imports:
            found += [(where, "an import among the arguments of a component")] if inside else []
        elif isinstance(value, str) and (said := _foreign_text(value, names, imports)):
            found.append((where, said))
    return found


def _entries(value: Any, where: str = "", *, inside: bool = False) -> Iterator[tuple[str, Any, bool]]:
    """Every (id, value, whether it lies inside a component), with MONAI's ids."""
    yield where, value, inside
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inside = inside or (isinstance(value, dict) and "_target_" in value)
    for key, inner in items:
        yield from _entries(inner, f"{where}::{key}" if where else str(key), inside=inside)


def _imported(entries: list[tuple[str, Any, bool]]) -> tuple[dict[str, str], set[str], list[tuple[str, str]]]:
    """What names stand for in every expression of a configuration, ids of its imports, and what is wrong with them."""
    bound: dict[str, str] = {}
    imports: set[str] = set()
    found: list[tuple[str, str]] = []
    for where, value, _ in entries:
        statement = import_in(value) if isinstance(value, str) and value.startswith("$") else None
        if statement is None:
            continue
        imports.add(where)
        name, full, said = named_by(statement)
        if said or bound.setdefault(name, full) != full:
            found.append((where, said or f"the import of {full} as {name}, which is {bound[name]} elsewhere"))
    return {**USUAL_NAMES, **bound}, imports, found


def _foreign_component(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every (key, what) of a component; what its arguments evaluate is judged by itself."""
    if said := foreign_target(entry["_target_"]):
        yield "_target_", said
    elif fetches(entry["_target_"], entry):
        yield "_target_", f"the weights that {entry['_target_']} fetches without `pretrained: false`"
    mode = entry.get("_mode_", "default")
    if mode not in MODES or (mode != "default" and str(entry["_target_"]).rpartition(".")[2] in allowed().networks):
        # What is only named here could be built elsewhere, with arguments that nobody can judge.
        yield "_mode_", f"the mode {mode}"
    for key, value in entry.items():
        if said := foreign_argument(str(key), value):
            yield str(key), said


def _foreign_text(text: str, names: dict[str, str], imports: set[str]) -> str:
    """What is wrong with an expression or a reference; nothing with any other text."""
    if text.startswith("$"):
        return foreign_expression(text, names, imports)
    identifier = is_reference(text)
    if identifier is not None and refers_to_import(identifier, imports):
        return f"the import that {text} refers to"
    return ""
