"""Volumes, regions and outcomes as JSON values and .npy files: what passes between radgate and its worker process.

Nothing here can carry code: arrays are written and read without pickle, everything else is JSON.
"""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.arrays import save_array
from imaging.cines import Cine
from imaging.geometry import Grid
from imaging.pictures import Pictures
from imaging.volume import Region, Volume
from monai_bundles import errors
from monai_bundles.bundle import Box, Bundle, BundleOutput, Finding, Landmark, Score, SegmentedStructure
from monai_bundles.errors import BundleError, BundleFailed

__all__ = [
    "image_from_wire",
    "image_to_wire",
    "output_from_wire",
    "output_to_wire",
    "raised_from_wire",
    "raised_to_wire",
    "volume_from_wire",
    "volume_to_wire",
]


def image_to_wire(image: Volume | Pictures | Cine, folder: Path) -> dict[str, Any]:
    """A volume; or pictures or a cine, whose sources stay behind as those of a volume do."""
    if isinstance(image, Volume):
        return volume_to_wire(image, folder)
    if isinstance(image, Cine):
        return {"cine": _placed_to_wire(image, folder, "cine")}
    save_array(folder / "pictures.npy", image.array)
    return {"pictures": "pictures.npy"}


def image_from_wire(message: dict[str, Any], folder: Path) -> Volume | Pictures | Cine:
    """The volume, the pictures or the cine again."""
    if "cine" in message:
        array, grid, unit = _placed_from_wire(message["cine"], folder)
        return Cine(array, grid, unit=unit)
    if "pictures" not in message:
        return volume_from_wire(message, folder)
    return Pictures(np.load(folder / message["pictures"], mmap_mode="r", allow_pickle=False))


def volume_to_wire(volume: Volume, folder: Path, name: str = "volume") -> dict[str, Any]:
    """The volume's array as a file in `folder`, the rest as JSON. Sources are not needed and stay behind."""
    return _placed_to_wire(volume, folder, name)


def _placed_to_wire(image: Volume | Cine, folder: Path, name: str) -> dict[str, Any]:
    """Values with the grid that they lie on."""
    save_array(folder / f"{name}.npy", image.array)
    grid = image.grid
    return {
        "file": f"{name}.npy",
        "unit": image.unit,
        "positions_lps": grid.positions_lps.tolist(),
        "row_direction": grid.row_direction.tolist(),
        "column_direction": grid.column_direction.tolist(),
        "pixel_spacing_mm": list(grid.pixel_spacing_mm),
        "rows": grid.rows,
        "columns": grid.columns,
        "slice_thickness_mm": grid.slice_thickness_mm,
        "frame_of_reference_uid": grid.frame_of_reference_uid,
    }


def volume_from_wire(message: dict[str, Any], folder: Path) -> Volume:
    """The volume again; its array is mapped, not read."""
    array, grid, unit = _placed_from_wire(message, folder)
    return Volume(array=array, grid=grid, unit=unit)


def _placed_from_wire(message: dict[str, Any], folder: Path) -> tuple[NDArray[Any], Grid, str]:
    """Values, grid and unit again."""
    grid = Grid(
        positions_lps=np.array(message["positions_lps"]),
        row_direction=np.array(message["row_direction"]),
        column_direction=np.array(message["column_direction"]),
        pixel_spacing_mm=(message["pixel_spacing_mm"][0], message["pixel_spacing_mm"][1]),
        rows=message["rows"],
        columns=message["columns"],
        slice_thickness_mm=message["slice_thickness_mm"],
        frame_of_reference_uid=message["frame_of_reference_uid"],
    )
    array = np.load(folder / message["file"], mmap_mode="r", allow_pickle=False)
    return array, grid, str(message["unit"])


def output_to_wire(output: BundleOutput, folder: Path) -> dict[str, Any]:
    """The regions' arrays as files in `folder`, the rest as JSON."""
    structures = [
        {"name": structure.name, **_region_to_wire(structure.region, folder, str(number))}
        for number, structure in enumerate(output.structures)
    ]
    return {
        "structures": structures,
        "device": output.device,
        "elapsed_s": output.elapsed_s,
        "forward_s": output.forward_s,
        "warnings": list(output.warnings),
        "absent": list(output.absent),
        "findings": [asdict(finding) for finding in output.findings],
        "scores": [asdict(score) for score in output.scores],
        "plane_scores": [[asdict(score) for score in scores] for scores in output.plane_scores],
        "plane": output.plane,
        "landmarks": [asdict(landmark) for landmark in output.landmarks],
        "heat_map": None if output.heat_map is None else _region_to_wire(output.heat_map, folder, "_heat"),
    }


def _region_to_wire(region: Region, folder: Path, name: str) -> dict[str, Any]:
    save_array(folder / f"crop{name}.npy", region.crop)
    if region.probability is not None:
        save_array(folder / f"probability{name}.npy", region.probability)
    return {
        "start": list(region.start),
        "shape": list(region.shape),
        "crop": f"crop{name}.npy",
        "probability": None if region.probability is None else f"probability{name}.npy",
    }


def _region_from_wire(entry: dict[str, Any], folder: Path) -> Region:
    probability = entry["probability"]
    return Region(
        crop=np.load(folder / entry["crop"], allow_pickle=False),
        start=(entry["start"][0], entry["start"][1], entry["start"][2]),
        shape=(entry["shape"][0], entry["shape"][1], entry["shape"][2]),
        probability=None if probability is None else np.load(folder / probability, allow_pickle=False),
    )


def _finding_from_wire(entry: dict[str, Any]) -> Finding:
    box = entry["box"]
    if box is None:
        return Finding(**entry)
    directions = tuple((d[0], d[1], d[2]) for d in box["directions"])
    return Finding(**{**entry, "box": Box(tuple(box["centre_lps"]), tuple(box["size_mm"]), directions)})


def _landmark_from_wire(entry: dict[str, Any]) -> Landmark:
    x, y, z = entry["position_lps"]
    return Landmark(**{**entry, "position_lps": (x, y, z)})


def output_from_wire(message: dict[str, Any], folder: Path, bundle: Bundle) -> BundleOutput:
    """The output again, read into memory so that the folder can go."""
    structures = [SegmentedStructure(e["name"], _region_from_wire(e, folder)) for e in message["structures"]]
    heat_map = message["heat_map"]
    return BundleOutput(
        structures=tuple(structures),
        findings=tuple(_finding_from_wire(entry) for entry in message["findings"]),
        scores=tuple(Score(**entry) for entry in message["scores"]),
        plane_scores=tuple(tuple(Score(**entry) for entry in scores) for scores in message["plane_scores"]),
        plane=message["plane"],
        landmarks=tuple(_landmark_from_wire(entry) for entry in message["landmarks"]),
        heat_map=None if heat_map is None else _region_from_wire(heat_map, folder),
        algorithm=bundle.algorithm,
        device=message["device"],
        elapsed_s=message["elapsed_s"],
        forward_s=message["forward_s"],
        warnings=tuple(message["warnings"]),
        absent=tuple(message["absent"]),
    )


def raised_to_wire(error: BundleError | OSError) -> dict[str, Any]:
    """An error by the name of its class; one of the system by its number, without the path that it may name."""
    if isinstance(error, OSError):
        return {"errno": error.errno}
    return {"class": type(error).__name__, "message": error.message, "fields": error.fields}


def raised_from_wire(message: dict[str, Any]) -> BundleError | OSError:
    """The error again; a class that this process does not know becomes `BundleFailed`."""
    if "errno" in message:
        return OSError(message["errno"], os.strerror(message["errno"]))
    kind = getattr(errors, str(message["class"]), None)
    if not (isinstance(kind, type) and issubclass(kind, BundleError)):
        kind = BundleFailed
    error: BundleError = kind(str(message["message"]), **{str(k): v for k, v in message["fields"].items()})
    return error
