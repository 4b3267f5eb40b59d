"""Several series of a study become one bundle's channels, by their coordinates; a missing one is refused by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import monai_bundles as mb
from imaging.volume import Volume
from monai_bundles import errors
from monai_bundles.adding.guesses import SERIES_WORDS
from monai_bundles.resampling import on_grid_of
from tests.monai_bundles.making import GRIDS, make_volume
from tests.monai_bundles.test_zoo import INVERT, added, masks
from tests.monai_bundles.zoo_making import metadata, post

FOUR = {"0": "T1c", "1": "T1", "2": "T2", "3": "FLAIR"}


def four_channel_bundle(tmp_path: Path) -> mb.Bundle:
    """Four files as one image without a channel-first step; overlapping classes that the bundle merges at the end."""
    import torch

    weight = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]]).reshape(3, 4, 1, 1, 1)
    meta = metadata({"0": "tumor core", "1": "whole tumor", "2": "enhancing tumor"})
    image = {"modality": "MR", "format": "magnitude", "channel_def": FOUR}
    meta["network_data_format"]["inputs"]["image"].update(image)
    merge = "$lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))"
    config = {
        "network_def": {"_target_": "torch.nn.Conv3d", "in_channels": 4, "out_channels": 3, "kernel_size": 1},
        "preprocessing": {"_target_": "Compose", "transforms": [{"_target_": "LoadImaged", "keys": "image"}]},
        "postprocessing": post(
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            INVERT,
            {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
            {"_target_": "Lambdad", "keys": "pred", "func": merge},
        ),
    }
    state = {"weight": weight, "bias": torch.full((3,), -0.5)}
    return added(tmp_path, meta=meta, config=config, state=state)


def four_series() -> list[Volume]:
    """Four different images on one oblique grid, of ones and zeros."""
    grid = GRIDS["oblique"]()
    rng = np.random.default_rng(20261122)
    return [make_volume(grid, (rng.random(grid.shape) > 0.6).astype(np.float32), unit="1") for _ in range(4)]


def test_several_series_become_channels_and_overlapping_classes_stay_apart(tmp_path: Path) -> None:
    bundle = four_channel_bundle(tmp_path)
    t1c, t1, t2, flair = four_series()

    found = masks(bundle, t1c, companions={"T1": t1, "T2": t2, "FLAIR": flair})

    assert [c.name for c in bundle.companions] == ["T1", "T2", "FLAIR"]
    assert bundle.companions[2].description == SERIES_WORDS["flair"]
    assert np.array_equal(found["GTV"], t1c.array > 0.5)
    assert np.array_equal(found["GTV_2"], t1.array > 0.5)
    assert np.array_equal(found["GTV_3"], flair.array > 0.5)


def test_a_missing_series_is_refused_by_name(tmp_path: Path) -> None:
    bundle = four_channel_bundle(tmp_path)
    t1c, t1, _, flair = four_series()

    with pytest.raises(errors.MissingSeries, match="T2"):
        mb.run_bundle(bundle, t1c, companions={"T1": t1, "FLAIR": flair})


def test_series_of_another_frame_of_reference_are_not_laid_over_each_other(tmp_path: Path) -> None:
    bundle = four_channel_bundle(tmp_path)
    t1c, t1, t2, flair = four_series()
    stranger = replace(t2, grid=replace(t2.grid, frame_of_reference_uid="1.2.3"))

    with pytest.raises(errors.MissingSeries, match="frames of reference"):
        mb.run_bundle(bundle, t1c, companions={"T1": t1, "T2": stranger, "FLAIR": flair})


def test_a_companion_on_another_grid_is_brought_to_the_first_by_its_coordinates() -> None:
    reference, other = (make_volume(GRIDS[name]()) for name in ("oblique", "axial"))

    def ramp(volume: Volume) -> Volume:
        k, j, i = np.indices(volume.array.shape)
        points = np.stack([k, j, i, np.ones_like(k)], axis=-1) @ volume.affine_lps.T
        values = 3.0 * points[..., 0] - 2.0 * points[..., 1] + 0.5 * points[..., 2]
        return make_volume(volume.grid, values.astype(np.float32), unit="1")

    moved = on_grid_of(ramp(other), ramp(reference), outside=np.nan)

    inside = np.isfinite(moved)
    assert inside.sum() > 300
    assert np.allclose(moved[inside], ramp(reference).array[inside], atol=1e-2)
