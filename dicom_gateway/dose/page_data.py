"""What the dose page reads: the image, the doses and the outlines as arrays of one slice each, and everything else.

A slice is a few hundred kilobytes cut from files that lie ready, so the first picture needs no work that was not done
before. Between two planes of the dose grid the server interpolates, within the plane the page does: together that is
the trilinear dose of the grid.
"""

import json
import struct
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from contouring.dose.resample import GridSum
from contouring.rtstruct_parse import parse_structure_set
from dicom_gateway.errors import UnknownObject
from dicom_gateway.flow.kept import keep_bytes, keep_json, keep_regions, kept_json, kept_regions
from imaging.arrays import save_array
from imaging.geometry import Grid
from imaging.volume import Region
from reports.dose.choice import chosen_planes
from reports.dose.colours import DIFFERENCE, DOSE, nice_levels, table_of
from reports.dose.curves import structure_curves
from reports.dose.layers import scale_end_gy
from reports.dose.registration import (
    NOT_REVIEWED,
    PICTURE_WORDS,
    RegistrationReport,
    registration_notes,
    registration_reports,
)
from reports.dose.report import DoseReport
from reports.dose.section import Overlay, overlay_of
from reports.dose.sentences import sentence_words
from reports.dose.table import colour_of
from reports.dose.wording import JUDGED_WORDS, STATUS_WORDS, course_words, flag_words, warning_words
from reports.planes import Plane, display_planes, window_of

__all__ = ["first_slice", "keep_page_data", "open_ahead", "registration_file", "slice_bytes"]

PLANES = ("axial", "coronal", "sagittal")
SHOWN_SHARE, MARGIN_MM = 0.1, 25.0
"""A picture opens on where the dose reaches this share of its maximum, with this much around it."""

NOTES = frozenset({"alpha_beta_is_default", "not_converged"})
"""Flags that most structures have and that change no verdict: a mark for them would hide the others."""

AREA_TYPES = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})


def keep_page_data(folder: Path, report: DoseReport, rtstruct: Dataset) -> None:
    """Write the files of a finished sum; `page.json` last, so that whoever finds it finds the others."""
    folder.mkdir(parents=True, exist_ok=True)
    image = np.clip(np.round(report.volume.array), -32768, 32767).astype("<i2")
    _keep_array(folder / "image.npy", image)
    for number, found in enumerate(report.assessment.grids.courses):
        _keep_array(folder / f"dose{number}.npy", _known(found))
    keep_regions(folder / "regions.npz", [(o.name, o.region) for o in report.outlines])
    keep_json(folder / "contours.json", _contours(report, rtstruct))
    for registration in registration_reports(report.assessment):
        if registration.picture_png:
            keep_bytes(registration_file(folder, registration.letter), registration.picture_png)
    overlay = overlay_of(report.volume.grid, report.assessment.grids.physical.volume.grid)
    page = _page(report, overlay)
    keep_json(folder / "grid.json", _grid_json(report.volume.grid, overlay) | {"first": page["start"]["axial"]})
    keep_json(folder / "page.json", page)


def registration_file(folder: Path, letter: str) -> Path:
    """The picture of the registration of one course, where there is one.

    Raises
    ------
    UnknownObject
        That is no letter of a course.
    """
    if letter not in ascii_uppercase or len(letter) != 1:
        raise UnknownObject("There is no such registration; open the page again.")
    return folder / f"registration_{letter}.png"


def slice_bytes(folder: Path, plane_name: str, index: int) -> bytes:
    """One slice for the page: the length of a JSON head, the head, then its arrays one after the other.

    The head says `image` [rows, columns] (int16), `dose` [rows, columns] or null (float32, one array for each course,
    NaN where it is not known), `masks` (structure, first row and column, rows, columns; bytes 0 and 1), and `contours`
    (structure, points as columns and rows of the picture) for the planes that the structures were drawn in.

    Raises
    ------
    UnknownObject
        There is no such sum, plane or slice.
    """
    try:
        files = _files(folder)
        plane = files.planes[PLANES.index(plane_name)]
    except (OSError, ValueError):
        raise UnknownObject("There is no such picture; open the page again.") from None
    if not 0 <= index < plane.count:
        raise UnknownObject("There is no such slice; choose one of the image.", count=plane.count)
    head: dict[str, Any] = {"image": [], "dose": None, "masks": [], "contours": []}
    image = np.ascontiguousarray(plane.image(files.image, index), dtype="<i2")
    head["image"] = list(image.shape)
    parts = [image.tobytes()]
    parts[0] += b"\0" * (-len(parts[0]) % 4)
    for dose in files.doses:
        cut = files.overlay.cut(dose, plane, index, files.image.shape)
        if cut is not None:
            head["dose"] = list(cut.values.shape)
            parts.append(np.ascontiguousarray(cut.values, dtype="<f4").tobytes())
    drawn = files.contours.get(str(index), []) if plane.through == 0 else None
    if drawn is None:
        for number, (_, region) in enumerate(files.regions):
            found = plane.mask(region, index)
            if found is not None:
                crop, row, column = found
                head["masks"].append([number, row, column, *crop.shape])
                parts.append(np.ascontiguousarray(crop).astype(np.uint8).tobytes())
    else:
        head["contours"] = [[number, _turned(points, plane, files.image.shape)] for number, points in drawn]
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + b"".join(parts)


def open_ahead(folder: Path) -> None:
    """Open the files of a sum before its first slice is asked for; a sum that is not there is left to that."""
    with suppress(OSError, ValueError):
        _files(folder)


def first_slice(folder: Path) -> int | None:
    """The axial slice that the page opens on; None where an older sum does not say it, or there is none."""
    try:
        found = kept_json(folder / "grid.json").get("first")
    except (OSError, ValueError):
        return None
    return int(found) if found is not None else None


class _Files:
    """The files of one sum, opened once."""

    def __init__(self, folder: Path) -> None:
        page = kept_json(folder / "grid.json")
        self.image: NDArray[np.int16] = np.load(folder / "image.npy", mmap_mode="r")
        self.doses = [np.load(f, mmap_mode="r") for f in sorted(folder.glob("dose*.npy"))]
        self.regions: list[tuple[str, Region]] = kept_regions(folder / "regions.npz")
        self.contours: Mapping[str, list[list[Any]]] = kept_json(folder / "contours.json")
        self.planes = display_planes(_grid(page))
        self.overlay = Overlay(tuple(page["start"]), tuple(page["step"]))


@lru_cache(maxsize=4)
def _files(folder: Path) -> _Files:
    return _Files(folder)


def _grid_json(grid: Grid, overlay: Overlay) -> dict[str, Any]:
    return {
        "positions_lps": grid.positions_lps.tolist(),
        "row_direction": grid.row_direction.tolist(),
        "column_direction": grid.column_direction.tolist(),
        "pixel_spacing_mm": list(grid.pixel_spacing_mm),
        "rows": grid.rows,
        "columns": grid.columns,
        "start": list(overlay.start),
        "step": list(overlay.step),
    }


def _grid(value: Mapping[str, Any]) -> Grid:
    return Grid(
        np.array(value["positions_lps"]), np.array(value["row_direction"]), np.array(value["column_direction"]),
        tuple(value["pixel_spacing_mm"]), value["rows"], value["columns"], "",
    )  # fmt: skip


def _known(found: GridSum) -> NDArray[np.float32]:
    """Dose with NaN where it is not known."""
    return np.where(found.is_known, found.volume.dose_gy, np.nan).astype("<f4")


def _keep_array(path: Path, array: NDArray[Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        save_array(stream, array)
    partial.replace(path)


def _contours(report: DoseReport, rtstruct: Dataset) -> dict[str, list[list[Any]]]:
    """By plane of the image the contours as they were drawn: [structure, [[column, row], ...]]."""
    grid = report.volume.grid
    names = [o.name for o in report.outlines]
    numbers = {s.number: names.index(s.name) for s in report.assessment.structures if s.name in names}
    half = float(np.median(grid.slice_steps_mm)) / 2 if len(grid.slice_steps_mm) else 1.0
    found: dict[str, list[list[Any]]] = {}
    for roi in parse_structure_set(rtstruct).rois:
        if roi.number not in numbers or roi.fault is not None:
            continue
        for n in range(len(roi.contours)):
            if roi.contours.types[n] not in AREA_TYPES or roi.contours.counts[n] < 3:
                continue
            points = roi.contours.polygon(n)
            height = float((points @ grid.normal).mean())
            plane = int(np.abs(grid.plane_positions_mm - height).argmin())
            if abs(float(grid.plane_positions_mm[plane]) - height) <= half:
                places = np.round(grid.columns_rows(plane, points), 3)
                found.setdefault(str(plane), []).append([numbers[roi.number], places.tolist()])
    return found


def _turned(points: list[list[float]], plane: Plane, shape: tuple[int, ...]) -> list[list[float]]:
    """Column and row of the image as across and down of the picture."""
    places = np.array(points)
    across, down = (places[:, 0], places[:, 1]) if plane.across == 2 else (places[:, 1], places[:, 0])
    if plane.flip_across:
        across = shape[plane.across] - 1 - across
    if plane.flip_down:
        down = shape[plane.down] - 1 - down
    return np.round(np.stack([across, down], axis=1), 3).tolist()


def _page(report: DoseReport, overlay: Overlay) -> dict[str, Any]:
    """Everything but the arrays."""
    found = report.assessment
    grid, dose = report.volume.grid, found.grids.physical.volume
    start = {plane.name: index for plane, index in reversed(chosen_planes(grid, dose))}
    hottest = np.unravel_index(int(np.nan_to_num(dose.dose_gy, nan=-1).argmax()), dose.dose_gy.shape)
    for plane in display_planes(grid):
        place = (hottest[plane.through] - overlay.start[plane.through]) / overlay.step[plane.through]
        start[plane.name] = int(np.clip(round(float(place)), 0, plane.count - 1))
    window = window_of(report.volume)
    outlined = {o.name for o in report.outlines}
    end, differences = scale_end_gy(dose), _difference_end_gy(report)
    return {
        "planes": {p.name: _plane_json(p, report, overlay) for p in display_planes(grid)},
        "start": start,
        "window": [window.low, window.high],
        "unit": report.volume.unit,
        "dose_count": len(found.courses),
        "courses": [
            {
                "letter": c.letter,
                "label": c.label,
                "fractions": c.fractions,
                "words": _pair(course_words(c)),
            }
            for c in found.courses
        ],
        "structures": [
            {
                "name": s.name,
                "rgb": list(colour_of(s, n)),
                "alpha_beta_gy": s.alpha_beta.gy,
                "is_default": s.alpha_beta.is_default,
                "is_stated": s.alpha_beta.is_stated,
                "outline": [o.name for o in report.outlines].index(s.name) if s.name in outlined else None,
                "volume_cc": s.physical.volume_cc,
                "flags": [_pair(flag_words(f, s)) | {"is_note": f in NOTES} for f in s.flags],
            }
            for n, s in enumerate(found.structures)
        ],
        "curves": [c.to_json() for c in structure_curves(found)],
        "table": report.table.to_json(),
        "status_words": {k: _pair(v) for k, v in STATUS_WORDS.items()},
        "judged_words": {k: _pair(v) for k, v in JUDGED_WORDS.items()},
        "reason_words": {text: _pair(sentence_words(text)) for text in _reasons(report)},
        "scales": {
            "dose": {"low": 0.0, "high": end, "levels": list(nice_levels(end))},
            "difference": {"low": -differences, "high": differences,
                           "levels": [*(-v for v in nice_levels(differences)[::-1]), *nice_levels(differences)]},
        },
        "colours": {"dose": table_of(DOSE).tolist(), "difference": table_of(DIFFERENCE).tolist()},
        "warnings": [_pair(warning_words(w)) for w in found.warnings],
        "refused": [{"structure": name, "message": reason.message} for name, reason in found.refused.items()],
        "registrations": [_registration_json(r) for r in registration_reports(found)],
        "picture_words": _pair(PICTURE_WORDS),
        "not_reviewed": _pair(NOT_REVIEWED),
        "has_eqd2": found.has_eqd2,
    }  # fmt: skip


def _pair(words: tuple[str, str]) -> dict[str, str]:
    return dict(zip(("zh", "en"), words, strict=True))


def _registration_json(registration: RegistrationReport) -> dict[str, Any]:
    """Numbers, words and whether there is a picture."""
    found = registration.to_json()
    rows = [row | {"structure": _pair(row["structure"])} for row in found["rows"]]
    return found | {
        "kind": _pair(registration.kind),
        "rows": rows,
        "notes": [_pair(note) for note in registration_notes(registration)],
        "has_picture": bool(registration.picture_png),
    }


def _reasons(report: DoseReport) -> list[str]:
    """Every sentence that says why there is no number, no verdict or no structure."""
    table = report.table
    found = {e.reason for row in table.rows for e in row.entries().values()} | {row.reason for row in table.limits}
    return sorted((found | {reason.message for reason in report.assessment.refused.values()}) - {""})


def _difference_end_gy(report: DoseReport) -> float:
    """End of the scale of differences: whole Gy."""
    if len(report.assessment.courses) < 2:
        return 1.0
    values = np.abs(report.assessment.grids.difference_gy().dose_gy)
    known = values[np.isfinite(values)]
    return float(max(np.ceil(np.quantile(known, 0.9999)), 1.0)) if known.size else 1.0


def _plane_json(plane: Plane, report: DoseReport, overlay: Overlay) -> dict[str, Any]:
    shape = report.volume.array.shape
    values, axis = plane.positions
    dose = report.assessment.grids.courses[0].volume.dose_gy
    # where the dose lies on the picture is the same on all planes
    inside = next((c for k in range(plane.count) if (c := overlay.cut(dose, plane, k, shape)) is not None), None)
    box = _box(plane, report, overlay)
    return {
        "name": {"zh": plane.zh, "en": plane.en},
        "count": plane.count,
        "rows": shape[plane.down],
        "columns": shape[plane.across],
        "row_mm": plane.row_mm,
        "column_mm": plane.column_mm,
        "letters": plane.letters,
        "ascends": plane.ascends,
        "positions": np.round(values, 2).tolist(),
        "axis": axis,
        "flip_down": plane.flip_down,
        "flip_across": plane.flip_across,
        "through": plane.through,
        "down": plane.down,
        "across": plane.across,
        "box": box,
        "dose": None if inside is None else {"first": list(inside.first), "step": list(inside.step)},
    }


def _box(plane: Plane, report: DoseReport, overlay: Overlay) -> list[float]:
    """What a picture shows at first: [first row, first column, last row, last column] around the dose."""
    dose = np.nan_to_num(report.assessment.grids.physical.volume.dose_gy)
    there = dose >= SHOWN_SHARE * dose.max()
    limits = []
    for axis, mm, turned in (
        (plane.down, plane.row_mm, plane.flip_down),
        (plane.across, plane.column_mm, plane.flip_across),
    ):
        size = report.volume.array.shape[axis]
        filled = np.flatnonzero(there.any(axis=tuple(a for a in range(3) if a != axis)))
        first, last = ((float(n) - overlay.start[axis]) / overlay.step[axis] for n in (filled[0], filled[-1]))
        first, last = first - MARGIN_MM / mm, last + MARGIN_MM / mm
        if turned:
            first, last = size - 1 - last, size - 1 - first
        limits.append((max(first, 0.0), min(last, size - 1.0)))
    return [limits[0][0], limits[1][0], limits[0][1], limits[1][1]]
