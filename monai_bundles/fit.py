"""Why a series lies outside the range that a bundle was made for: sentences for the result, decided before it runs."""

import re

import numpy as np

from imaging.cines import Cine
from imaging.pictures import Pictures
from imaging.planes import PlaneSeries
from imaging.volume import Volume
from monai_bundles.anatomy import shows_head_and_neck
from monai_bundles.bundle import Accepts, Bundle
from monai_bundles.orientation import anatomical_axes

__all__ = ["ONLY_POINTS", "ON_PICTURES", "colour_misfit", "misfits"]

ON_PICTURES = ("labels", "channels", "scores")
"""Forms of output that need no place in the patient."""

ONLY_POINTS = "The series is a cine of one plane, and only bundles that give points work on each phase by itself."


def misfits(bundle: Bundle, series: PlaneSeries, volume: Volume | Pictures | Cine) -> tuple[str, ...]:
    """One sentence for each way in which the series is outside the bundle's declared range; empty if it fits.

    What the image shows is judged from the image, and only when everything else fits, because it costs most.
    """
    accepts = bundle.accepts
    sentences = [*_by_header(accepts, series), *_by_channel(bundle, series)]
    wrong = colour_misfit(bundle, volume)
    if wrong:
        return (*sentences, wrong)
    if isinstance(volume, Pictures):
        return (*sentences, *_of_pictures(bundle, volume))
    if isinstance(volume, Cine) and bundle.output != "points":
        return (*sentences, ONLY_POINTS)
    sentences += _by_matrix(bundle, volume)
    sentences += _of_cine(accepts, volume) if isinstance(volume, Cine) else _by_geometry(accepts, volume)
    if accepts.units and volume.unit not in accepts.units:
        sentences.append(f"The values are in {volume.unit}, the bundle needs {' or '.join(accepts.units)}.")
    if (
        isinstance(volume, Volume)
        and not sentences
        and accepts.shows == "head_neck"
        and not shows_head_and_neck(volume)
    ):
        sentences.append("The image does not show a head with at least 50 mm of neck below it; the bundle needs both.")
    return tuple(sentences)


def colour_misfit(bundle: Bundle, image: Volume | Pictures | Cine) -> str:
    """One sentence where a bundle for grey values is given colours, or the other way round; else nothing."""
    if bundle.is_for_colours == isinstance(image, Pictures):
        return ""
    if bundle.is_for_colours:
        return "The image has grey values, and the bundle is made for colour pictures."
    return "The pixels are colours, not measurements, and the bundle is made for grey values."


def _by_matrix(bundle: Bundle, image: Volume | Cine) -> list[str]:
    """A matrix that is larger than what the network takes."""
    wanted, (rows, columns) = bundle.inputs[0].size_px, image.array.shape[1:]
    if not wanted or (columns <= wanted[0] and rows <= wanted[1]):
        return []
    return [f"The planes have {rows} rows and {columns} columns, the network takes up to {wanted[1]} and {wanted[0]}."]


def _of_cine(accepts: Accepts, cine: Cine) -> list[str]:
    """What one plane in time lacks: an extent, an anatomy; its pixels have a size."""
    sentences = []
    limit, widest = accepts.max_pixel_spacing_mm, max(cine.grid.pixel_spacing_mm)
    if limit is not None and widest > limit:
        sentences.append(f"The pixels are {widest:.2f} mm, the bundle takes up to {limit:g} mm.")
    if accepts.min_planes > 1 or any(accepts.min_extent_mm) or accepts.shows:
        sentences.append("The bundle needs several planes, an extent or an anatomy, and a cine has one plane.")
    return sentences


def _of_pictures(bundle: Bundle, pictures: Pictures) -> list[str]:
    """What pictures lack: a spacing, a unit, a place for boxes and further series."""
    accepts, sentences = bundle.accepts, []
    if len(pictures.array) < accepts.min_planes:
        sentences.append(
            f"The series has {len(pictures.array)} pictures, the bundle needs at least {accepts.min_planes}."
        )
    limits = (accepts.max_slice_spacing_mm, accepts.max_pixel_spacing_mm)
    if any(limit is not None for limit in limits) or any(accepts.min_extent_mm) or accepts.units or accepts.shows:
        sentences.append("The bundle needs a spacing, a unit or an anatomy, and colour pictures have none.")
    if bundle.output not in ON_PICTURES:
        sentences.append("The bundle's output has a place in the patient, and colour pictures have none.")
    return sentences


def _by_header(accepts: Accepts, stack: PlaneSeries) -> list[str]:
    sentences = []
    if stack.modality not in accepts.modalities:
        known = " or ".join(accepts.modalities)
        sentences.append(f"The modality is {_printable(stack.modality)}, the bundle is for {known}.")
    part = str(stack.header.get("BodyPartExamined", "") or "").upper()
    if accepts.body_parts and part and not any(word.upper() in part for word in accepts.body_parts):
        sentences.append(f"The body part is not one the bundle is for ({', '.join(accepts.body_parts)}).")
    with_contrast = bool(str(stack.header.get("ContrastBolusAgent", "") or "").strip())
    if accepts.contrast == "required" and not with_contrast:
        sentences.append("The header names no contrast agent, the bundle needs an image with contrast.")
    if accepts.contrast == "forbidden" and with_contrast:
        sentences.append("The header names a contrast agent, the bundle needs an image without contrast.")
    return sentences


def _by_channel(bundle: Bundle, series: PlaneSeries) -> list[str]:
    """Of several channels the first is the route's series: what tells the others apart must hold for it too."""
    first = bundle.inputs[0].channels[0]
    description = str(series.header.get("SeriesDescription", "") or "")
    if not bundle.companions or re.search(first.description, description, re.IGNORECASE):
        return []
    return [f"The series is not described as {first.name}, the first of the images that the bundle works on."]


def _printable(modality: str) -> str:
    """A modality for a sentence: a code string of up to 16 letters, or a word that there is none."""
    return modality if modality.isascii() and modality.isalnum() and len(modality) <= 16 else "not stated"


def _by_geometry(accepts: Accepts, volume: Volume) -> list[str]:
    sentences = []
    planes = volume.array.shape[0]
    if planes < accepts.min_planes:
        sentences.append(f"The series has {planes} slices, the bundle needs at least {accepts.min_planes}.")
    between_planes, *within = volume.spacing_mm
    if accepts.max_slice_spacing_mm is not None and between_planes > accepts.max_slice_spacing_mm:
        sentences.append(
            f"The slices are {between_planes:.2f} mm apart, the bundle takes up to {accepts.max_slice_spacing_mm:g} mm."
        )
    if accepts.max_pixel_spacing_mm is not None and max(within) > accepts.max_pixel_spacing_mm:
        sentences.append(
            f"The pixels are {max(within):.2f} mm, the bundle takes up to {accepts.max_pixel_spacing_mm:g} mm."
        )
    axes = anatomical_axes(volume.grid)
    extent = np.array([volume.array.shape[axis] for axis in axes.order]) * axes.spacing_mm
    for name, got, needed in zip(("height", "depth", "width"), extent, accepts.min_extent_mm, strict=True):
        if got < needed:
            sentences.append(
                f"The field of view has a {name} of {got:.0f} mm, the bundle needs at least {needed:g} mm."
            )
    return sentences
