"""Carrying out a recipe: from the structures at hand to the derived ones, each with what was done to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from contouring.booleans import cropped_from_skin, intersection, subtract, union
from contouring.coarse import drawn_on_few_voxels
from contouring.cut_margins import cut_by_scan, share_beyond_image
from contouring.errors import RecipeRefused
from contouring.margins import grow, shrink
from contouring.recipes.load import Recipe, Step
from contouring.smoothing import smoothed
from contouring.volumes import volume_cc
from imaging.geometry import Grid
from imaging.volume import Region

__all__ = ["Derived", "RecipeResult", "apply_recipe"]

BODY = "Body"

TARGETS = ("CTV", "ITV", "PTV")

LEAST_HELD = 0.5
"""A grown PTV that holds a smaller share of its own target is an error of the structures, not a crop."""


@dataclass(frozen=True, eq=False)
class Derived:
    """A structure made by a recipe; `description` says how, for ROIDescription."""

    name: str
    region: Region
    description: str


@dataclass(frozen=True, eq=False)
class RecipeResult:
    """What a recipe made, in its order, and what is to be told of it.

    Parameters
    ----------
    derived
        The structures made.
    left_out
        (name, reason) of the optional steps that were left out.
    uncovered
        (name, sentence) of the targets and smoothed structures that do not hold all of what they were made from, and of
        margins that the end of the scan cuts.
    remarks
        (name, sentence) of what smoothing lost and of margins around structures that are drawn on few voxels.
    """

    derived: tuple[Derived, ...]
    left_out: tuple[tuple[str, str], ...]
    uncovered: tuple[tuple[str, str], ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()


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
        A structure that a step needs is missing or empty, nothing is left of its result, or a grown PTV holds less than
        half of its own target.
    GridMismatch
        A structure lies on another grid.
    """
    known = dict(structures)
    derived: list[Derived] = []
    left_out: list[tuple[str, str]] = []
    uncovered: list[tuple[str, str]] = []
    remarks: list[tuple[str, str]] = []
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
        region, told = _made(step, known, grid)
        if not region.voxel_count and step.optional:
            left_out.append((step.name, "nothing is left of it"))
            continue
        if not region.voxel_count:
            raise RecipeRefused(f"Nothing is left of {step.name}; look at the structures it is made of.")
        if step.name.startswith(TARGETS) or step.smooth_mm:
            uncovered += _uncovered(step, region, known, grid)
        if step.grow is not None and not (step.inside or step.skin_mm):
            uncovered += _beyond(step, known, grid)
        remarks += [(step.name, text) for text in told]
        known[step.name] = region
        derived.append(Derived(step.name, region, step.text))
    return RecipeResult(tuple(derived), tuple(left_out), tuple(uncovered), tuple(remarks))


def _beyond(step: Step, known: Mapping[str, Region], grid: Grid) -> list[tuple[str, str]]:
    """That a margin goes on where the image ends."""
    source = union(*(known[name] for name in step.sources))
    share = share_beyond_image(source, grid, step.grow) if step.grow is not None else 0.0
    return [(step.name, cut_by_scan(share))] if share else []


def _uncovered(step: Step, region: Region, known: Mapping[str, Region], grid: Grid) -> list[tuple[str, str]]:
    """What a target leaves out of the structures that it was made from.

    Raises
    ------
    RecipeRefused
        A PTV that only grows its target holds less than half of it.
    """
    source = union(*(known[name] for name in step.sources))
    lost = subtract(source, region)
    if not lost.voxel_count:
        return []
    share, of = lost.voxel_count / source.voxel_count, " + ".join(step.sources)
    told = f"{volume_cc(lost, grid):.2f} cc ({share:.1%}) of {of} are not in it"
    within = [*step.inside, *([BODY] if step.skin_mm else [])]
    outside = [name for name in within if subtract(lost, known[name]).voxel_count]
    told += f"; {', '.join(outside)} does not hold them" if outside else ""
    if step.name.startswith("PTV") and step.grow is not None and not step.minus and share > 1 - LEAST_HELD:
        raise RecipeRefused(
            f"{step.name} cannot be made: {told}. Give a {outside[0] if outside else BODY} that holds the target "
            "(in a label map structures cannot overlap: use RTSTRUCT or SEG), or a smaller distance to the skin.",
            step=step.name,
            share=share,
        )
    return [(step.name, told)]


def _made(step: Step, known: Mapping[str, Region], grid: Grid) -> tuple[Region, tuple[str, ...]]:
    """The structure of a step, and what a person should know of how it was made."""
    region, told = union(*(known[name] for name in step.sources)), list[str]()
    if step.smooth_mm:
        smooth = smoothed(region, grid, step.smooth_mm)
        region = smooth.region
        told += smooth.losses
    if (step.grow is not None or step.shrink is not None) and (few := drawn_on_few_voxels(region)):
        told.append(few)
    if step.grow is not None:
        region = grow(region, grid, step.grow)
    if step.shrink is not None:
        region = shrink(region, grid, step.shrink)
    if step.minus:
        region = subtract(region, *(known[name] for name in step.minus))
    if step.inside:
        region = intersection(region, *(known[name] for name in step.inside))
    if step.skin_mm:
        region = cropped_from_skin(region, known[BODY], grid, step.skin_mm)
    return region, tuple(told)
