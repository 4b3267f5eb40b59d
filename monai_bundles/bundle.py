"""A bundle, what it accepts, and what comes out of it: plain values without code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imaging.provenance import Algorithm
from imaging.volume import Region

__all__ = ["Accepts", "Bundle", "BundleOutput", "BundleStructure", "SegmentedStructure"]


@dataclass(frozen=True)
class Accepts:
    """The range of images a bundle was made for; what is None or empty is not limited.

    Parameters
    ----------
    modalities
        Values of Modality.
    units
        UCUM codes of the voxel values.
    body_parts
        Words of which one must appear in BodyPartExamined, where that attribute is filled in.
    shows
        What the image itself must show: "head_neck", or nothing.
    min_planes
        Smallest number of planes.
    max_slice_spacing_mm, max_pixel_spacing_mm
        Largest distance between planes, and between pixels within one.
    min_extent_mm
        Smallest extent along superior, posterior and left.
    """

    modalities: tuple[str, ...]
    units: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    shows: str = ""
    min_planes: int = 1
    max_slice_spacing_mm: float | None = None
    max_pixel_spacing_mm: float | None = None
    min_extent_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class BundleStructure:
    """An output of a bundle: its label (for a network with one channel each, the channel + 1) and TG-263 name."""

    label: int
    name: str


@dataclass(frozen=True)
class Bundle:
    """A registered bundle.

    Parameters
    ----------
    name, version
        As in its metadata; the name is that of its folder.
    root
        Its folder.
    algorithm
        What results name as their origin: hashes of the recorded weights and of all files of the bundle.
    accepts
        The range it was made for.
    structures
        Outputs in the order of their labels.
    required_checks
        Identifiers of the image quality checks that must not fail before it runs.
    licence
        SPDX identifier.
    needs_network
        Whether it needs torch and MONAI.
    weights_sha256
        Recorded hash of each weights file, by its path within the bundle.
    postprocessing
        Parameters of the clean-up after a network, as written in `radgate.json`.
    title
        What it does, in each language by its code.
    """

    name: str
    version: str
    root: Path
    algorithm: Algorithm
    accepts: Accepts
    structures: tuple[BundleStructure, ...]
    required_checks: tuple[str, ...]
    licence: str
    needs_network: bool
    weights_sha256: Mapping[str, str] = field(default_factory=dict)
    postprocessing: Mapping[str, Any] = field(default_factory=dict)
    title: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentedStructure:
    """A structure that a bundle found, on the grid of the volume it was given."""

    name: str
    region: Region


@dataclass(frozen=True)
class BundleOutput:
    """What a run of a bundle gave.

    Parameters
    ----------
    structures
        What was found, in the order of the bundle's structures.
    algorithm
        Origin of the result.
    device
        "cpu" or the name of the accelerator.
    elapsed_s
        Wall time of the run.
    forward_s
        Part of it that the network's own forward passes took; on an accelerator, the time to start them.
    warnings
        Sentences for the reader: what is cut by the edge of the scan, what was looked for and is not there.
    absent
        Names of the declared structures that were not found.
    """

    structures: tuple[SegmentedStructure, ...]
    algorithm: Algorithm
    device: str
    elapsed_s: float
    forward_s: float = 0.0
    warnings: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
