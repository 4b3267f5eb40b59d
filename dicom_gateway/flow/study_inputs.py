"""What a bundle gets of a study beside the series of its route: other series by frame of reference, SUV for PET.

And what follows from what it gives: names that TG-263 does not know, measured findings, the run in its shadow.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydicom.sr.coding import Code

from contouring.errors import UnknownStructure
from contouring.lesion import measure_lesion
from contouring.names import StructureName, lookup
from contouring.overlap import dice
from contouring.suv import SUVBW_UNIT, suv_metrics, suv_volume
from dicom_gateway.errors import JobCancelled
from dicom_gateway.flow.passing import is_passing
from dicom_gateway.flow.study_files import StudyFiles
from imaging.errors import RadgateError
from imaging.pictures import Pictures
from imaging.series import Stack, load_volume
from imaging.volume import Volume
from monai_bundles import Bundle, BundleOutput, Finding
from monai_bundles.resampling import region_on

__all__ = [
    "Companion",
    "companions_of",
    "in_its_unit",
    "measured_findings",
    "missing_channels",
    "run_shadow",
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
    """The further series that the bundle's channels ask for: same study and frame of reference, most planes first.

    A channel without a series is left out: see `missing_channels`.
    """
    found: dict[str, Companion] = {}
    used = {primary.id}
    for channel in bundle.companions:
        modality = channel.modality or primary.modality
        fitting = [
            stack
            for stack in files.scan.stacks
            if stack.id not in used
            and stack.study_instance_uid == primary.study_instance_uid
            and stack.frame_of_reference_uid == primary.frame_of_reference_uid
            and stack.modality == modality
            and re.search(channel.description, str(stack.header.get("SeriesDescription") or ""), re.IGNORECASE)
        ]
        for stack in sorted(fitting, key=lambda s: (-len(s.sources), s.id)):
            units = [channel.unit] if channel.unit else bundle.accepts.units
            try:
                volume = in_its_unit(units, stack, load_volume(stack))
            except RadgateError as error:
                log.info("companion series passed by code=%s", error.code)
                continue
            found[channel.name] = Companion(stack, volume)
            used.add(stack.id)
            break
    return found


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


def run_shadow(
    bundle: Bundle, output: BundleOutput, run: Callable[[Bundle], BundleOutput], image: Volume | Pictures
) -> dict[str, Any]:
    """Run the version in a bundle's shadow and compare it with what was delivered; nothing of it goes on.

    Whatever goes wrong in the shadow is recorded and stops nothing; what passes by itself (`is_passing`) is raised, and
    so is a person's word that the job is not wanted.
    """
    shadow = bundle.shadow
    if shadow is None:
        return {}
    record: dict[str, Any] = {"bundle": shadow.name, "version": shadow.version}
    try:
        other = run(shadow)
    except Exception as error:  # the boundary of the shadow: recorded, the delivered run goes on
        if is_passing(error) or isinstance(error, JobCancelled):
            raise
        return {**record, "status": "failed", "reason": getattr(error, "message", type(error).__name__)}
    mine: Mapping[str, Any] = {s.name: s.region for s in output.structures}
    theirs = {s.name: s.region for s in other.structures}
    return {
        **record,
        "status": "ok",
        "elapsed_s": round(other.elapsed_s, 3),
        "warnings": list(other.warnings),
        "voxels": {name: region.voxel_count for name, region in theirs.items()},
        "dice_with_delivered": {n: round(dice(mine[n], theirs[n]), 4) for n in mine if n in theirs},
        "only_delivered": sorted(set(mine) - set(theirs)),
        "only_shadow": sorted(set(theirs) - set(mine)),
        "volume_shape": list(image.array.shape),
    }
