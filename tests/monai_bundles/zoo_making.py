"""Makers of small bundles in the Model Zoo's layout, each with some of the traps of real ones; holds no tests."""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

__all__ = ["HIGH", "LOW", "evaluator", "make_zoo_bundle", "metadata", "post", "pre", "threshold_network"]

HIGH, LOW = 200.5, -300.5
"""The planted network: channel 0 background, 1 above the first limit, 2 below the second."""

DEVICE = "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')"

APACHE = "Apache License\nVersion 2.0, January 2004\n"


def threshold_network(spatial_dims: int = 3) -> dict[str, Any]:
    """A 1 x 1 x 1 convolution."""
    return {
        "_target_": f"torch.nn.Conv{spatial_dims}d",
        "in_channels": 1,
        "out_channels": 3,
        "kernel_size": 1,
    }


def threshold_state(spatial_dims: int = 3) -> dict[str, Any]:
    """Its weights: three logits, of which the highest says where the value lies."""
    import torch

    ones = (1,) * spatial_dims
    weight = torch.tensor([0.0, 0.05, -0.05]).reshape(3, 1, *ones)
    return {"weight": weight, "bias": torch.tensor([0.0, -0.05 * HIGH, 0.05 * LOW])}


def pre(*steps: Mapping[str, Any], key: str = "image") -> dict[str, Any]:
    """Preprocessing as most bundles write it."""
    return {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": key, "reader": "ITKReader"},
            {"_target_": "EnsureChannelFirstd", "keys": key, "meta_key_postfix": "meta_dict"},
            {"_target_": "Orientationd", "keys": key, "axcodes": "RAS"},
            *[dict(s) for s in steps],
            {"_target_": "EnsureTyped", "keys": key},
        ],
    }


def post(*steps: Mapping[str, Any], nearest: bool = False) -> dict[str, Any]:
    """Postprocessing as most bundles write it: softmax, inverse, argmax, save."""
    usual: list[dict[str, Any]] = [
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": "@preprocessing",
            "orig_keys": "image",
            "meta_key_postfix": "meta_dict",
            "nearest_interp": nearest,
            "to_tensor": True,
        },
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
    ]
    save = {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "meta_keys": "pred_meta_dict"}
    return {"_target_": "Compose", "transforms": [*(usual if not steps else [dict(s) for s in steps]), save]}


def evaluator(entry: str = "run", *, trap: str = "") -> dict[str, Any]:
    """Data, handlers, evaluator and the entry that starts it, under the name that a bundle chose."""
    imports = "import" if trap == "import" else "imports"
    return {
        imports: ["$import glob", "$import os", "$import pandas as pd"],
        "bundle_root": "/workspace/bundle/somewhere",
        "output_dir": "$@bundle_root + '/eval'",
        "dataset_dir": "/workspace/data/Task09",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
        "device": DEVICE,
        "network": "$@network_def.to(@device)",
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': i} for i in @datalist[:5]]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 4},
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "$@bundle_root + '/models/model.pt'",
                "load_dict": {"model": "@network"},
            },
            {"_target_": "StatsHandler", "iteration_log": False},
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
            "amp": True,
        },
        entry: ["$setattr(torch.backends.cudnn, 'benchmark', True)", "$@evaluator.run()"],
    }


def metadata(outputs: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    """Metadata with the outputs' own words."""
    content: dict[str, Any] = {
        "version": "0.5.3",
        "changelog": {"0.5.3": "made by a test"},
        "monai_version": "1.4.0",
        "pytorch_version": "2.4.0",
        "numpy_version": "1.24.4",
        "name": "Planted organ segmentation",
        "task": "Planted segmentation",
        "description": "A planted network that segments CT by two limits",
        "authors": "tests",
        "copyright": "tests",
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "hounsfield",
                    "modality": "CT",
                    "num_channels": 1,
                    "spatial_shape": [16, 16, 16],
                    "channel_def": {"0": "image"},
                }
            },
            "outputs": {"pred": {"type": "image", "format": "segmentation", "channel_def": dict(outputs)}},
        },
    }
    return {**content, **changes}


USUAL_OUTPUTS = {"0": "background", "1": "spleen", "2": "left lung"}


def make_zoo_bundle(
    folder: Path,
    name: str = "planted_ct_segmentation",
    *,
    config: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
    state: Any = None,
    weights: str = "models/model.pt",
    entry: str = "run",
    large_files: bool = True,
    suffix: str = "json",
) -> Path:
    """A bundle in the Model Zoo's layout, without anything of radgate's, in `folder/name`."""
    import torch

    root = folder / name
    for part in ("configs", "models", "docs"):
        (root / part).mkdir(parents=True)
    (root / "LICENSE").write_text(APACHE, encoding="utf-8")
    (root / "docs" / "README.md").write_text("# Planted\n", encoding="utf-8")
    content = {
        **evaluator(entry),
        "network_def": threshold_network(),
        "preprocessing": pre(),
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "sw_batch_size": 4, "overlap": 0.5},
        "postprocessing": post(),
        **deepcopy(dict(config or {})),
    }
    content = {k: v for k, v in content.items() if v is not None}
    if suffix == "json":
        text = json.dumps(content, indent=2)
    else:
        import yaml

        text = "---\n" + yaml.safe_dump(content, sort_keys=False)
    (root / "configs" / f"inference.{suffix}").write_text(text, encoding="utf-8")
    (root / "configs" / "metadata.json").write_text(json.dumps(meta or metadata(USUAL_OUTPUTS)), encoding="utf-8")
    torch.save(threshold_state() if state is None else state, root / weights)
    if large_files:
        digest = hashlib.md5((root / weights).read_bytes(), usedforsecurity=False).hexdigest()
        lines = [
            "large_files:",
            f'  - path: "{weights}"',
            '    url: "https://example.invalid/model.pt"',
            f'    hash_val: "{digest}"',
            '    hash_type: "md5"',
            '  - path: "models/model.ts"',
            '    url: "https://example.invalid/model.ts"',
        ]
        (root / "large_files.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
