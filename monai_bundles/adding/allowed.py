"""The names that a bundle may use unasked (`allowed_names.json`), in all the ways in which they can be written."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["NETWORKS", "Allowed", "allowed"]

NETWORKS = "monai.networks.nets."
"""Networks can fetch weights, so that they are only built with named arguments, which can be judged."""


@dataclass(frozen=True)
class Allowed:
    """Names that need no trust.

    Parameters
    ----------
    full
        Dotted names, as Python finds them.
    short
        Names without a module, as MONAI finds them in its own modules.
    networks
        Those of them that build networks.
    modules
        Modules that hold one of them, and the packages above those.
    importable
        Modules whose import alone is harmless.
    builtins
        Python's own names.
    members
        Attributes and methods of values.
    """

    full: frozenset[str]
    short: frozenset[str]
    networks: frozenset[str]
    modules: frozenset[str]
    importable: frozenset[str]
    builtins: frozenset[str]
    members: frozenset[str]


@lru_cache(maxsize=1)
def allowed() -> Allowed:
    """The list."""
    content = json.loads(Path(__file__).with_name("allowed_names.json").read_text(encoding="utf-8"))
    full: set[str] = set()
    short: set[str] = set()
    networks: set[str] = set()
    modules: set[str] = set()
    for module, lines in content["exact"].items():
        full |= {f"{module}.{name}" for name in _words(lines)}
        modules |= _packages(module)
    for module, lines in content["monai"].items():
        names = {spelled for name in _words(lines) for spelled in _spellings(module, name)}
        short |= names
        networks |= names if module.startswith(NETWORKS) else set()
        modules |= _packages(module)
        full |= {f"{package}.{name}" for package in _packages(module) - {"monai"} for name in names}
    return Allowed(
        frozenset(full),
        frozenset(short),
        frozenset(networks),
        frozenset(modules),
        *(frozenset(_words(content[key])) for key in ("importable", "builtins", "members")),
    )


def _words(lines: list[str]) -> list[str]:
    return [word for line in lines for word in line.split()]


def _spellings(module: str, name: str) -> tuple[str, ...]:
    """A dictionary transform has three names."""
    if name.endswith("d") and (module.endswith(".dictionary") or module.startswith("monai.apps.")):
        return name, f"{name[:-1]}D", f"{name[:-1]}Dict"
    return (name,)


def _packages(module: str) -> set[str]:
    """A module and the packages above it."""
    parts = module.split(".")
    return {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
