"""Training on sarcomas: what a window teaches and must not teach, folds by patient, training that resumes."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monai_bundles.training.sarcoma import SUV_LIMITS, draw_window, folds, load_patients, normalised
from tests.conftest import data_folder

SHAPE = (31, 37, 41)
SPACING_MM = (3.27, 1.9, 2.1)


def write_patient(folder: Path, number: int, centre: tuple[int, int, int] = (14, 17, 22)) -> None:
    """A patient whose tumour is a bright box on PET in a body of muscle."""
    ct = np.full(SHAPE, -1000, np.int16)
    ct[:, 3:34, 4:39] = 50
    gtv = np.zeros(SHAPE, np.uint8)
    z, y, x = centre
    gtv[z - 4 : z + 4, y - 5 : y + 5, x - 6 : x + 5] = 1
    pet = (0.8 + 7.0 * gtv).astype(np.float16)
    mr = np.where(ct > -500, 300 + 200 * gtv.astype(int) + number, 0).astype(np.int16)
    np.savez_compressed(
        folder / f"STS_{number:03d}.npz",
        ct=ct,
        pet=pet,
        mr=mr,
        gtv=gtv,
        spacing=np.array(SPACING_MM),
        origin=np.array([-50.3, 20.1, 400.7]),
        direction=np.eye(3).ravel(),
    )


def windows_of(folder: Path, count: int, size: int = 24, **options: Any) -> list[Any]:
    patient = load_patients(folder)[0]
    rng = np.random.default_rng(20261122)
    return [draw_window(patient, (size,) * 3, (3.3, 3.3, 3.3), rng, **options) for _ in range(count)]


def test_windows_put_the_tumour_anywhere_and_some_hold_none(tmp_path: Path) -> None:
    write_patient(tmp_path, 1)

    drawn = windows_of(tmp_path, 60)

    centres = np.array([np.argwhere(w.target[0]).mean(axis=0) for w in drawn if w.target.any()])
    assert centres.std(axis=0).min() > 3.0
    assert centres.min() < 5.0
    assert centres.max() > 18.0
    assert sum(not w.target.any() for w in windows_of(tmp_path, 40, size=10, tumour_share=0.5)) > 5


def test_the_mr_is_missing_or_cut_in_some_windows(tmp_path: Path) -> None:
    write_patient(tmp_path, 1)

    filled = np.array([(w.images[3] != 0).mean() for w in windows_of(tmp_path, 60)])

    assert 0.25 < (filled == 0).mean() < 0.6
    assert ((filled > 0.02) & (filled < 0.5)).any()


def test_the_tumour_lies_on_its_uptake_in_every_window(tmp_path: Path) -> None:
    write_patient(tmp_path, 1)

    for window in windows_of(tmp_path, 20, tumour_share=1.0):
        inside, low = window.target[0] > 0, window.images[1]
        assert low[inside].mean() > low[~inside].mean() + 0.4


def test_every_patient_is_left_out_once_whatever_the_order() -> None:
    names = [f"STS_{n:03d}" for n in (1, 2, 4, 8, 15, 16, 23)]

    split = folds(names, 3, 5)

    assert sorted(name for fold in split for name in fold) == names
    assert {len(fold) for fold in split} == {2, 3}
    assert folds(names[::-1], 3, 5) == split


def test_the_network_is_trained_on_what_the_bundle_s_preprocessing_gives() -> None:
    from monai.bundle import ConfigParser
    from monai.data import MetaTensor

    config = Path(__file__).parents[2] / "monai_bundles/bundles/soft_tissue_sarcoma_gtv_segmentation/configs"
    steps = json.loads((config / "inference.json").read_text())["preprocessing"]["transforms"]
    kept = [s for s in steps if s["_target_"] not in {"LoadImaged", "EnsureChannelFirstd"}]
    parser = ConfigParser({"steps": {"_target_": "Compose", "transforms": kept}})
    rng = np.random.default_rng(3)
    shape = (9, 12, 15)
    ct, suv = rng.normal(0, 300, shape).astype(np.float32), rng.uniform(0, 25, shape).astype(np.float32)
    mr = np.where(rng.random(shape) > 0.4, rng.uniform(100, 900, shape), 0).astype(np.float32)
    # Axes are already superior, posterior, left, at the network's spacing: nothing is to be resampled.
    affine = np.array([[0, 0, -3.3, 7.1], [0, -3.3, 0, -4.9], [3.3, 0, 0, 300.3], [0, 0, 0, 1]])
    images = {k: MetaTensor(a[None].copy(), affine=affine) for k, a in (("image", ct), ("pet", suv), ("mr", mr))}

    done = parser.get_parsed_content("steps")(images)["image"].numpy()

    assert SUV_LIMITS == (6.0, 20.0)
    assert np.allclose(done, normalised(ct, suv, mr), atol=1e-5)
    assert not normalised(ct, suv)[3].any()


def test_training_resumes_where_it_stopped_and_leaves_the_fold_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from monai_bundles.training import train_sarcoma

    data, work = tmp_path / "data", tmp_path / "work"
    data.mkdir()
    for number in (1, 2, 3, 5):
        write_patient(data, number)
    given: list[list[str]] = []
    real = train_sarcoma.train

    def noted(patients: Any, *rest: Any) -> Any:
        given.append([p.name for p in patients])
        return real(patients, *rest)

    monkeypatch.setattr(train_sarcoma, "train", noted)
    monkeypatch.setattr(train_sarcoma, "half_precision", lambda device: torch.autocast(device.type, enabled=False))

    def run(steps: int) -> None:
        config = json.loads((train_sarcoma.BUNDLE / "configs" / "train.json").read_text())
        config |= {"folds": 2, "window": [16, 16, 16], "batch_size": 2, "steps": steps, "steps_all_patients": 1}
        (tmp_path / "config.json").write_text(json.dumps(config))
        monkeypatch.setattr(
            sys,
            "argv",
            ["x", "--data", str(data), "--work", str(work), "--only", "0", "--config", str(tmp_path / "config.json")],
        )
        train_sarcoma.main()

    run(2)
    run(3)

    left_out = folds([f"STS_{n:03d}" for n in (1, 2, 3, 5)], 2, 20261122)[0]
    assert given == [[n for n in ("STS_001", "STS_002", "STS_003", "STS_005") if n not in left_out]] * 2
    steps = [json.loads(line)["step"] for line in (work / "fold_0" / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 3]
    weights = torch.load(work / "fold_0" / "model.pt", weights_only=True)
    assert {v.dtype for v in weights.values() if v.dtype.is_floating_point} == {torch.float16}


@pytest.mark.data
def test_real_patients_are_read_as_their_readme_says() -> None:
    patients = load_patients(data_folder("sts_packed"))

    assert len(patients) == 27
    assert all(p.gtv.any() and p.images.shape[0] == 4 for p in patients)
