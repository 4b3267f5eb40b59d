"""What was found in the files of a study version, as plain values for the page and the commands."""

from typing import Any

from imaging.errors import RadgateError
from imaging.series import Leftover, Scan, Stack
from reports.study import decoded_or_empty

__all__ = ["leftover_groups", "scan_summary", "stack_summary"]


def stack_summary(stack: Stack) -> dict[str, Any]:
    """Id, series, modality, shape and spacing of a stack."""
    try:
        spacing: tuple[float, ...] | None = stack.grid.spacing_mm
    except RadgateError:
        spacing = None
    return {
        "id": stack.id,
        "series_uid": stack.series_instance_uid,
        "modality": stack.modality,
        "description": decoded_or_empty(stack.header, "SeriesDescription"),
        "shape": list(stack.grid.shape),
        "spacing_mm": None if spacing is None else [round(s, 4) for s in spacing],
    }


def leftover_groups(leftovers: tuple[Leftover, ...]) -> list[dict[str, Any]]:
    """Leftovers with the same reason in the same series, counted: code, sentence, series, files."""
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
    return list(groups.values())


def scan_summary(scan: Scan) -> dict[str, Any]:
    """Stacks and leftovers."""
    return {"stacks": [stack_summary(s) for s in scan.stacks], "leftovers": leftover_groups(scan.leftovers)}
