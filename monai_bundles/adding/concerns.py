"""What in a bundle could run code that is not MONAI's: found from its files, told in sentences."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_bundles.adding.expressions import foreign_expression, foreign_target
from monai_bundles.adding.pickles import foreign_globals
from monai_bundles.config import inference_file, read_inference, walk
from monai_bundles.errors import CodeNotTrusted

__all__ = ["WEIGHTS_SUFFIXES", "Concern", "concerns_of", "require_trust"]

WEIGHTS_SUFFIXES = (".pt", ".pth", ".ckpt", ".pkl", ".bin", ".tar")
"""Files that torch unpickles. TorchScript (.ts) carries its own interpreter and is not loaded."""


@dataclass(frozen=True)
class Concern:
    """One thing that could run foreign code: "code", "expression" or "pickle", where, and what it is."""

    kind: str
    where: str
    what: str

    @property
    def sentence(self) -> str:
        """For a person."""
        if self.kind == "code":
            return f"It brings Python code of its own ({self.what})."
        if self.kind == "pickle":
            return f"{self.where} holds more than weights: unpickling it would run {self.what}."
        return f"The entry {self.where} of its configuration would run {self.what}."


def concerns_of(root: Path) -> tuple[Concern, ...]:
    """Everything in the bundle that could run foreign code, in the order of files, entries and weights.

    Raises
    ------
    BadMetadata
        Its inference configuration is missing or unreadable.
    """
    found = [Concern("code", item, item) for item in _own_code(root)]
    config = read_inference(root)
    name = inference_file(root).name
    for where, key, value in walk(config):
        if isinstance(value, str) and value.startswith("$"):
            what = foreign_expression(value)
            if what:
                found.append(Concern("expression", where, what))
        elif key == "_target_" and isinstance(value, str):
            found += _concern_of_target(where, value)
    found += [Concern("expression", name, what) for what in _macros_outside(config)]
    for path in sorted(root.rglob("*")):
        if path.suffix in WEIGHTS_SUFFIXES and path.is_file():
            names = foreign_globals(path)
            if names:
                what = ", ".join(n.replace(" ", ".") for n in names[:3])
                found.append(Concern("pickle", path.relative_to(root).as_posix(), what))
    return tuple(found)


def require_trust(root: Path, *, trusted: bool) -> None:
    """Refuse a bundle that could run foreign code, unless a person has said that it may.

    Raises
    ------
    CodeNotTrusted
        It could, and nobody has.
    """
    found = concerns_of(root)
    if found and not trusted:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise CodeNotTrusted(
            f"The bundle could run code of its own and is not added unasked: {found[0].sentence[:-1]}{more}; read it, "
            "and add it with --trust if you accept that.",
            concerns=[concern.sentence for concern in found],
        )


def _own_code(root: Path) -> list[str]:
    """Packages and modules of the bundle, the top folder of each once."""
    tops = {p.relative_to(root).parts[0] for p in root.rglob("*.py") if "__pycache__" not in p.parts}
    return sorted(tops)


def _concern_of_target(where: str, target: str) -> list[Concern]:
    """A target outside MONAI, torch and numpy; this package's own image processing is no foreign code."""
    if target.startswith(("monai_bundles.body.", "monai_bundles.pet.")):
        return []
    what = foreign_target(target)
    return [Concern("expression", where, what)] if what else []


def _macros_outside(config: dict[str, Any]) -> list[str]:
    """Macros (`%file#id`) that read a file outside the bundle."""
    texts = [v for _, _, v in walk(config) if isinstance(v, str) and v.startswith("%")]
    return [f"the content of {t[1:]}" for t in texts if t[1:].startswith(("/", "..")) or ":/" in t]
