"""Truncation: body that is cut off by the edge of the reconstructed field."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.body import BodySection, field_of_view_radius_mm
from qc.image.inputs import Inputs
from qc.image.padding import body_beside, is_masked_body, padding_mask, rim_of
from qc.image.pixels import state_of_scale
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

EDGE_PIXELS = 1.5
"""Skin nearer to the edge than this is cut (specification, 3.2)."""

SHORTEST_RUN = 3
"""Median over so many neighbouring planes: one odd plane is no truncation."""


@check(
    "ct.truncation",
    version="1.1.0",
    title=("体表截断", "Truncated body"),
    unit="%",
    direction="higher_worse",
    settles="early",
    by_plane="run",
    uncertainty=0.2,
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="Radgate: share of the body's outline within 1.5 pixels of the reconstruction circle, padding or the border",
    causes={
        "cut": Advice(
            "positioning",
            "体表（{side_zh}）超出重建视野（轮廓的 {value:.1f}%，约 {arc_mm:.0f} mm）",
            "Skin ({side_en}) lies outside the reconstructed field ({value:.1f} % of the outline, {arc_mm:.0f} mm)",
            "recentre",
            "technician",
            "请将患者居中，或用扩展视野重建",
            "Centre the patient, or reconstruct with the extended field",
            now=True,
        )
    },
)
def truncation(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest share over the planes (median of three neighbours), per cent of the outline.

    A body whose skin falls to the value of its surroundings within one pixel was cut out of its picture: there only the
    circle and the border tell anything.
    """
    volume = inputs.volume
    if volume is None or not inputs.body:
        return NotEvaluable("no_volume" if volume is None else "no_region")
    if state_of_scale(volume)[0] != "upright":
        return NotEvaluable("no_region")  # air is no air there, and every border would look like a cut body
    radius_mm = field_of_view_radius_mm(volume, inputs.body)
    rim, is_masked = _rim(volume, inputs.body)
    shares, arcs, towards = [], [], []
    for section in inputs.body:
        outline = section.mask & ~ndimage.binary_erosion(section.mask, border_value=0)
        cut = outline & _edge(volume, section, radius_mm)
        if rim is not None:
            cut |= outline & _beside_padding(volume, section, rim)
        total = np.count_nonzero(outline)
        shares.append(100.0 * np.count_nonzero(cut) / total)
        arcs.append(np.count_nonzero(cut) * section.step * float(np.mean(volume.grid.pixel_spacing_mm)))
        towards.append(_direction_lps(volume, cut))
    if is_masked and not any(shares):
        return NotEvaluable("background_zeroed")  # what was beyond the edge is not known
    smooth = ndimage.median_filter(np.array(shares), SHORTEST_RUN, mode="nearest")
    worst = int(smooth.argmax())
    p_mm = volume.grid.plane_positions_mm
    hit = [float(p_mm[s.plane]) for s, share in zip(inputs.body, smooth, strict=True) if share > 0]
    longest_mm = float(max(arcs))
    side = _side(towards[worst] if shares[worst] else np.sum(towards, axis=0))
    where = (
        Location("slices", {"p_mm": hit[:200]}),
        Location("side", {"side": side, "arc_mm": round(longest_mm, 1)}),
    )
    return Measured(
        float(smooth[worst]),
        where=where if hit else (),
        params={"side_zh": SIDES_ZH[side], "side_en": SIDES_EN[side], "arc_mm": longest_mm},
        evidence={
            "planes_used": float(len(shares)),
            "planes_cut": float(len(hit)),
            "arc_mm": longest_mm,
            "field_radius_mm": radius_mm if math.isfinite(radius_mm) else 0.0,
        },
    )


SIDES_ZH = {"L": "左侧", "R": "右侧", "A": "前方", "P": "后方", "H": "头侧", "F": "足侧", "": "多侧"}
SIDES_EN = {
    "L": "left",
    "R": "right",
    "A": "front",
    "P": "back",
    "H": "head side",
    "F": "foot side",
    "": "several sides",
}


def _edge(volume: Volume, section: BodySection, radius_mm: float) -> NDArray[np.bool_]:
    """Pixels of the section's mask that lie within 1.5 of its pixels of the edge of the field."""
    rows, columns = section.mask.shape
    dy, dx = (mm * section.step for mm in volume.grid.pixel_spacing_mm)
    edge = np.zeros((rows, columns), dtype=np.bool_)
    edge[0], edge[-1], edge[:, 0], edge[:, -1] = True, True, True, True
    if math.isfinite(radius_mm):
        full_rows, full_columns = volume.array.shape[1:]
        y = np.arange(rows) * dy - (full_rows - 1) / 2 * dy / section.step
        x = np.arange(columns) * dx - (full_columns - 1) / 2 * dx / section.step
        edge |= np.hypot(y[:, None], x[None, :]) >= radius_mm - EDGE_PIXELS * max(dy, dx)
    return edge


def _rim(volume: Volume, sections: tuple[BodySection, ...]) -> tuple[NDArray[np.bool_] | None, bool]:
    """Pixels beside padding that cuts body, or None; and whether a mask has cut the body out instead."""
    padding = padding_mask(volume, [s.plane for s in sections])
    rim = None if padding is None else rim_of(padding)
    if padding is None or rim is None or not any(body_beside(volume.array[s.plane], rim).any() for s in sections):
        return None, False
    is_masked = is_masked_body(volume, sections, padding, rim)
    return (None if is_masked else rim), is_masked


def _beside_padding(volume: Volume, section: BodySection, rim: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the section's mask at which body ends at padding within one pixel."""
    hard = body_beside(volume.array[section.plane], rim)
    if hard.any():
        hard = ndimage.binary_dilation(hard, np.ones((2 * section.step + 1,) * 2))
    return np.asarray(hard[:: section.step, :: section.step])


def _direction_lps(volume: Volume, cut: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sum of the directions from the picture's centre to the pixels cut, in patient LPS."""
    rows, columns = np.nonzero(cut)
    y = (rows - (cut.shape[0] - 1) / 2).sum() * volume.grid.pixel_spacing_mm[0]
    x = (columns - (cut.shape[1] - 1) / 2).sum() * volume.grid.pixel_spacing_mm[1]
    return np.asarray(x * volume.grid.row_direction + y * volume.grid.column_direction)


def _side(direction: NDArray[np.float64]) -> str:
    """Letter of the patient's side that a direction points to."""
    axis = int(np.abs(direction).argmax())
    if not direction[axis]:
        return ""
    return ("LPH" if direction[axis] > 0 else "RAF")[axis]
