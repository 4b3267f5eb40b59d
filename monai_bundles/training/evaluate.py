"""Scores the whole bundle, clean-up included, on OpenKBP: `python -m monai_bundles.training.evaluate --data DIR`.

Dice per structure on each patient's own grid, on complete slices, where the structure was contoured; mean with a 95 %
bootstrap interval over patients. The tuning patients chose the weights: their scores are no estimate for new patients.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid
from imaging.volume import Volume
from monai_bundles import find, run_bundle
from monai_bundles.training.openkbp import STRUCTURES, Patient, load_patients

__all__ = ["main", "score_patient", "summary"]

BUNDLE = "head_neck_ct_oar_segmentation"
RESAMPLES = 2000


def patient_volume(patient: Patient) -> tuple[Volume, slice]:
    """The complete slices of a patient as a volume, and which slices they are."""
    complete = np.flatnonzero(patient.slice_is_complete)
    part = slice(int(complete[0]), int(complete[-1]) + 1)
    array = np.ascontiguousarray(patient.ct_hu[part])
    dz, dy, dx = patient.spacing_mm
    grid = Grid(
        positions_lps=np.stack([np.zeros(len(array)), np.zeros(len(array)), dz * np.arange(len(array))], axis=1),
        row_direction=np.array([1.0, 0.0, 0.0]),
        column_direction=np.array([0.0, 1.0, 0.0]),
        pixel_spacing_mm=(dy, dx),
        rows=array.shape[1],
        columns=array.shape[2],
        frame_of_reference_uid="2.25.1",
    )
    return Volume(array, grid, unit="[hnsf'U]"), part


def score_patient(patient: Patient, regions: dict[str, NDArray[np.bool_]], part: slice) -> dict[str, float]:
    """Dice of each structure that was contoured and has voxels on the complete slices."""
    keep = patient.slice_is_complete[part, None, None]
    scores = {}
    for index, name in enumerate(STRUCTURES):
        truth = ((patient.structure_bits[part] >> index) & 1).astype(bool) & keep
        if not patient.contoured[index] or not truth.any():
            continue
        found = regions.get(name, np.zeros_like(truth)) & keep
        scores[name] = float(2 * (found & truth).sum() / (found.sum() + truth.sum()))
    return scores


def summary(scores: dict[str, dict[str, float]], seed: int = 1) -> dict[str, Any]:
    """Mean, interval, number of patients and the worst one, per structure, from scores by patient."""
    rng = np.random.default_rng(seed)
    rows: dict[str, Any] = {}
    for name in STRUCTURES:
        by_patient = {patient: s[name] for patient, s in scores.items() if name in s}
        values = np.array(list(by_patient.values()))
        means = rng.choice(values, (RESAMPLES, len(values))).mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        rows[name] = {
            "mean_dice": round(float(values.mean()), 3),
            "interval": [round(float(low), 3), round(float(high), 3)],
            "patients": len(values),
            "worst": min(by_patient, key=lambda patient: by_patient[patient]),
            "worst_dice": round(float(values.min()), 3),
        }
    rows["mean"] = round(float(np.mean([rows[name]["mean_dice"] for name in STRUCTURES])), 3)
    return rows


def main() -> None:
    """Print the table as JSON."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of OpenKBP (index.csv, ctlab/)")
    arguments.add_argument("--split", default="validation", choices=("train", "validation"))
    options = arguments.parse_args()
    bundle = find(BUNDLE)
    scores = {}
    for patient in load_patients(options.data, options.split):
        volume, part = patient_volume(patient)
        output = run_bundle(bundle, volume)
        scores[patient.name] = score_patient(patient, {s.name: s.region.mask() for s in output.structures}, part)
        print(json.dumps({patient.name: scores[patient.name]}), flush=True)  # noqa: T201 - progress of a command
    print(json.dumps(summary(scores), indent=1))  # noqa: T201 - the command's result


if __name__ == "__main__":
    main()
