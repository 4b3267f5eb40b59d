"""What a bundle gets of a study beside the series of its route: other series by frame of reference, SUV for PET.

And what follows from what it gives: names that TG-263 does not know, measured findings.
"""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydicom.sr.coding import Code

from contouring.errors import UnknownStructure
from contouring.lesion import measure_lesion
from contouring.names import StructureName, lookup
from contouring.suv import SUVBW_UNIT, suv_metrics, suv_volume
from dicom_gateway.flow.study_files import StudyFiles
from imaging.errors import RadgateError
from imaging.series import Stack, load_volume
from imaging.volume import Volume
from monai_bundles import Bundle, BundleOutput, Channel, Finding
from monai_bundles.resampling import region_on

__all__ = [
    "Companion",
    "companions_of",
    "in_its_unit",
    "measured_findings",
    "missing_channels",
    "structure_name",
]

log = logging.getLogger(__name__)

ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
GREY = (170, 170, 170)


@dataclass(frozen=True, eq=False)
class Companion:
    """A further series that a bundle is given: its planes, and their values in the unit that it wants."""

    stack: Stack
    volume: Volume


def in_its_unit(units: Sequence[str], stack: Stack, volume: Volume) -> Volume:
    """The volume as SUV by body weight where that is what is wanted of a PET; else as it is.

    Raises
    ------
    SuvRefused
        The headers do not give the factor.
    """
    if SUVBW_UNIT not in units or stack.modality != "PT" or volume.unit == SUVBW_UNIT:
        return volume
    return suv_volume(volume, list(stack.headers))


def companions_of(bundle: Bundle, files: StudyFiles, primary: Stack) -> dict[str, Companion]:
    """The further series that the bundle's channels ask for: same study and frame of reference, each for one channel.

    A series that fits several channels is taken for the one that no other fits; of several for one channel the one
    that fits fewest others is taken, then the one with most planes. A channel without a series is left out: see
    `missing_channels`.
    """
    others = sorted(
        (
            stack
            for stack in files.scan.stacks
            if stack.id != primary.id
            and stack.study_instance_uid == primary.study_instance_uid
            and stack.frame_of_reference_uid == primary.frame_of_reference_uid
        ),
        key=lambda stack: (-len(stack.sources), stack.id),
    )
    fitting = {c.name: [s for s in others if _fits(c, s, primary)] for c in bundle.companions}
    volumes: dict[tuple[str, str], Volume] = {}
    names = [c.name for c in sorted(bundle.companions, key=lambda c: c.optional)]
    units = {c.name: [c.unit] if c.unit else bundle.accepts.units for c in bundle.companions}
    while True:
        taken = _assigned(names, fitting)
        missing = next(((n, s) for n, s in taken.items() if (n, s.id) not in volumes), None)
        if missing is None:
            return {name: Companion(stack, volumes[name, stack.id]) for name, stack in taken.items()}
        name, stack = missing
        try:
            volumes[name, stack.id] = in_its_unit(units[name], stack, load_volume(stack))
        except RadgateError as error:
            log.info("companion series passed by code=%s", error.code)
            fitting[name].remove(stack)


def _fits(channel: Channel, stack: Stack, primary: Stack) -> bool:
    """Whether a series has the modality and description that a channel asks for."""
    description = str(stack.header.get("SeriesDescription") or "")
    is_modality = stack.modality == (channel.modality or primary.modality)
    return is_modality and bool(re.search(channel.description, description, re.IGNORECASE))


def _assigned(names: Sequence[str], fitting: Mapping[str, Sequence[Stack]]) -> dict[str, Stack]:
    """A series for each channel, none twice: as many channels as possible, the first named before the others."""
    claims = Counter(stack.id for stacks in fitting.values() for stack in stacks)
    taken: dict[str, Stack] = {}

    def place(name: str, tried: set[str]) -> bool:
        for stack in sorted(fitting[name], key=lambda s: claims[s.id]):
            if stack.id in tried:
                continue
            tried.add(stack.id)
            holder = next((other for other, held in taken.items() if held.id == stack.id), None)
            if holder is None or place(holder, tried):
                taken[name] = stack
                return True
        return False

    for name in names:
        place(name, set())
    return taken


def missing_channels(bundle: Bundle, companions: Mapping[str, Companion]) -> str:
    """One sentence on the series that the bundle needs and the study does not have; nothing where it has them all."""
    names = [c.name for c in bundle.companions if not c.optional and c.name not in companions]
    if not names:
        return ""
    return (
        f"The bundle needs {' and '.join(names)} beside this series, in the same study and frame of reference and "
        "usable; the study has none."
    )


def structure_name(name: str) -> StructureName:
    """The structure of a name; one that TG-263 does not know keeps the bundle's own word and is coded as anatomy."""
    try:
        return lookup(name)
    except UnknownStructure:
        return StructureName(
            tg263=name,
            zh=name,
            en=name.replace("_", " "),
            category=ANATOMY,
            type=ANATOMY,
            modifier=None,
            fma="",
            colour_rgb=GREY,
            interpreted_type="ORGAN",
        )


def measured_findings(
    output: BundleOutput, volume: Volume, companions: Mapping[str, Companion] | None = None
) -> list[dict[str, Any]]:
    """Each finding with its box, and the lesion measured in the image: volume, diameters, density, uptake.

    A gross tumour volume that a bundle outlined without a finding of its own is a lesion too. Its uptake is measured on
    the PET among the companions, on the PET's own voxels.
    """
    regions = {s.name: s.region for s in output.structures}
    told = {f.structure for f in output.findings}
    lesions = [
        Finding(structure=name, label="lesion", score=1.0)
        for name in regions
        if name not in told and structure_name(name).interpreted_type == "GTV"
    ]
    pets = [c.volume for c in (companions or {}).values() if c.volume.unit == SUVBW_UNIT]
    result = []
    for finding in (*output.findings, *lesions):
        entry = asdict(finding)
        region = regions.get(finding.structure)
        if region is not None:
            lesion = measure_lesion(region, volume.grid, volume=volume)
            entry["lesion"] = {
                "volume_cc": lesion.volume_cc,
                "long_axis_mm": lesion.axes.long_axis.length_mm,
                "short_axis_mm": lesion.axes.short_axis.length_mm,
                "largest_diameter_mm": lesion.largest_diameter_mm,
                "centroid_lps": list(lesion.centroid_lps),
                "mean": None if lesion.density is None else lesion.density.mean,
                "unit": volume.unit,
            }
            if volume.unit == SUVBW_UNIT:
                entry["uptake"] = asdict(suv_metrics(region, volume))
            elif pets:
                on_pet = region_on(region, volume.grid, pets[0].grid)
                if on_pet is not None:
                    entry["uptake"] = asdict(suv_metrics(on_pet, pets[0]))
        result.append(entry)
    return result
