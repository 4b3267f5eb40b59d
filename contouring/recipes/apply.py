"""Carrying out a recipe: from the structures at hand to the derived ones, each with what was done to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from contouring.booleans import cropped_from_skin, intersection, subtract, union
from contouring.errors import RecipeRefused
from contouring.margins import grow, shrink
from contouring.recipes.load import Recipe, Step
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Derived", "RecipeResult", "apply_recipe"]

BODY = "Body"


@dataclass(frozen=True, eq=False)
class Derived:
    """A structure made by a recipe; `description` says how, for ROIDescription."""

    name: str
    region: Region
    description: str


@dataclass(frozen=True, eq=False)
class RecipeResult:
    """What a recipe made, in its order, and the optional steps that were left out, each with the reason."""

    derived: tuple[Derived, ...]
    left_out: tuple[tuple[str, str], ...]


def apply_recipe(recipe: Recipe, structures: Mapping[str, Region], grid: Grid) -> RecipeResult:
    """The derived structures of a recipe.

    Parameters
    ----------
    recipe
        Steps; a step may use what earlier ones made.
    structures
        The patient's structures by TG-263 name, on the grid.
    grid
        Their grid.

    Raises
    ------
    RecipeRefused
        A structure that a step needs is missing or empty, or nothing is left of its result.
    GridMismatch
        A structure lies on another grid.
    """
    known = dict(structures)
    derived: list[Derived] = []
    left_out: list[tuple[str, str]] = []
    for step in recipe.steps:
        needed = [*step.sources, *step.minus, *step.inside, *([BODY] if step.skin_mm else [])]
        missing = [name for name in needed if name not in known or not known[name].voxel_count]
        if missing and step.optional:
            left_out.append((step.name, f"{', '.join(missing)} missing or empty"))
            continue
        if missing:
            raise RecipeRefused(
                f"{step.name} needs {', '.join(missing)}, which the patient has not or only empty; "
                "draw it, map its name, or make the step optional.",
                step=step.name,
                missing=missing,
            )
        region = _made(step, known, grid)
        if not region.voxel_count and step.optional:
            left_out.append((step.name, "nothing is left of it"))
            continue
        if not region.voxel_count:
            raise RecipeRefused(f"Nothing is left of {step.name}; look at the structures it is made of.")
        known[step.name] = region
        derived.append(Derived(step.name, region, step.text))
    return RecipeResult(tuple(derived), tuple(left_out))


def _made(step: Step, known: Mapping[str, Region], grid: Grid) -> Region:
    region = union(*(known[name] for name in step.sources))
    if step.grow is not None:
        region = grow(region, grid, step.grow)
    if step.shrink is not None:
        region = shrink(region, grid, step.shrink)
    if step.minus:
        region = subtract(region, *(known[name] for name in step.minus))
    if step.inside:
        region = intersection(region, *(known[name] for name in step.inside))
    return cropped_from_skin(region, known[BODY], grid, step.skin_mm) if step.skin_mm else region
