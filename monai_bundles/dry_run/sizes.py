"""How small an image a bundle can be tried on: windows and edges from the smallest to its own, and its spacing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monai_bundles.config import looked_up, targets
from monai_bundles.dry_run.images import PICTURES
from monai_bundles.memory import smaller_windows
from monai_bundles.metadata import declared_images

__all__ = ["Size", "declared_shapes", "sizes_of", "target_spacing_mm"]

EDGES = {2: (64, 128, 256), 3: (32, 64, 96)}
"""Edges of images for a network without windows, voxels: most networks halve no more than five times."""

MOST_VOXELS = 128**3

SHARES = (0.75, 0.7, 0.65)
"""Of a window, along X, Y and Z: one window holds the image."""

LEAST_EDGE = 12
SLICES = 3
DEFAULT_MM = 1.5
PLANE_MM = 4.0


@dataclass(frozen=True)
class Size:
    """One size to try.

    Parameters
    ----------
    window
        Of the inferer; empty where it has none, or none that could be changed.
    shape
        Of the image, (planes, rows, columns).
    """

    window: tuple[int, ...]
    shape: tuple[int, int, int]


def sizes_of(inferer: Any, dims: int, metadata: Mapping[str, Any], *, in_planes: bool) -> list[Size]:
    """Sizes from the smallest to the bundle's own.

    Parameters
    ----------
    inferer
        Of the bundle.
    dims
        Spatial dimensions of its network.
    metadata
        Of the bundle; they may say which size the network takes.
    in_planes
        Whether the network is given one plane after the other.
    """
    roi = getattr(inferer, "roi_size", None)
    if isinstance(roi, int):
        roi = (roi,) * dims
    if isinstance(roi, list | tuple) and roi and all(isinstance(n, int) for n in roi):
        return [Size(window, _shape(window, inferer, in_planes=in_planes)) for window in smaller_windows(roi)[::-1]]
    edges = [(edge,) * dims for edge in EDGES.get(dims, EDGES[3])]
    own = next((shape for shape in declared_shapes(metadata) if len(shape) == dims and min(shape) > 0), ())
    voxels = 1
    for edge in own:
        voxels *= edge
    if own and voxels <= MOST_VOXELS:
        edges.append(own)
    # A network that takes planes sees X and Y; its image has a few of them.
    return [Size((), (e[2] if dims > 2 else PICTURES, e[1], e[0])) for e in dict.fromkeys(edges)]


def declared_shapes(metadata: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """Spatial shapes of the inputs as the metadata say them; 0 along an axis that may have any length."""
    shapes = [image.get("spatial_shape") for image in declared_images(metadata, "inputs").values()]
    return [
        tuple(n if isinstance(n, int) else 0 for n in shape) for shape in shapes if isinstance(shape, list) and shape
    ]


def target_spacing_mm(config: dict[str, Any]) -> tuple[float, float, float]:
    """The spacing (x, y, z) to which preprocessing resamples, so that the made image keeps its voxels."""
    for _, entry in targets(config):
        if entry["_target_"].rpartition(".")[2] not in {"Spacingd", "Spacing"}:
            continue
        value = entry.get("pixdim")
        if isinstance(value, str) and value.startswith("@"):
            value = looked_up(config, value[1:])
        numbers = [float(n) for n in value if isinstance(n, int | float)] if isinstance(value, list) else []
        if len(numbers) == len(value or ()) and len(numbers) in {2, 3} and min(numbers) > 0:
            x, y, z = [*numbers, PLANE_MM][:3]
            return (x, y, z)
    return (DEFAULT_MM, DEFAULT_MM, DEFAULT_MM)


def _shape(window: tuple[int, ...], inferer: Any, *, in_planes: bool) -> tuple[int, int, int]:
    """An image that one window holds; few slices where a slice is a window."""
    edges = [max(LEAST_EDGE, int(n * share)) for n, share in zip(window, SHARES, strict=False)]
    if len(window) == 2 and in_planes:
        return (PICTURES, edges[1], edges[0])
    if len(window) == 2:
        edges.insert(int(getattr(inferer, "spatial_dim", 2)), SLICES)
    return (edges[2], edges[1], edges[0])
