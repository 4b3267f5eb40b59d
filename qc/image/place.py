"""The picture of a finding's place: the plane that shows it, beside a scout of the series with the place marked."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["Scene", "place_picture"]

HEIGHT_PX = 300
MOST_WIDTH_PX = 420
MARK = (255, 196, 0)
GAP = (214, 48, 49)
WINDOW_HU = (-160.0, 240.0)
LUNG_WINDOW_HU = (-1000.0, 400.0)
SCOUT_WINDOW_HU = (-300.0, 900.0)
MARGIN_PX = 6
STRIP_PX = 12


class Scene:
    """What a picture is made of.

    Parameters
    ----------
    plane
        Values of the plane nearest to the place, shape (rows, columns), grey or (rows, columns, 3).
    spacing_mm
        (between rows, between columns).
    modality
        Decides the window.
    directions
        Unit vectors of growing columns and rows in LPS; None where the picture has no place in space.
    scout
        Positions (mm, ascending) and rows of the series so far; None where there are too few planes.
    """

    def __init__(
        self,
        plane: NDArray[Any],
        spacing_mm: tuple[float, float],
        modality: str,
        directions: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
        scout: tuple[NDArray[np.float64], NDArray[np.int16]] | None = None,
    ) -> None:
        self.plane = plane
        self.spacing_mm = spacing_mm
        self.modality = modality
        self.directions = directions
        self.scout = scout


def place_picture(scene: Scene, where: Sequence[Mapping[str, Any]], check_id: str) -> bytes:
    """A PNG, 300 pixels high: the plane with the side or box marked, and the scout with the planes of the finding.

    Parameters
    ----------
    where
        Locations of the finding as in its JSON.
    check_id
        Missing slices are drawn as an empty band, other places as lines.
    """
    plane = _plane_image(scene)
    _mark_plane(plane, scene, where)
    parts = [plane]
    positions = [float(p) for w in where if w.get("kind") == "slices" for p in w.get("p_mm", ())]
    if scene.scout is not None:
        parts.append(_scout_image(scene, positions, is_gap=check_id == "gen.geometry.missing"))
    width = sum(p.width for p in parts) + MARGIN_PX * (len(parts) - 1)
    sheet = Image.new("RGB", (width, HEIGHT_PX), (16, 20, 24))
    left = 0
    for part in parts:
        sheet.paste(part, (left, 0))
        left += part.width + MARGIN_PX
    buffer = BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _plane_image(scene: Scene) -> Image.Image:
    values = scene.plane
    if values.ndim == 3:
        image = Image.fromarray(_grey(values.astype(np.float64), (0.0, float(max(1, values.max())))))
    else:
        image = Image.fromarray(_grey(values.astype(np.float64), _window(scene))).convert("RGB")
    scaled = image.resize(_size_px(scene), Image.Resampling.BILINEAR)
    sheet = Image.new("RGB", (scaled.width, HEIGHT_PX), (16, 20, 24))
    sheet.paste(scaled, (0, (HEIGHT_PX - scaled.height) // 2))
    return sheet


def _size_px(scene: Scene) -> tuple[int, int]:
    """(width, height) of the plane in its true proportions, as high as the sheet or as wide as may be."""
    height_mm = scene.plane.shape[0] * scene.spacing_mm[0]
    width_mm = scene.plane.shape[1] * scene.spacing_mm[1]
    width = max(24, round(HEIGHT_PX * width_mm / max(height_mm, 1e-6)))
    if width <= MOST_WIDTH_PX:
        return width, HEIGHT_PX
    return MOST_WIDTH_PX, max(24, round(HEIGHT_PX * MOST_WIDTH_PX / width))


def _window(scene: Scene) -> tuple[float, float]:
    if scene.modality == "CT":
        # A plane of mostly lung or air would be black in the window of soft tissue.
        inside = scene.plane[(scene.plane > -950)]
        lung = inside.size > 0 and np.count_nonzero(inside < -500) > 0.3 * inside.size
        return LUNG_WINDOW_HU if lung else WINDOW_HU
    low, high = np.percentile(scene.plane, [1, 99.5])
    return float(low), float(max(high, low + 1))


def _grey(values: NDArray[np.float64], window: tuple[float, float]) -> NDArray[np.uint8]:
    share = (values - window[0]) / (window[1] - window[0])
    return np.asarray(np.clip(share * 255, 0, 255), dtype=np.uint8)


def _mark_plane(image: Image.Image, scene: Scene, where: Sequence[Mapping[str, Any]]) -> None:
    """A bar along the side that a location names; the rectangle of a box in pixels."""
    draw = ImageDraw.Draw(image)
    rows, columns = scene.plane.shape[:2]
    width, height = _size_px(scene)
    margin = (HEIGHT_PX - height) // 2
    for location in where:
        if location.get("kind") == "side" and scene.directions is not None:
            edge = _edge_of(str(location.get("side", "")), scene.directions)
            w, first, last = width - 1, margin, margin + height - 1
            lines = {
                "left": (2, first, 2, last),
                "right": (w - 2, first, w - 2, last),
                "top": (0, first + 2, w, first + 2),
                "bottom": (0, last - 2, w, last - 2),
            }
            if edge:
                draw.line(lines[edge], fill=GAP, width=6)
        if location.get("kind") == "box_px":
            top, bottom = location.get("rows") or (0, rows)
            left, right = location.get("columns") or (0, columns)
            across, down = width / columns, height / rows
            corners = (left * across, margin + top * down, right * across - 1, margin + bottom * down - 1)
            draw.rectangle(corners, outline=GAP, width=3)


def _edge_of(side: str, directions: tuple[NDArray[np.float64], NDArray[np.float64]]) -> str:
    """Edge of the picture that lies towards a side of the patient; "" where none does."""
    axes = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "H": (2, 1), "F": (2, -1)}
    if side not in axes:
        return ""
    axis, sign = axes[side]
    across, down = (float(d[axis]) * sign for d in directions)
    if max(abs(across), abs(down)) < 0.3:
        return ""
    if abs(across) >= abs(down):
        return "right" if across > 0 else "left"
    return "bottom" if down > 0 else "top"


def _scout_image(scene: Scene, positions: Sequence[float], *, is_gap: bool) -> Image.Image:
    """The series from its last position at the top to its first, each plane as high as it is thick."""
    assert scene.scout is not None  # noqa: S101 - the caller has asked
    p_mm, rows = scene.scout
    steps = np.diff(p_mm)
    step = float(np.median(steps)) if len(steps) else 1.0
    low = min([float(p_mm[0]), *positions]) - step / 2
    high = max([float(p_mm[-1]), *positions]) + step / 2
    width_mm = scene.plane.shape[1] * scene.spacing_mm[1]
    px_per_mm = min(HEIGHT_PX / max(high - low, 1e-6), MOST_WIDTH_PX / max(width_mm, 1e-6))
    height, width = max(2, round((high - low) * px_per_mm)), max(24, round(width_mm * px_per_mm))
    levels = high - (np.arange(height) + 0.5) / px_per_mm
    nearest = np.abs(levels[:, None] - p_mm[None, :]).argmin(axis=1)
    is_there = np.abs(levels - p_mm[nearest]) <= 0.75 * step
    window = SCOUT_WINDOW_HU if scene.modality == "CT" else (float(rows.min()), float(max(rows.max(), rows.min() + 1)))
    grey = _grey(rows.astype(np.float64)[nearest], window)
    grey[~is_there] = 0
    image = Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR).convert("RGB")
    sheet = Image.new("RGB", (width, HEIGHT_PX), (16, 20, 24))
    top = (HEIGHT_PX - height) // 2
    sheet.paste(image, (0, top))
    draw = ImageDraw.Draw(sheet, "RGBA")
    for place in positions:
        y = top + (high - place) * px_per_mm
        half = max(1.0, step * px_per_mm / 2)
        if is_gap:
            draw.rectangle((0, y - half, width, y + half), fill=(*GAP, 230))
        else:
            draw.rectangle((0, y - half, STRIP_PX, y + half), fill=(*MARK, 255))
            draw.line((STRIP_PX, y, width, y), fill=(*MARK, 70))
    return sheet
