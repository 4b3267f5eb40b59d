"""A tiny bundle that gives points, as `valve_landmarks` is written, whose answers are known; holds no tests."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid
from tests.monai_bundles.zoo_making import make_zoo_bundle, metadata
from tests.synthetic.cines import CINE
from tests.synthetic.series import SeriesDescription

__all__ = ["NAMES", "SIZE_PX", "place", "plane_folder", "point_folder", "point_metadata", "spotted"]

NAMES = ("mitral septal", "mitral free wall", "tricuspid septal")
SIZE_PX = (48, 53)
"""(columns, rows) that the network takes: larger than the cine's planes, and not square."""

PLACES = ((23, 11), (9, 31))
"""(column, row) of the two spots on the first phase; each moves by a pixel from phase to phase, another way."""

MOVES = ((1, 2), (2, -1))

CODE = '''
from typing import Any, Callable

import numpy as np
import torch
from monai.inferers import Inferer
from monai.transforms import MapTransform


class SpotFinder(torch.nn.Module):
    """Middles of two bright spots, told apart by how bright they are; a third point that is never there."""

    def __init__(self, in_shape, out_shape):
        super().__init__()
        self.pixels = int(np.product(in_shape))
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)
        self.keep = torch.nn.Conv2d(1, 1, 1, bias=False)
        self.limits = torch.nn.Parameter(torch.zeros(2, 2))

    def forward(self, x):
        if tuple(x.shape[1:]) != self.in_shape:
            raise RuntimeError(f"planes of {tuple(x.shape[1:])}, trained on {self.in_shape}")
        x = self.keep(x)[:, 0]
        first = torch.arange(x.shape[1]).float()[None, :, None]
        second = torch.arange(x.shape[2]).float()[None, None, :]
        points = []
        for low, high in self.limits:
            inside = ((x > low) & (x <= high)).float()
            total = inside.sum((1, 2))
            points.append(torch.stack([(inside * axis).sum((1, 2)) / total for axis in (first, second)], 1))
        points.append(torch.full_like(points[0], 0.4))
        return torch.stack(points, 2)


class PhaseInferer(Inferer):
    """The network on each of the phases that lie along one axis."""

    def __init__(self, spatial_dim=0, stack_dim=-1):
        self.spatial_dim, self.stack_dim = spatial_dim, stack_dim

    def __call__(self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any):
        if inputs.ndim != 5:
            raise ValueError("phases of planes are wanted")
        places = [slice(None) for _ in range(inputs.ndim)]
        results = []
        for n in range(inputs.shape[self.spatial_dim + 2]):
            places[self.spatial_dim + 2] = n
            results.append(network(inputs[tuple(places)]))
        return torch.stack(results, self.stack_dim)


class ArraySaverd(MapTransform):
    """Writes arrays beside its input, which nobody here has."""

    def __init__(self, keys, output_dir, data_root_dir):
        super().__init__(keys)
        raise RuntimeError("savers are not built here")
'''


def point_metadata(**changes: Any) -> dict[str, Any]:
    """Metadata as the bundle for valves writes them: the outputs' channels are axes, the names stand elsewhere."""
    content = metadata({}, task="Given long axis MR images of the heart, identify valves", name="Planted landmarks")
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": "MR",
        "num_channels": 1,
        "spatial_shape": list(SIZE_PX),
        "channel_def": {"0": "image"},
    }
    pred = {
        "type": "tuples",
        "format": "points",
        "num_channels": 2,
        "spatial_shape": [2, len(NAMES)],
        "channel_def": {"0": "Y Dimension", "1": "X Dimension"},
    }
    content["network_data_format"] = {"inputs": {"image": image}, "outputs": {"pred": pred}}
    content["coordinate_meanings"] = {str(number): name for number, name in enumerate(NAMES)}
    return {**content, **changes}


def state() -> dict[str, Any]:
    """Weights: which brightness, of 0 to 1, belongs to which spot."""
    import torch

    return {"keep.weight": torch.ones(1, 1, 1, 1), "limits": torch.tensor([[0.9, 1.0], [0.6, 0.75]])}


def point_folder(folder: Path, meta: dict[str, Any] | None = None, **changes: Any) -> Path:
    """The bundle: one file of phases, transforms without keys, code of its own, saved as an array.

    Parameters
    ----------
    changes
        Entries of its configuration.
    """
    config: dict[str, Any] = {
        "imports": ["$import os", "$import glob", "$import scripts"],
        "network_def": {
            "_target_": "scripts.points.SpotFinder",
            "in_shape": [1, *SIZE_PX],
            "out_shape": [2, len(NAMES)],
        },
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImage", "image_only": "true"},
                {"_target_": "EnsureType", "device": "@device"},
                {"_target_": "Transpose", "indices": [2, 0, 1, 3]},
                {"_target_": "ScaleIntensity"},
            ],
        },
        "inferer": {"_target_": "scripts.points.PhaseInferer", "spatial_dim": 2, "stack_dim": 1},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "SqueezeDimd", "keys": "pred", "dim": 0},
                {
                    "_target_": "scripts.points.ArraySaverd",
                    "keys": "pred",
                    "output_dir": "@output_dir",
                    "data_root_dir": "@dataset_dir",
                },
            ],
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
            "decollate": False,
            "prepare_batch": "$lambda batch, dev, nb: (batch.to(dev), ())",
        },
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        **changes,
    }
    meta = meta or point_metadata()
    root = make_zoo_bundle(
        folder, "planted_valve_landmarks", config=config, meta=meta, state=state(), entry="evaluating"
    )
    (root / "scripts").mkdir()
    (root / "scripts" / "__init__.py").write_text("from .points import *\n", encoding="utf-8")
    (root / "scripts" / "points.py").write_text(CODE, encoding="utf-8")
    return root


def plane_folder(folder: Path, *steps: dict[str, Any], size: tuple[int, int] | None = None) -> Path:
    """The same network on one plane after the other, by keys, with further steps of preprocessing."""
    shape = [1, *(size or SIZE_PX)]
    return point_folder(
        folder,
        network_def={"_target_": "scripts.points.SpotFinder", "in_shape": shape, "out_shape": [2, len(NAMES)]},
        preprocessing={
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                *steps,
                {"_target_": "ScaleIntensityd", "keys": "image"},
            ],
        },
        inferer={"_target_": "SimpleInferer"},
        postprocessing=None,
        evaluator=None,
    )


def spotted(where: Grid | SeriesDescription = CINE) -> NDArray[np.uint16]:
    """Phases, or planes, with two spots of five pixels; only their middles are told by the network."""
    shape = where.shape if isinstance(where, Grid) else (where.planes, where.rows, where.columns)
    t, j, i = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    values = 3.0 * i + 2.0 * j
    for value, (column, row), (across, down) in zip((1000, 680), PLACES, MOVES, strict=True):
        middle_i, middle_j = column + across * t, row + down * t
        values[(abs(i - middle_i) + abs(j - middle_j)) <= 1] = value
    return np.asarray(values, dtype=np.uint16)


def place(spot: int, phase: int) -> tuple[float, float]:
    """(column, row) of a spot on a phase."""
    (column, row), (across, down) = PLACES[spot], MOVES[spot]
    return float(column + across * phase), float(row + down * phase)
