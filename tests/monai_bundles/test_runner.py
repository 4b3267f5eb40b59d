"""A planted network's answer comes back on the source grid voxel for voxel; what goes wrong is a typed error."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monai_bundles as mb
from monai_bundles import errors
from monai_bundles.registry import load_bundle
from tests.monai_bundles.making import (
    ABOVE_HU,
    BELOW_HU,
    GRIDS,
    make_bundle,
    make_volume,
    threshold_weights,
)

SPL: dict[str, Any] = {"_target_": "Orientationd", "keys": "image", "axcodes": "SPL", "labels": None}
WINDOWS = {"_target_": "SlidingWindowInferer", "roi_size": [8, 12, 12], "sw_batch_size": 2, "overlap": 0.25}


@pytest.mark.parametrize("name", GRIDS)
def test_a_thresholding_network_gives_the_thresholded_source(tmp_path: Path, name: str) -> None:
    volume = make_volume(GRIDS[name]())
    bundle = load_bundle(make_bundle(tmp_path, steps=[SPL], inferer=WINDOWS))

    output = mb.run_bundle(bundle, volume, device="cpu")

    masks = {s.name: s.region.mask() for s in output.structures}
    assert np.array_equal(masks["Bone"], volume.array > ABOVE_HU)
    assert np.array_equal(masks["Lung_L"], volume.array < BELOW_HU)


@pytest.mark.parametrize("name", ["axial, prone, feet first", "oblique sagittal"])
def test_resampling_there_and_back_keeps_a_smooth_shape_in_place(tmp_path: Path, name: str) -> None:
    grid = GRIDS[name]()
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    centre = np.array([5.3, 11.1, 8.6])
    distance_mm = np.linalg.norm((indices - centre) * grid.spacing_mm, axis=-1)
    volume = make_volume(grid, np.round(900 - 100 * distance_mm).astype(np.int16))
    steps = [SPL, {"_target_": "Spacingd", "keys": "image", "pixdim": [2.1, 1.6, 1.7], "mode": "bilinear"}]
    bundle = load_bundle(make_bundle(tmp_path, steps=steps))

    region = next(s.region for s in mb.run_bundle(bundle, volume).structures if s.name == "Bone")

    truth = volume.array > ABOVE_HU
    mask = region.mask()
    overlap = 2 * np.count_nonzero(mask & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))
    shift = (np.argwhere(mask).mean(axis=0) - np.argwhere(truth).mean(axis=0)) * grid.spacing_mm
    assert overlap > 0.95
    assert np.abs(shift).max() < 0.3, "a quarter of the smallest voxel: the planted network's output is steep"


def test_a_fine_image_is_averaged_before_it_is_resampled_and_stays_in_place(tmp_path: Path) -> None:
    grid = GRIDS["oblique, flipped"]()
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    block = (k >= 4) & (k < 10) & (j >= 6) & (j < 15) & (i >= 5) & (i < 17)
    volume = make_volume(grid, np.where(block, 401, 0).astype(np.int16))
    steps = [SPL, {"_target_": "Spacingd", "keys": "image", "pixdim": [3.9, 3.9, 3.9], "mode": "bilinear"}]
    bundle = load_bundle(make_bundle(tmp_path, steps=steps))

    region = mb.run_bundle(bundle, volume).structures[0].region

    shift = (np.argwhere(region.mask()).mean(axis=0) - np.argwhere(block).mean(axis=0)) * grid.spacing_mm
    assert np.abs(shift).max() < 0.6, "less than half a voxel of the source in every direction"


def test_probabilities_cover_the_region_and_agree_with_it(tmp_path: Path) -> None:
    bundle = load_bundle(make_bundle(tmp_path, steps=[SPL]))

    for structure in mb.run_bundle(bundle, make_volume(GRIDS["oblique"]())).structures:
        probability = structure.region.probability
        assert probability is not None
        assert probability.dtype == np.float16
        assert np.array_equal(probability >= 0.5, structure.region.crop)


def test_the_same_input_gives_the_same_output(tmp_path: Path) -> None:
    network = {
        "_target_": "BasicUNet",
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 2,
        "features": [4, 4, 8, 8, 8, 4],
        "norm": "batch",
    }
    bundle = load_bundle(
        make_bundle(
            tmp_path, network=network, weights=_random_weights(network), inferer=WINDOWS | {"roi_size": [16, 16, 16]}
        )
    )
    volume = make_volume(GRIDS["coronal"]())

    first, second = (mb.run_bundle(bundle, volume) for _ in range(2))

    assert [s.name for s in first.structures] == [s.name for s in second.structures]
    for a, b in zip(first.structures, second.structures, strict=True):
        assert np.array_equal(a.region.crop, b.region.crop)
        assert a.region.start == b.region.start


def _random_weights(network: dict[str, Any]) -> dict[str, Any]:
    import torch
    from monai.bundle import ConfigParser

    torch.manual_seed(20261122)
    state: dict[str, Any] = ConfigParser({"net": network}).get_parsed_content("net").state_dict()
    return state


def test_progress_rises_to_one(tmp_path: Path) -> None:
    shares: list[float] = []

    mb.run_bundle(
        load_bundle(make_bundle(tmp_path, inferer=WINDOWS)),
        make_volume(GRIDS["axial"]()),
        progress=lambda share, _step: shares.append(share),
    )

    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    assert len(shares) > 6


def test_what_is_not_there_is_absent_and_said_to_be(tmp_path: Path) -> None:
    grid = GRIDS["oblique"]()
    volume = make_volume(grid, np.full(grid.shape, 40, dtype=np.int16))

    output = mb.run_bundle(load_bundle(make_bundle(tmp_path)), volume)

    assert output.structures == ()
    assert output.absent == ("Bone", "Lung_L")
    assert output.warnings == ("Bone was not found.", "Lung_L was not found.")


def test_a_structure_at_the_side_is_said_to_be_cut(tmp_path: Path) -> None:
    grid = GRIDS["oblique"]()
    array = np.zeros(grid.shape, dtype=np.int16)
    array[5:9, 4:8, :6] = 900
    array[:3, 9:12, 9:14] = -900

    output = mb.run_bundle(load_bundle(make_bundle(tmp_path)), make_volume(grid, array))

    assert output.warnings == (
        "Bone reaches the side of the field of view: its volume is incomplete.",
        "Lung_L reaches the first or last slice: its volume is incomplete.",
    )


def test_a_volume_in_another_unit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.VolumeOutsideRange):
        mb.run_bundle(load_bundle(make_bundle(tmp_path)), make_volume(GRIDS["axial"](), unit="1"))


def test_a_bundle_that_raises_is_a_typed_failure_with_its_kind(tmp_path: Path) -> None:
    network = {"_target_": "torch.nn.Conv3d", "in_channels": 3, "out_channels": 2, "kernel_size": 1}
    bundle = load_bundle(make_bundle(tmp_path, network=network, weights=_random_weights(network)))

    with pytest.raises(errors.BundleFailed) as caught:
        mb.run_bundle(bundle, make_volume(GRIDS["axial"]()))

    assert caught.value.fields["kind"] == "RuntimeError"


def test_an_output_of_another_shape_is_refused(tmp_path: Path) -> None:
    network = {"_target_": "torch.nn.Conv3d", "in_channels": 1, "out_channels": 3, "kernel_size": 1}
    bundle = load_bundle(make_bundle(tmp_path, network=network, weights=_random_weights(network)))

    with pytest.raises(errors.WrongOutput) as caught:
        mb.run_bundle(bundle, make_volume(GRIDS["axial"]()))

    assert caught.value.fields["got"][1] == 3
    assert caught.value.fields["expected"][1] == 2


def test_an_output_that_is_no_number_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_bundles.network.require_finite", lambda *_: None)
    weights = threshold_weights()
    weights["bias"] = weights["bias"] * float("nan")

    with pytest.raises(errors.WrongOutput, match="no numbers"):
        mb.run_bundle(load_bundle(make_bundle(tmp_path, weights=weights)), make_volume(GRIDS["axial"]()))


def test_an_unknown_clean_up_rule_is_refused(tmp_path: Path) -> None:
    root = make_bundle(tmp_path, radgate={"postprocessing": {"smooth": True}})

    with pytest.raises(errors.BadMetadata, match="smooth"):
        load_bundle(root)
