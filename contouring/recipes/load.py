"""Reading recipes of derived structures from TOML: checked when read, with the step and the key that is wrong."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from contouring.errors import RecipeRefused, UnknownStructure
from contouring.margins import Margin
from contouring.names import lookup
from contouring.smoothing import LARGEST_WIDTH_MM

__all__ = ["Recipe", "Step", "load_recipe", "shipped_recipes"]

SIDES = ("left", "right", "anterior", "posterior", "superior", "inferior")
RECIPE_KEYS = {"site", "title", "title_zh", "status", "note", "step"}
STEP_KEYS = {"name", "from", "grow_mm", "shrink_mm", "minus", "inside", "skin_mm", "smooth_mm", "optional", "source"}


@dataclass(frozen=True)
class Step:
    """How one structure is made: unite, smooth, grow, shrink, subtract, keep inside, keep off the skin; in this order.

    Parameters
    ----------
    name
        TG-263 name of the result.
    sources
        Structures that are united first; of the patient or of an earlier step.
    smooth_mm
        Width of smoothing at constant volume; 0 for none.
    grow, shrink
        Margins, or None.
    minus
        Structures to subtract.
    inside
        Structures within all of which the result stays.
    skin_mm
        Distance to keep from the surface of `Body`.
    optional
        Whether the step is left out, and reported, where a source is missing.
    source
        Where the numbers are from.
    """

    name: str
    sources: tuple[str, ...]
    grow: Margin | None = None
    shrink: Margin | None = None
    minus: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    skin_mm: float = 0.0
    smooth_mm: float = 0.0
    optional: bool = False
    source: str = ""

    @property
    def text(self) -> str:
        """The step in one line, as it goes into the structure's description."""
        parts = [" + ".join(self.sources)]
        parts += [f"smoothed by {self.smooth_mm:g} mm"] if self.smooth_mm else []
        parts += [f"{sign}{_margin_text(m)}" for sign, m in (("+", self.grow), ("-", self.shrink)) if m is not None]
        parts += [f"minus {name}" for name in self.minus]
        parts += [f"inside {name}" for name in self.inside]
        parts += [f"{self.skin_mm:g} mm off the skin"] if self.skin_mm else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Recipe:
    """Steps for one site, in their order.

    Parameters
    ----------
    site
        Short name, such as "nasopharynx".
    title, title_zh
        For people.
    status
        "template" until a physician of the site has set the numbers, then "approved".
    note
        What to know before use.
    steps
        The structures to make.
    """

    site: str
    title: str
    title_zh: str
    status: str
    note: str
    steps: tuple[Step, ...]


def load_recipe(path: Path) -> Recipe:
    """A recipe from a TOML file.

    Raises
    ------
    RecipeRefused
        The file is no TOML, or a step has an unknown key, a wrong value or an unknown structure name.
    FileNotFoundError
        There is no such file.
    """
    return _parsed(path.read_text(encoding="utf-8"))


@cache
def shipped_recipes() -> Mapping[str, Recipe]:
    """The templates that come with radgate, by site; each site sets its own numbers before use."""
    folder = resources.files("contouring.recipes")
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    recipes = [_parsed(entry.read_text(encoding="utf-8")) for entry in sorted(files, key=lambda e: e.name)]
    return {recipe.site: recipe for recipe in recipes}


def _parsed(text: str) -> Recipe:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise RecipeRefused(f"The recipe is no valid TOML: {fault}.") from fault
    _check_keys(content, RECIPE_KEYS, "The recipe")
    steps = content.get("step")
    if not isinstance(steps, list) or not steps:
        raise RecipeRefused("The recipe has no [[step]]; give at least one.")
    return Recipe(
        site=str(content.get("site", "")),
        title=str(content.get("title", "")),
        title_zh=str(content.get("title_zh", "")),
        status=str(content.get("status", "template")),
        note=str(content.get("note", "")),
        steps=tuple(_step(item, number) for number, item in enumerate(steps, start=1)),
    )


def _step(item: dict[str, Any], number: int) -> Step:
    where = f"Step {number} of the recipe"
    _check_keys(item, STEP_KEYS, where)
    name = item.get("name")
    if not isinstance(name, str) or "from" not in item:
        raise RecipeRefused(f"{where} needs a name and what it is made from.", step=number)
    names = [name, *_names(item, "from", where), *_names(item, "minus", where), *_names(item, "inside", where)]
    for each in names:
        try:
            lookup(each)
        except UnknownStructure as fault:
            raise RecipeRefused(f"{where}: {each!r} is no TG-263 name. {fault.message}", step=number) from fault
    lengths = {}
    for key, largest in (("skin_mm", 50), ("smooth_mm", LARGEST_WIDTH_MM)):
        length = item.get(key, 0)
        if isinstance(length, bool) or not isinstance(length, (int, float)) or not 0 <= length <= largest:
            raise RecipeRefused(f"{where}: {key} lies within 0 and {largest:g}.", step=number)
        lengths[key] = float(length)
    return Step(
        name=name,
        sources=_names(item, "from", where),
        grow=_margin(item.get("grow_mm"), where),
        shrink=_margin(item.get("shrink_mm"), where),
        minus=_names(item, "minus", where),
        inside=_names(item, "inside", where),
        skin_mm=lengths["skin_mm"],
        smooth_mm=lengths["smooth_mm"],
        optional=bool(item.get("optional", False)),
        source=str(item.get("source", "")),
    )


def _check_keys(item: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(item) - known)
    if unknown:
        raise RecipeRefused(f"{where} has the unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}.")


def _names(item: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = item.get(key, [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names) or (key == "from" and not names):
        raise RecipeRefused(f"{where}: {key} is a name or a list of names.")
    return tuple(names)


def _margin(value: Any, where: str) -> Margin | None:
    if value is None:
        return None
    try:
        if isinstance(value, dict):
            _check_keys(value, set(SIDES), f"{where}: a margin")
            return Margin(**{side: float(value.get(side, 0.0)) for side in SIDES})
        return Margin.uniform(float(value))
    except (TypeError, ValueError) as fault:
        raise RecipeRefused(f"{where}: a margin is a number of mm from 0 to 100, or one for each side.") from fault


def _margin_text(margin: Margin) -> str:
    values = {side: getattr(margin, side) for side in SIDES}
    if len(set(values.values())) == 1:
        return f"{margin.left:g} mm"
    return " ".join(f"{side} {mm:g}" for side, mm in values.items()) + " mm"
