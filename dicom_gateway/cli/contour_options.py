"""The arguments and options that the commands of `radgate contour` share, and what they refuse at once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = [
    "Aliases",
    "AsJson",
    "FillGaps",
    "Kind",
    "Labels",
    "OffGrid",
    "Out",
    "Overlap",
    "Picture",
    "ProfileName",
    "RenamedOut",
    "RoiNames",
    "Series",
    "SmallestPart",
    "StrictNames",
    "StructureFile",
]

Kind = Literal["binary", "labelmap", "fractional"]

FORMS = (".dcm", ".nii", ".nii.gz")


def _known_form(out: Path | None) -> Path | None:
    """The file to write, where its folder is there and its ending says a form."""
    return _writable(out, FORMS)


def _writable(out: Path | None, endings: tuple[str, ...]) -> Path | None:
    if out is not None and not out.name.endswith(endings):
        raise typer.BadParameter(f"the file's ending says its form; use one of {', '.join(endings)}")
    if out is not None and not out.parent.is_dir():
        raise typer.BadParameter("its folder is not there; make it first")
    return out


def _known_profile(name: str) -> str:
    """A name of an export profile."""
    from contouring.profiles import profile_names

    if name not in profile_names():
        raise typer.BadParameter(f"there is no profile {name!r}; there are {', '.join(profile_names())}")
    return name


StructureFile = Annotated[Path, typer.Argument(help="RTSTRUCT, DICOM SEG or NIfTI label map.", exists=True)]
Series = Annotated[Path, typer.Option(help="Folder of the image series it belongs to.", exists=True)]
Out = Annotated[
    Path, typer.Option(help="File to write; its ending says the form (.dcm, .nii.gz).", callback=_known_form)
]
RenamedOut = Annotated[
    Path | None,
    typer.Option(help="File to write with the new names (.dcm).", callback=lambda out: _writable(out, (".dcm",))),
]
Picture = Annotated[
    Path | None,
    typer.Option(help="PNG of where the worst structure differs most.", callback=lambda out: _writable(out, (".png",))),
]
ProfileName = Annotated[
    str,
    typer.Option(help="Planning system: eclipse, generic, mim, monaco, pinnacle, raystation.", callback=_known_profile),
]
OffGrid = Annotated[
    Literal["error", "nearest", "resample"],
    typer.Option(help="Contours between slices: refuse, move to the nearest slice, or interpolate shapes."),
]
FillGaps = Annotated[bool, typer.Option("--fill-gaps", help="Fill slices without a contour inside a structure.")]
Overlap = Annotated[
    Literal["error", "union", "xor"], typer.Option(help="Contours that cross in one slice: refuse, unite or XOR.")
]
StrictNames = Annotated[bool, typer.Option("--strict-names", help="Refuse names that are neither TG-263 nor aliased.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RoiNames = Annotated[list[str] | None, typer.Option("--roi", help="Name of a structure; may be repeated.")]
Aliases = Annotated[Path | None, typer.Option(help="TOML file of the site's names: foreign = 'TG-263'.", exists=True)]
SmallestPart = Annotated[
    float, typer.Option("--drop-parts-below-cc", help="Leave out separate parts smaller than this; counted.", min=0.0)
]
Labels = Annotated[list[str] | None, typer.Option("--label", help="Name of a NIfTI label, as 1=Parotid_L.")]
