"""What was found in the files of a study version, as plain values for the page and the commands."""

from pathlib import Path
from typing import Any

from dicom_gateway.flow.study_files import image_series
from imaging.cines import CineSeries
from imaging.errors import RadgateError
from imaging.pictures import PictureSeries
from imaging.series import Leftover, Scan, Stack
from reports.study import decoded_or_empty

__all__ = ["leftover_groups", "scan_summary", "stack_summary"]

MOST_NAMES = 5
"""File names that stand for a group of leftovers."""


def stack_summary(stack: Stack | PictureSeries | CineSeries) -> dict[str, Any]:
    """Id, series, modality, shape and spacing of a stack, and why it is no even volume, if it is none.

    Pictures have no spacing, the phases of a cine none between them, and neither are a volume for no fault.
    """
    refusal, spacing = "", None
    try:
        if isinstance(stack, Stack):
            _ = stack.grid.affine_lps
            spacing = stack.grid.spacing_mm
    except RadgateError as error:
        refusal = error.message if stack.shape[0] > 1 else ""
    return {
        "id": stack.id,
        "series_uid": stack.series_instance_uid,
        "modality": stack.modality,
        "description": decoded_or_empty(stack.header, "SeriesDescription"),
        "shape": list(stack.shape),
        "spacing_mm": None if spacing is None else [round(s, 4) for s in spacing],
        "refusal": refusal,
    }


def leftover_groups(leftovers: tuple[Leftover, ...], root: Path | None = None) -> list[dict[str, Any]]:
    """Leftovers with the same reason in the same series, counted: code, sentence, series, files.

    With the folder that a person named, also the names of the first files below it, so that they can be found there.
    """
    groups: dict[tuple[str, str, str], dict[str, Any]] = {}
    for item in leftovers:
        key = (item.reason.code, item.reason.message, item.series_instance_uid)
        group = groups.setdefault(
            key,
            {
                "reason": item.reason.code,
                "message": item.reason.message,
                "series_uid": item.series_instance_uid,
                "modality": item.modality,
                "files": 0,
            },
        )
        group["files"] += len(item.files)
        if root is not None:
            names = group.setdefault("names", [])
            names += [_name(file, root) for file in item.files[: MOST_NAMES - len(names)]]
    return list(groups.values())


def _name(file: Path, root: Path) -> str:
    absolute, folder = file.absolute(), root.absolute()
    return str(absolute.relative_to(folder)) if absolute.is_relative_to(folder) else file.name


def scan_summary(scan: Scan) -> dict[str, Any]:
    """Stacks, pictures among them, and leftovers."""
    return {"stacks": [stack_summary(s) for s in image_series(scan)], "leftovers": leftover_groups(scan.leftovers)}
