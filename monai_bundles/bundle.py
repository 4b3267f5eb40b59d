"""A bundle, what it accepts, and what comes out of it: plain values without code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Optional

from imaging.provenance import Algorithm
from imaging.volume import Region

__all__ = [
    "Accepts",
    "Box",
    "Bundle",
    "BundleInput",
    "BundleOutput",
    "BundleStructure",
    "Channel",
    "Finding",
    "Landmark",
    "OutputForm",
    "QualityGate",
    "Score",
    "SegmentedStructure",
]

OutputForm = Literal["structures", "labels", "channels", "boxes", "scores", "points", "findings"]
"""What the output is: sigmoid channels cleaned up here, a label map, masks, boxes with scores, class scores, points on
each plane; findings are what image processing of this package found and measured."""


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
    contrast
        "required" or "forbidden", judged by ContrastBolusAgent; or nothing.
    """

    modalities: tuple[str, ...]
    units: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    shows: str = ""
    min_planes: int = 1
    max_slice_spacing_mm: float | None = None
    max_pixel_spacing_mm: float | None = None
    min_extent_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    contrast: str = ""


@dataclass(frozen=True)
class QualityGate:
    """What a bundle asks of one image quality check before it runs.

    Parameters
    ----------
    check
        Identifier of the check.
    min_grade
        "PASS" or "WARN": the worst grade that is good enough.
    on_fail
        What becomes of the run otherwise: "refuse", "hold" (a person decides) or "run_with_warning".
    not_evaluable
        The same where the check could not be judged.
    """

    check: str
    min_grade: str = "WARN"
    on_fail: str = "refuse"
    not_evaluable: str = "run_with_warning"

    MIN_GRADES: ClassVar[tuple[str, ...]] = ("PASS", "WARN")
    WORDS: ClassVar[tuple[str, ...]] = ("refuse", "hold", "run_with_warning")


@dataclass(frozen=True)
class BundleStructure:
    """An output of a bundle: its label (for a network with one channel each, the channel + 1) and TG-263 name.

    Parameters
    ----------
    snomed, interpreted_type
        Code and DICOM's RT ROI Interpreted Type, where the bundle says them; else they follow from the name.
    """

    label: int
    name: str
    snomed: str = ""
    interpreted_type: str = ""


@dataclass(frozen=True)
class Channel:
    """One image among a bundle's inputs, and how to find it in a study.

    Parameters
    ----------
    name
        What it is called in messages: "CT", "T1".
    modality
        Value of Modality; empty takes the modality of the route's series.
    description
        Regular expression that SeriesDescription must match, without regard to case; empty takes any.
    unit
        UCUM code that its values must be in; empty takes any.
    optional
        Whether the bundle runs without it.
    """

    name: str
    modality: str = ""
    description: str = ""
    unit: str = ""
    optional: bool = False


@dataclass(frozen=True)
class BundleInput:
    """One entry of the dictionary that a bundle's preprocessing works on.

    Parameters
    ----------
    key
        Its key.
    channels
        Images that become its channels, in order; the first image of the first input is the series of the route.
    zeros
        Instead of an image: zeros on the same grid, for a mask or clicks that nobody gave.
    repeat
        How often the channels follow one another: 3 gives a grey image to a network that was made for colours.
    colours
        The one channel is a colour picture, which gives three: red, green and blue.
    phases
        All planes, or all phases of a cine, are one file, with axes X, Y, 1 and T as NIfTI has them.
    size_px
        Size (along a row, along a column) of each plane that the network takes; a smaller one is filled up with zeros
        about its middle. Empty where the network takes any.
    rows_first
        A picture comes with its rows along the first axis, as arrays of pictures have them; else with its columns.
    """

    key: str
    channels: tuple[Channel, ...] = ()
    zeros: bool = False
    repeat: int = 1
    colours: bool = False
    phases: bool = False
    size_px: tuple[int, ...] = ()
    rows_first: bool = False


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
        Identifiers of the image quality checks that it asks for before it runs.
    gates
        What it asks of each of them.
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
    output
        What the network's output is.
    inputs
        Entries of the dictionary that preprocessing works on; the first channel of the first is the route's series.
    trusted
        Whether a person has accepted that it runs code of its own; such a bundle has a process of its own.
    shadow
        Another version that runs beside this one, is recorded and delivers nothing.
    broken_shadow
        Version of a shadow that cannot run, and why; nothing where it can, or where there is none.
    empty_windows
        Whether windows of a CT that hold nothing of the body are left out and count as background ("skip"), or are
        computed like all others.
    left_out
        For a network that was cross-validated: which patients each further weights file has never seen. `evaluate`
        scores a patient with the weights that have not seen it; no study runs with them.
    absent_within_px
        A network that always gives every point puts those that a plane does not show onto its first pixel: points
        within this distance of it are not there. 0 where every point is always there.
    instances
        The label map numbers single objects instead of kinds of structures; all of them are the one structure.
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
    gates: tuple[QualityGate, ...] = ()
    output: OutputForm = "structures"
    inputs: tuple[BundleInput, ...] = (BundleInput("image", (Channel("image"),)),)
    trusted: bool = False
    shadow: Optional["Bundle"] = None
    broken_shadow: tuple[str, str] = ("", "")
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    empty_windows: Literal["skip", "compute"] = "compute"
    absent_within_px: float = 0.0
    instances: bool = False

    @property
    def is_for_colours(self) -> bool:
        """Whether it takes colour pictures, and no grey values."""
        return any(entry.colours for entry in self.inputs)

    @property
    def companions(self) -> tuple[Channel, ...]:
        """The images it needs beside the series of the route."""
        return tuple(c for entry in self.inputs for c in entry.channels)[1:]


@dataclass(frozen=True)
class SegmentedStructure:
    """A structure that a bundle found, on the grid of the volume it was given."""

    name: str
    region: Region


@dataclass(frozen=True)
class Box:
    """A box in patient space, which may stand oblique.

    Parameters
    ----------
    centre_lps
        Its centre, mm.
    size_mm
        Its extent along `directions`.
    directions
        Three unit vectors of LPS, at right angles.
    """

    centre_lps: tuple[float, float, float]
    size_mm: tuple[float, float, float]
    directions: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Finding:
    """Something that a bundle detected.

    Parameters
    ----------
    structure
        Name of the structure among the output's that holds its voxels; empty where none could be outlined.
    label
        What it is, in the bundle's words.
    score
        The bundle's confidence, 0 to 1.
    box
        Where it is; None where the bundle outlined it without a box.
    measured
        What the bundle itself measured, by name with its unit: "suv_max_g_ml".
    """

    structure: str
    label: str
    score: float
    box: Box | None = None
    measured: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Landmark:
    """A point that a bundle found on one plane of a series.

    Parameters
    ----------
    label
        What it is, in the bundle's words.
    plane
        Index of the plane, or of the phase of a cine.
    column, row
        Where on it, in pixels that may be fractional; (0, 0) is the centre of the first pixel.
    position_lps
        Where in the patient, mm.
    """

    label: str
    plane: int
    column: float
    row: float
    position_lps: tuple[float, float, float]


@dataclass(frozen=True)
class Score:
    """How strongly a bundle holds the image for one of its classes, 0 to 1."""

    label: str
    value: float


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
    findings
        What was detected, most certain first.
    scores
        Of a classification, highest first.
    heat_map
        Where in the volume the first of the scores comes from, 0 to 1 over a region; None without a classification.
    plane_scores
        Of a classifier that takes planes: the scores of each plane, highest first, in the order of the planes.
    plane
        Of which of them `scores` are: the most certain one.
    landmarks
        Points, in the order of the planes and then of the bundle's names.
    """

    structures: tuple[SegmentedStructure, ...]
    algorithm: Algorithm
    device: str
    elapsed_s: float
    forward_s: float = 0.0
    warnings: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()
    heat_map: Region | None = None
    plane_scores: tuple[tuple[Score, ...], ...] = ()
    plane: int | None = None
    landmarks: tuple[Landmark, ...] = ()
