"""A TOML table to a frozen value: types, limits and unknown keys, each with the key it is about."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from dicom_gateway.errors import SettingsError
from dicom_gateway.settings.fields import Limits, limits_of
from dicom_gateway.settings.model import Network

__all__ = ["known_key", "read_table"]

T = TypeVar("T")

_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}


def known_key(name: str, known: list[str], key: str) -> None:
    """Nothing, where `name` is a known key.

    Raises
    ------
    SettingsError
        It is not; names the nearest one.
    """
    if name in known:
        return
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys here are {', '.join(sorted(known))}."
    raise SettingsError(f"'{name}' is no setting; {hint}", key=key)


def read_table(kind: type[T], table: Any, key: str, folder: Path) -> T:
    """A settings dataclass from the table at `key`; relative paths are taken from `folder`.

    Raises
    ------
    SettingsError
        Not a table, an unknown key, a missing one, a wrong type, or a value outside its limits.
    """
    if not isinstance(table, Mapping):
        raise SettingsError(f"This must be a table, as in [{key}].", key=key)
    items = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for name in table:
        known_key(name, list(items), f"{key}.{name}")
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, item in items.items():
        place = f"{key}.{name}"
        if name in table:
            values[name] = _value(hints[name], table[name], limits_of(item), place, folder)
        elif item.default is MISSING:
            raise SettingsError(f"'{name}' is missing; give it a value.", key=key)
        elif isinstance(item.default, Path):
            values[name] = folder / item.default
    return kind(**values)


def _value(hint: Any, value: Any, limits: Limits, key: str, folder: Path) -> Any:
    origin = get_origin(hint)
    if hint == Network:
        return _network(value, key)
    if origin in {Union, types.UnionType}:  # an optional value: TOML has no null, so a given one is the other type
        return _value(next(a for a in get_args(hint) if a is not type(None)), value, limits, key, folder)
    if origin is tuple:
        if not isinstance(value, list):
            raise SettingsError(f"This must be a list, as in [{_sample(value)}].", key=key)
        inner = get_args(hint)[0]
        return tuple(_value(inner, item, limits, f"{key}[{i}]", folder) for i, item in enumerate(value))
    if hint is Path:
        if not isinstance(value, str) or not value:
            raise SettingsError("This must be a path in quotes.", key=key)
        return folder / Path(value).expanduser()
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise SettingsError(
            f"This must be {_NAMES[hint]}, and is {_NAMES.get(type(value), 'something else')}.", key=key
        )
    return _limited(value, limits, key)


def _limited(value: Any, limits: Limits, key: str) -> Any:
    unit = f" {limits.unit}" if limits.unit else ""
    if limits.at_least is not None and not value >= limits.at_least:
        raise SettingsError(f"{value:g} is too small; it must be at least {limits.at_least:g}{unit}.", key=key)
    if limits.at_most is not None and not value <= limits.at_most:
        raise SettingsError(f"{value:g} is too large; it must be at most {limits.at_most:g}{unit}.", key=key)
    if limits.choices and value not in limits.choices:
        near = get_close_matches(str(value), limits.choices, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(limits.choices)}."
        raise SettingsError(f"'{value}' is no choice here; {hint}", key=key)
    return value


def _network(value: Any, key: str) -> Network:
    try:
        return ip_network(value if isinstance(value, str) else "", strict=False)
    except ValueError:
        raise SettingsError(
            "This must be an IP address or a network, such as '10.1.2.3' or '10.1.2.0/24'.", key=key
        ) from None


def _sample(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
