"""What a bundle of several series outlined, on the voxels of each of the other series: their own structure sets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dicom_gateway.flow.kept import keep_regions, kept_json, kept_regions
from dicom_gateway.flow.study_files import StudyFiles
from dicom_gateway.flow.study_inputs import Companion
from imaging.series import Stack
from imaging.volume import Region, Volume
from monai_bundles import BundleOutput
from monai_bundles.resampling import region_on
from reports import Result, result_on

__all__ = ["carried", "on_other_series"]

WHOLE = 0.9
"""Share of a structure's volume from which another series holds it whole: other voxels change it a little."""


def carried(
    folder: Path, number: int, output: BundleOutput, volume: Volume, companions: Mapping[str, Companion]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Keep the structures on every companion's voxels.

    Returns
    -------
    tuple
        One entry for each series with a structure, and sentences on what a series does not hold whole.
    """
    entries: list[dict[str, Any]] = []
    sentences: list[str] = []
    own_cc = float(np.prod(volume.spacing_mm))
    for place, (name, companion) in enumerate(companions.items()):
        grid = companion.volume.grid
        regions = []
        for structure in output.structures:
            region = region_on(structure.region, volume.grid, grid)
            count = 0 if region is None else region.voxel_count
            share = count * float(np.prod(grid.spacing_mm)) / (structure.region.voxel_count * own_cc)
            if share < WHOLE:
                sentences.append(f"The series {name} holds {share:.0%} of {structure.name}; it is cut there.")
            if region is not None:
                regions.append((structure.name, region))
        if regions:
            file = f"regions-{number}-{place}.npz"
            keep_regions(folder / file, regions)
            entries.append({"channel": name, "stack": companion.stack.id, "file": file})
    return entries, sentences


def on_other_series(folder: Path, files: StudyFiles, result: Result) -> list[tuple[Stack, Result]]:
    """Every other series with a structure of the result, and the result on its voxels."""
    regions: dict[str, dict[str, Region]] = {}
    for number in range(len(result.runs)):
        path = folder / f"run-{number}.json"
        for entry in kept_json(path).get("series", ()) if path.exists() else ():
            known = regions.setdefault(entry["stack"], {})
            known |= {f"r{number + 1}.{name}": region for name, region in kept_regions(folder / entry["file"])}
    found = []
    for stack_id, by_structure in regions.items():
        stack = files.stack(stack_id)
        if not isinstance(stack, Stack):
            continue
        other = result_on(result, stack.grid, by_structure)
        if other is not None:
            found.append((stack, other))
    return found
