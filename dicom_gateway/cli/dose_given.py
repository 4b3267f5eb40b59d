"""What `radgate dose` is given, as values: numbers, limits, names, images; each slip is a mistake of the command."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from contouring.dose.limits import LimitSet
    from contouring.names import NameTable
    from imaging.series import Stack

Number = TypeVar("Number", int, float)

__all__ = [
    "doses",
    "language",
    "limit_sets",
    "names",
    "objects",
    "ratios",
    "reference_of",
    "stacks_of",
    "whole_numbers",
]


def whole_numbers(given: str, count: int) -> list[int | None]:
    """`--fractions`: one number for each dose; all None where it is left out.

    Raises
    ------
    typer.BadParameter
        They are not that many whole numbers from 1 to 200.
    """
    from dicom_gateway.dose.numbers import MOST_FRACTIONS, fractions_of

    hint = f"give {count} whole numbers from 1 to {MOST_FRACTIONS} with commas between them"
    return _numbers(given, count, fractions_of, hint, "--fractions")


def doses(given: str, count: int) -> list[float | None]:
    """`--prescription`: one dose in Gy for each plan; all None where it is left out.

    Raises
    ------
    typer.BadParameter
        They are not that many doses that plans prescribe.
    """
    from dicom_gateway.dose.numbers import LARGEST_PRESCRIPTION_GY, LEAST_PRESCRIPTION_GY, prescription_gy_of

    reach = f"from {LEAST_PRESCRIPTION_GY:g} to {LARGEST_PRESCRIPTION_GY:g} Gy"
    hint = f"give {count} doses {reach} with commas between them, as 70,30.5"
    return _numbers(given, count, prescription_gy_of, hint, "--prescription")


def _numbers(given: str, count: int, read: Callable[[str], Number], hint: str, option: str) -> list[Number | None]:
    """One number for each dose; all None where the option is left out."""
    from dicom_gateway.errors import DoseChoiceRefused

    if not given:
        return [None] * count
    parts = given.split(",")
    if len(parts) != count:
        raise typer.BadParameter(hint, param_hint=option)
    try:
        return [read(p) for p in parts]
    except DoseChoiceRefused:
        raise typer.BadParameter(hint, param_hint=option) from None


def limit_sets(site: str, files: Sequence[Path] | None, config: Path | None) -> tuple["LimitSet", ...]:
    """The sets of the stated site; the clinic's files, given here or in the settings, come before the shipped ones."""
    from contouring.dose.limits import limits_for, load_limits
    from dicom_gateway.settings import load_settings

    paths = [*(files or ()), *(load_settings(config).dose.limits if config is not None else ())]
    own = [load_limits(path) for path in paths]
    return limits_for(site, own) if site or own else ()


def names(config: Path | None) -> "NameTable":
    """Names of structures, with the aliases of the settings file."""
    from contouring.names import load_aliases
    from dicom_gateway.settings import load_settings

    return load_aliases(None if config is None else load_settings(config).contour.aliases)


def language(config: Path | None) -> Literal["zh", "en"]:
    """Language of the structured report: that of the settings file."""
    from dicom_gateway.settings import load_settings

    return "en" if config is not None and load_settings(config).report.language == "en" else "zh"


def objects(registrations: Sequence[Path] | None, register: str | None) -> tuple[Path, ...]:
    """`--registration`: the objects, each of which is used.

    Raises
    ------
    typer.BadParameter
        One is given beside `--register`: nobody says which of them counts.
    """
    if registrations and register:
        raise typer.BadParameter("give a registration or --register, not both", param_hint="--registration")
    return tuple(registrations or ())


def ratios(given: Sequence[str] | None) -> dict[str, float]:
    """`--alpha-beta`: Gy by name of the structure.

    Raises
    ------
    typer.BadParameter
        One is no name with a number above 0 and up to 100, or a name stands twice.
    """
    from dicom_gateway.dose.numbers import LARGEST_RATIO_GY, ratio_gy_of
    from dicom_gateway.errors import DoseChoiceRefused

    option = "--alpha-beta"
    hint = f"write it as SpinalCord=2, in Gy above 0 and up to {LARGEST_RATIO_GY:g}"
    found: dict[str, float] = {}
    for pair in given or ():
        name, _, value = (part.strip() for part in pair.rpartition("="))
        if not name:
            raise typer.BadParameter(hint, param_hint=option)
        if name in found:
            raise typer.BadParameter(f"{name} stands twice; give one value for each structure", param_hint=option)
        try:
            found[name] = ratio_gy_of(value)
        except DoseChoiceRefused:
            raise typer.BadParameter(hint, param_hint=option) from None
    return found


def stacks_of(folder: Path) -> tuple["Stack", ...]:
    """The image series below a folder, and below the folders that links in it point to.

    Raises
    ------
    NotAnImageStack
        There is none.
    """
    from imaging.errors import NotAnImageStack
    from imaging.series import scan

    stacks = scan([folder, *_linked(folder)]).stacks
    if not stacks:
        raise NotAnImageStack("The folder holds no image series; give the folder of the reference image.")
    return stacks


def _linked(folder: Path) -> list[Path]:
    """Folders elsewhere that links below a folder point to, each once; a link to what holds the folder is a ring."""
    own, found, waiting = folder.resolve(), list[Path](), [folder]
    while waiting:
        for place, folders, _ in os.walk(waiting.pop()):
            for link in (Path(place, name) for name in sorted(folders)):
                target = link.resolve() if link.is_symlink() else own
                known = [own, *found]
                if not any(target.is_relative_to(k) or k.is_relative_to(target) for k in known):
                    found.append(target)
                    waiting.append(target)
    return found


def reference_of(stacks: Sequence["Stack"], rtstruct: Path) -> "Stack":
    """The image that the structures were drawn on: the series they name, else the only one of their frame.

    Raises
    ------
    NotAnImageStack
        None of the series fits, or several do.
    """
    from contouring.rtstruct_parse import parse_structure_set
    from imaging.errors import NotAnImageStack

    parsed = parse_structure_set(rtstruct)
    named = [s for s in stacks if s.series_instance_uid in parsed.referenced_series_uids]
    frames = {r.frame_of_reference_uid for r in parsed.rois}
    chosen = named or [s for s in stacks if s.frame_of_reference_uid in frames]
    if len(chosen) != 1:
        raise NotAnImageStack(
            f"{len(chosen)} of the {len(stacks)} series fit the structures; give the folder of the image that they "
            "were drawn on.",
            stacks=len(stacks),
        )
    return chosen[0]
