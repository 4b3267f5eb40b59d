"""How the contours of a structure set are drawn: the form of holes, and the digits of coordinates."""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from contouring.contours import Contours
from contouring.profiles.finding import Finding, broken
from contouring.profiles.load import Profile
from contouring.rtstruct_parse import ParsedStructureSet, coordinate_texts

__all__ = ["check_drawing"]

FloatArray = NDArray[np.float64]

SAME_PLANE_MM = 0.01
SAMPLES = 16
"""Vertices of a ring that say whether it lies inside another: rings of one plane do not cross, but may touch."""

EXPONENT = re.compile(rb"(?:\.(\d*))?[eE]([+-]?\d+)")


def check_drawing(ds: Dataset, parsed: ParsedStructureSet, rules: Profile) -> Iterator[Finding]:
    """Holes drawn in another form than the profile's, and coordinates with more digits than it takes."""
    for roi in parsed.rois:
        if roi.fault is not None:
            continue
        for form, count in _hole_forms(roi.contours).items():
            if count and form != rules.holes:
                yield broken(
                    rules,
                    "holes",
                    "(3006,0040)",
                    f"ROI {roi.number}: {count} contours as {form}",
                    f"write holes as {rules.holes}, with radgate contour to-rtstruct --profile {rules.name}",
                )
    most: dict[int, int] = {}
    for number, data in coordinate_texts(ds):
        if _most_decimals(data, rules.value("decimals")) > rules.value("decimals"):
            data = _without_slice_position(data)
        most[number] = max(most.get(number, 0), _most_decimals(data, rules.value("decimals")))
    for number, digits in most.items():
        if digits > rules.value("decimals"):
            yield broken(
                rules,
                "decimals",
                "(3006,0050)",
                f"ROI {number}: {digits} digits after the point",
                f"round to {rules.value('decimals')}",
            )


def _without_slice_position(data: bytes) -> bytes:
    """The values of a contour less the coordinates that are the same all along.

    Of a contour along the axes that is where its slice lies, with the digits of the image, so that it compares equal.
    """
    values = data.split(b"\\")
    varying = (values[axis::3] for axis in range(3) if len(set(values[axis::3])) > 1)
    return b"\\".join(value for values in varying for value in values)


def _most_decimals(data: bytes, limit: int) -> int:
    """Most digits after the point of any number, without zeros at the end; 0 where none has more than the limit."""
    plain = re.finditer(rb"\.(\d{%d,})(?![\deE])" % (limit + 1), data)
    most = max((len(m[1].rstrip(b"0")) for m in plain), default=0)
    if b"e" not in data and b"E" not in data:
        return most
    powers = (len((m[1] or b"").rstrip(b"0")) - int(m[2]) for m in EXPONENT.finditer(data))
    return max(most, max(powers, default=0))


def _hole_forms(contours: Contours) -> dict[str, int]:
    """How many contours are holes of each form."""
    xor = sum(kind == "CLOSEDPLANAR_XOR" for kind in contours.types)
    closed = np.array([t == "CLOSED_PLANAR" for t in contours.types], dtype=np.bool_) & (contours.counts >= 3)
    chosen = np.flatnonzero(closed)
    if not len(chosen):
        return {"xor": xor}
    rings = [contours.polygon(int(n)) for n in chosen]
    # The largest ring gives the plane: half the sum of the cross products of its vertices.
    vectors = np.array([np.cross(r - r[0], np.roll(r, -1, axis=0) - r[0]).sum(axis=0) for r in rings])
    normal = vectors[np.linalg.norm(vectors, axis=1).argmax()]
    if not normal.any():
        return {"xor": xor}
    normal = normal / np.linalg.norm(normal)
    across = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    plane_axes = np.stack([across / np.linalg.norm(across), np.cross(normal, across / np.linalg.norm(across))])
    flat = [r @ plane_axes.T for r in rings]
    heights = np.array([float((r @ normal).mean()) for r in rings])
    return {
        "xor": xor,
        "nested": sum(_is_hole(n, flat, np.flatnonzero(np.abs(heights - heights[n]) <= SAME_PLANE_MM))
                      for n in range(len(flat))),
        "keyhole": sum(_has_channel(r) for r in flat),
    }  # fmt: skip


def _is_hole(ring: int, flat: list[FloatArray], same_plane: NDArray[np.intp]) -> bool:
    """Whether a ring lies inside an odd number of others of its plane."""
    own = flat[ring]
    low, high = own.min(axis=0), own.max(axis=0)
    depth = 0
    for other in same_plane:
        around = flat[other]
        first, last = around.min(axis=0), around.max(axis=0)
        # A copy has the same bounds, and is no hole.
        within = (low >= first).all() and (high <= last).all() and bool((low > first).any() or (high < last).any())
        if within:
            depth += _share_inside(own[:: max(1, len(own) // SAMPLES)], around) > 0.5
    return depth % 2 == 1


def _share_inside(points: FloatArray, ring: FloatArray) -> float:
    """Share of the points that a ray along the first axis says are inside."""
    u0, w0 = ring.T
    u1, w1 = np.roll(ring, -1, axis=0).T
    u, w = points[:, :1], points[:, 1:]
    crossed = (w0 <= w) != (w1 <= w)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = u0 + (w - w0) * (u1 - u0) / (w1 - w0)
    return float((((crossed & (at > u)).sum(axis=1)) % 2 == 1).mean())


def _has_channel(ring: FloatArray) -> bool:
    """Whether the path runs along one of its sides in both directions, as the channel of a keyhole does."""
    # One whole number a vertex, which is sorted many times quicker than rows of two.
    place = np.rint((ring - ring.min(axis=0)) * 1000).astype(np.int64)
    _, vertex = np.unique(place[:, 0] * (int(place[:, 1].max()) + 1) + place[:, 1], return_inverse=True)
    start = np.asarray(vertex).ravel().astype(np.int64)
    end = np.roll(start, -1)
    moved = start != end
    start, end, size = start[moved], end[moved], len(ring)
    return bool(np.isin(start * size + end, end * size + start).any())
