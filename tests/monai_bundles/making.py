"""Makers of tiny bundles, grids and images for the tests of monai_bundles; holds no tests."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid
from imaging.volume import Volume
from monai_bundles.seal import seal

__all__ = ["ABOVE_HU", "BELOW_HU", "GRIDS", "make_bundle", "make_volume", "planted_image", "threshold_weights"]

ABOVE_HU, BELOW_HU = 200.5, -300.5
"""Limits of the planted network: structure `Bone` lies above the first, `Lung_L` below the second."""

HU = "[hnsf'U]"
THRESHOLD_NETWORK = {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 2, "kernel_size": 1}

TURNED = np.array([
    [0.936293, 0.275096, -0.218351],
    [-0.289629, 0.956425, -0.036957],
    [0.198669, 0.097843, 0.975170],
])
"""Columns are orthonormal to six digits; `rotation` makes them exact."""


def rotation() -> NDArray[np.float64]:
    """A rotation about all three axes."""
    q, _ = np.linalg.qr(TURNED)
    return q * np.sign(np.diag(q))


def grid_of(
    axes: tuple[int, int, int], signs: tuple[int, int, int], turned: bool, shape: tuple[int, int, int] = (14, 19, 23)
) -> Grid:
    """A grid whose planes, rows and columns step along LPS axes `axes` with `signs`, if wanted turned by 17 degrees."""
    directions = np.zeros((3, 3))
    for array_axis, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        directions[array_axis, axis] = sign
    if turned:
        directions = directions @ rotation().T
    # Planes ascend along row direction x column direction, so a left-handed choice turns the planes round.
    if np.linalg.det(directions) * 1.0 != 0 and np.dot(np.cross(directions[2], directions[1]), directions[0]) < 0:
        directions[0] *= -1
    return Grid(
        positions_lps=np.array([[-31.7, 12.3, 405.9]]) + np.arange(shape[0])[:, None] * 2.7 * directions[0],
        row_direction=directions[2],
        column_direction=directions[1],
        pixel_spacing_mm=(1.9, 1.3),
        rows=shape[1],
        columns=shape[2],
        frame_of_reference_uid="1.2.826.0.1.3680043.8.498.1",
    )


GRIDS: dict[str, Callable[[], Grid]] = {
    "axial": lambda: grid_of((2, 1, 0), (1, 1, 1), turned=False),
    "axial, prone, feet first": lambda: grid_of((2, 1, 0), (-1, -1, 1), turned=False),
    "sagittal": lambda: grid_of((0, 2, 1), (1, -1, 1), turned=False),
    "coronal": lambda: grid_of((1, 2, 0), (1, -1, 1), turned=False),
    "oblique": lambda: grid_of((2, 1, 0), (1, 1, 1), turned=True),
    "oblique, flipped": lambda: grid_of((2, 1, 0), (1, -1, -1), turned=True),
    "oblique sagittal": lambda: grid_of((0, 2, 1), (-1, -1, 1), turned=True),
}


def planted_image(shape: tuple[int, int, int]) -> NDArray[np.int16]:
    """Integers from -1000 to 1000 that no flip, transposition or shift leaves unchanged."""
    rng = np.random.default_rng(7)
    k, j, i = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    image = 40.0 * k - 25.0 * j + 12.0 * i + rng.normal(0, 220, shape)
    return np.clip(np.round(image - image.mean()), -1000, 1000).astype(np.int16)


def make_volume(grid: Grid, array: NDArray[Any] | None = None, unit: str = HU) -> Volume:
    """A volume on a grid, by default with the planted image."""
    return Volume(array=planted_image(grid.shape) if array is None else array, grid=grid, unit=unit)


def threshold_weights() -> dict[str, Any]:
    """Weights of a 1 x 1 x 1 convolution whose two logits change sign at the planted limits."""
    import torch

    return {
        "weight": torch.tensor([[[[[0.05]]]], [[[[-0.05]]]]]),
        "bias": torch.tensor([-0.05 * ABOVE_HU, 0.05 * BELOW_HU]),
    }


def make_bundle(
    folder: Path,
    name: str = "planted_threshold",
    network: Mapping[str, Any] = THRESHOLD_NETWORK,
    weights: Mapping[str, Any] | None = None,
    steps: list[dict[str, Any]] | None = None,
    inferer: Mapping[str, Any] | None = None,
    structures: tuple[str, ...] = ("Bone", "Lung_L"),
    radgate: Mapping[str, Any] | None = None,
) -> Path:
    """A sealed bundle in MONAI layout in `folder/name`, by default one whose network thresholds its input."""
    import torch

    root = folder / name
    (root / "configs").mkdir(parents=True)
    (root / "models").mkdir()
    (root / "docs").mkdir()
    (root / "docs" / "README.md").write_text("# A planted bundle\n", encoding="utf-8")
    (root / "LICENSE").write_text("Apache-2.0\n", encoding="utf-8")
    torch.save(dict(weights) if weights is not None else threshold_weights(), root / "models" / "model.pt")
    channels = {str(i): structure for i, structure in enumerate(structures)}
    _write(
        root,
        "metadata",
        {
            "version": "0.3.1",
            "changelog": {"0.3.1": "made by a test"},
            "monai_version": "1.6.1",
            "pytorch_version": "2.13.0",
            "numpy_version": "2.4.6",
            "task": "planted",
            "description": "planted",
            "authors": "tests",
            "copyright": "tests",
            "network_data_format": {"inputs": {}, "outputs": {"pred": {"channel_def": channels}}},
        },
    )
    _write(
        root,
        "inference",
        {
            "network_def": dict(network),
            "preprocessing": {
                "_target_": "Compose",
                "transforms": [
                    {"_target_": "LoadImaged", "keys": "image"},
                    {"_target_": "EnsureChannelFirstd", "keys": "image"},
                    *(steps or []),
                ],
            },
            "inferer": dict(inferer or {"_target_": "SimpleInferer"}),
            "postprocessing": {
                "_target_": "Compose",
                "transforms": [{"_target_": "Activationsd", "keys": "pred", "sigmoid": True}],
            },
        },
    )
    _write(
        root,
        "radgate",
        {
            "title": {"en": "Planted", "zh": "测试"},
            "intended_use": {"en": "Tests.", "zh": "测试。"},
            "licence": "Apache-2.0",
            "accepts": {"modalities": ["CT"], "units": [HU]},
            "structures": [{"label": i + 1, "name": s} for i, s in enumerate(structures)],
            "required_checks": [],
            "weights_sha256": {},
            **(radgate or {}),
        },
    )
    seal(root)
    return root


def edit(root: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change one of a bundle's configuration files in place."""
    path = root / "configs" / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _write(root: Path, name: str, content: Mapping[str, Any]) -> None:
    (root / "configs" / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
