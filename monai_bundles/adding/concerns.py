"""What in a bundle could run code that is not MONAI's: found from its files, told in sentences."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_bundles.adding.judging import foreign_entries
from monai_bundles.adding.pickles import UNREADABLE, foreign_globals
from monai_bundles.bundle import Bundle
from monai_bundles.config import read_inference
from monai_bundles.contents import code_of
from monai_bundles.errors import CodeNotTrusted
from monai_bundles.zoo.preparing import without_files

__all__ = ["WEIGHTS_SUFFIXES", "Concern", "concerns_of", "require_accepted", "require_harmless", "require_trust"]

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
    found = [Concern("code", item, item) for item in code_of(root)]
    config, *_ = without_files(read_inference(root))
    found += [Concern("expression", where, what) for where, what in foreign_entries(config)]
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
        raise CodeNotTrusted(
            f"The bundle could run code of its own and is not added unasked: {_first(found)}; read it, and add it with "
            "--trust if you accept that.",
            concerns=[concern.sentence for concern in found],
        )


_judged: dict[str, tuple[Concern, ...]] = {}
"""By the digest over a bundle's files, so that a library is judged once."""


def require_accepted(bundle: Bundle) -> None:
    """Refuse a bundle that is in use, could run foreign code and was not added with that accepted.

    Raises
    ------
    CodeNotTrusted
        It is one.
    """
    if bundle.trusted:
        return
    digest = bundle.algorithm.bundle_digest
    if digest not in _judged:
        # Damaged weights run nothing, and are told by their hash.
        found = tuple(c for c in concerns_of(bundle.root) if c.what != UNREADABLE)
        _judged[digest] = found
    if found := _judged[digest]:
        raise CodeNotTrusted(
            f"The bundle {bundle.name} could run code of its own, and nobody has accepted that: {_first(found)}; read "
            "it, and take it in by `radgate bundles add --trust` if you accept that.",
            concerns=[concern.sentence for concern in found],
        )


def require_harmless(name: str, config: dict[str, Any]) -> None:
    """Refuse to build a configuration, as it is given to MONAI, that would run foreign code.

    Raises
    ------
    CodeNotTrusted
        It would.
    """
    found = tuple(Concern("expression", where, what) for where, what in foreign_entries(config))
    if found:
        raise CodeNotTrusted(
            f"The bundle {name} would run code of its own and is not built: {_first(found)}; add it with --trust if "
            "you accept that.",
            concerns=[concern.sentence for concern in found],
        )


def _first(found: tuple[Concern, ...]) -> str:
    """The first concern, and how many more there are."""
    return found[0].sentence[:-1] + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
