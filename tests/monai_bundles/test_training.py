"""Training on OpenKBP: what the loader leaves out, what a window teaches, and that training resumes and learns."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monai_bundles.training.openkbp import (
    STRUCTURES,
    Patient,
    draw_window,
    is_possible,
    load_patients,
    structure_voxels,
)
from tests.conftest import data_folder

SHAPE = (20, 30, 34)
SPACING_MM = (2.5, 3.9, 4.1)
CENTRES = [(14, 16, 17), (6, 19, 17), (9, 16, 9), (9, 16, 25), (4, 13, 17), (6, 10, 17), (9, 6, 17)]
"""Of the structures, in voxels: the right parotid lies at the patient's right, where x is small."""


def planted_patient(offset: int = 0) -> dict[str, Any]:
    """Arrays of a patient whose organs are small boxes in a body; `offset` moves the contours towards the left."""
    ct_hu = np.full(SHAPE, -1000, np.int16)
    ct_hu[:, 3:27, 4:30] = 30
    bits = np.zeros(SHAPE, np.uint8)
    for bit, (z, y, x) in enumerate(CENTRES):
        bits[z - 2 : z + 3, y - 2 : y + 3, x - 2 + offset : x + 3 + offset] |= 1 << bit
    have = np.ones(10, np.uint8)
    have[5] = 0
    valid = np.ones(SHAPE[0], np.uint8)
    valid[:3] = 0
    return {"ct": ct_hu, "oar": bits, "have": have, "zvalid": valid}


def write_collection(folder: Path) -> Path:
    """Four patients to train and two to tune on: one nearly empty, one with contours beside the anatomy."""
    (folder / "ctlab").mkdir(parents=True)
    rows = []
    for number, split, empty, offset in [
        (1, "train", 0, 0),
        (2, "train", 1, 0),
        (3, "train", 0, 8),
        (4, "train", 0, 0),
        (201, "validation", 0, 0),
        (202, "validation", 0, 0),
    ]:
        np.savez_compressed(folder / "ctlab" / f"pt_{number}.npz", **planted_patient(offset))
        dz, dy, dx = SPACING_MM
        rows.append({"patient": f"pt_{number}", "split": split, "nearly_empty": empty, "dz": dz, "dy": dy, "dx": dx})
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return load_patients(write_collection(tmp_path / "openkbp"), "train")[0]


def test_nearly_empty_patients_and_contours_beside_the_anatomy_are_left_out(tmp_path: Path) -> None:
    folder = write_collection(tmp_path / "openkbp")
    assert [p.name for p in load_patients(folder, "train")] == ["pt_1", "pt_4"]
    assert [p.name for p in load_patients(folder, "validation")] == ["pt_201", "pt_202"]


def test_a_mask_that_cannot_be_what_it_is_called_is_unknown(patient: Patient) -> None:
    cord, oesophagus = STRUCTURES.index("SpinalCord"), STRUCTURES.index("Esophagus")
    bits = patient.structure_bits.copy()
    bits[4:9, 10:22, 10:24] |= 1 << cord  # 27 cm2 in each of these planes
    in_air = np.where((bits >> oesophagus) & 1, -400, patient.ct_hu).astype(np.int16)

    assert all(is_possible(patient, name) for name in STRUCTURES)
    assert [n for n in STRUCTURES if not is_possible(replace(patient, structure_bits=bits), n)] == ["SpinalCord"]
    assert [n for n in STRUCTURES if not is_possible(replace(patient, ct_hu=in_air), n)] == ["Esophagus"]


def test_voxels_on_cut_slices_teach_nothing(patient: Patient) -> None:
    oesophagus = structure_voxels(patient)[STRUCTURES.index("Esophagus")]
    assert oesophagus[:, 0].min() == 3
    assert (patient.structure_bits[2] >> STRUCTURES.index("Esophagus")).any()


def test_a_structure_that_nobody_contoured_is_unknown(patient: Patient) -> None:
    window = draw_window(patient, np.array([9.0, 14.0, 16.0]), (16, 24, 32), (2.5, 3.5, 3.5), np.random.default_rng(3))
    larynx, brainstem = STRUCTURES.index("Larynx"), STRUCTURES.index("Brainstem")
    assert not window.known[larynx].any()
    assert not window.targets[larynx].any()
    assert window.known[brainstem].any()


@pytest.mark.parametrize("seed", range(8))
def test_the_right_parotid_stays_right_when_a_window_is_mirrored(patient: Patient, seed: int) -> None:
    rng = np.random.default_rng(seed)
    window = draw_window(patient, np.array([9.0, 14.0, 17.0]), (16, 32, 40), (2.5, 3.5, 3.5), rng)
    right, left = (window.targets[STRUCTURES.index(name)] for name in ("Parotid_R", "Parotid_L"))
    assert right.any()
    assert left.any()
    assert np.argwhere(right)[:, 2].mean() < np.argwhere(left)[:, 2].mean()


def test_targets_follow_the_image_through_the_random_geometry(patient: Patient) -> None:
    """With the organ made bright, the bright voxels of a window are its target, whatever was drawn."""
    brainstem = STRUCTURES.index("Brainstem")
    ct_hu = np.where((patient.structure_bits >> brainstem) & 1, 1500, -1000).astype(np.int16)
    bright = Patient(
        "x", ct_hu, patient.structure_bits, patient.spacing_mm, patient.contoured, patient.slice_is_complete
    )
    for seed in range(6):
        window = draw_window(
            bright, np.array([14.0, 16.0, 17.0]), (12, 20, 24), (2.5, 3.5, 3.5), np.random.default_rng(seed)
        )
        found, target = window.ct_hu > 250, window.targets[brainstem] > 0
        assert 2 * (found & target).sum() / (found.sum() + target.sum()) > 0.9


def test_training_learns_stops_and_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monai_bundles.training import train

    data, work = write_collection(tmp_path / "openkbp"), tmp_path / "work"

    config = json.loads((train.BUNDLE / "configs" / "train.json").read_text(encoding="utf-8"))
    assert [part["steps"] for part in train.read_parts(train.BUNDLE / "configs" / "train.json")] == [
        2450,
        3650,
        6000,
        4200,
    ]
    small = tmp_path / "train.json"
    parts = [{**part, "window": [16, 48, 48], "batch_size": 2} for part in config["parts"][:2]]
    small.write_text(json.dumps(config | {"parts": parts}), encoding="utf-8")
    options = ["--data", str(data), "--work", str(work), "--config", str(small), "--threads", "1"]

    def run(steps: int) -> list[dict[str, float]]:
        monkeypatch.setattr(sys, "argv", ["train", *options, "--steps", str(steps)])
        train.main()
        logs = [work / f"part_{n}" / "log.jsonl" for n in (1, 2)]
        return [json.loads(log.read_text(encoding="utf-8").splitlines()[-1]) for log in logs]

    first, second = run(15), run(30)
    assert [last["step"] for last in (*first, *second)] == [15, 15, 30, 30]
    assert second[0]["loss"] < first[0]["loss"]
    assert first[1]["loss"] < first[0]["loss"], "the second part does not start from the weights of the first"


@pytest.mark.data
def test_the_real_collection_has_one_patient_whose_contours_lie_beside_the_anatomy() -> None:
    folder = data_folder("openkbp")
    names = {p.name for split in ("train", "validation") for p in load_patients(folder, split)}
    assert len(names) == 234
    assert "pt_221" not in names
