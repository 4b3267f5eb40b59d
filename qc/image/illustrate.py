"""The pictures of a verdict: one of the series, and one of the place of each finding."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.errors import RadgateError
from imaging.geometry import Grid
from imaging.series import Stack
from imaging.volume import Volume
from qc.image.arrived import scout_row
from qc.image.inputs import text_of
from qc.image.place import Scene, place_picture
from qc.image.planar import PlanarSeries
from qc.image.result import CheckResult, SeriesVerdict
from qc.image.singly import plane_of, plane_volume

__all__ = ["SeriesPictures", "pictures_of_planar", "pictures_of_stack"]

MOST_SCOUT_PLANES = 400


@dataclass(frozen=True)
class SeriesPictures:
    """PNG pictures of one verdict.

    Parameters
    ----------
    overview
        The middle of the series; empty where nothing of it can be shown.
    findings
        By id of the check, for each finding that says where it is.
    """

    overview: bytes = b""
    findings: Mapping[str, bytes] = field(default_factory=dict)


def pictures_of_stack(verdict: SeriesVerdict, stack: Stack, volume: Volume | None) -> SeriesPictures:
    """Of slices: the plane that shows a finding beside a scout of the series; also where its geometry was refused."""
    grid = stack.grid if volume is None else volume.grid
    p_mm = grid.plane_positions_mm

    def plane(k: int) -> NDArray[Any]:
        return np.asarray(plane_volume(plane_of(stack, k)).array[0] if volume is None else volume.array[k])

    try:
        scout = _scout(p_mm, plane)
        overview = place_picture(_scene(plane(len(p_mm) // 2), grid, stack.modality, scout), [], "")
        found = {}
        for result in verdict.findings():
            if result.where:
                positions = _positions(result)
                near = positions[len(positions) // 2] if positions else float(p_mm[len(p_mm) // 2])
                scene = _scene(plane(int(np.abs(p_mm - near).argmin())), grid, stack.modality, scout)
                found[result.check_id] = place_picture(scene, _where(result), result.check_id)
    except RadgateError:
        return SeriesPictures()  # what cannot be read is said by the verdict
    return SeriesPictures(overview, found)


def pictures_of_planar(verdict: SeriesVerdict, series: PlanarSeries) -> SeriesPictures:
    """Of single pictures: the one that a finding names, with its box; none that the overview would equal."""
    if not series.pictures:
        return SeriesPictures()
    uids = [text_of(series.headers[p.header], "SOPInstanceUID") for p in series.pictures]

    def scene(index: int) -> Scene:
        picture = series.pictures[index]
        modality = text_of(series.headers[picture.header], "Modality")
        return Scene(picture.array, picture.spacing_mm or (1.0, 1.0), modality)

    found = {}
    for result in verdict.findings():
        named = [u for w in result.where if w.kind == "instances" for u in w.data.get("sop_instance_uid", ())]
        index = next((n for n, uid in enumerate(uids) if uid in named), 0)
        if len(uids) > 1 or any(w.kind != "instances" for w in result.where):
            found[result.check_id] = place_picture(scene(index), _where(result), result.check_id)
    return SeriesPictures(place_picture(scene(len(uids) // 2), [], ""), found)


def _scout(
    p_mm: NDArray[np.float64], plane: Callable[[int], NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.int16]] | None:
    """Positions and one row of each plane; None where there are too few to be drawn, or too many to be read."""
    if not 2 <= len(p_mm) <= MOST_SCOUT_PLANES:
        return None
    return p_mm, np.array([scout_row(plane(k)) for k in range(len(p_mm))])


def _scene(
    plane: NDArray[Any], grid: Grid, modality: str, scout: tuple[NDArray[np.float64], NDArray[np.int16]] | None
) -> Scene:
    return Scene(plane, grid.pixel_spacing_mm, modality, (grid.row_direction, grid.column_direction), scout)


def _positions(result: CheckResult) -> Sequence[float]:
    return [float(p) for w in result.where if w.kind == "slices" for p in w.data.get("p_mm", ())]


def _where(result: CheckResult) -> list[dict[str, Any]]:
    return [{"kind": w.kind, **w.data} for w in result.where]
