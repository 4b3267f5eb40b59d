"""Runs a detector: boxes and scores become findings, each with the lesion that its box stands around."""

from typing import Any

import numpy as np
import torch

from imaging.volume import Volume
from monai_bundles.bundle import Bundle, Finding
from monai_bundles.errors import WrongOutput
from monai_bundles.zoo.boxes import box_from_voxels, lesion_in_box
from monai_bundles.zoo.calls import WorkflowRun
from monai_bundles.zoo.workflow import Workflow

__all__ = ["detect"]

FINDING_NAME = "GTV"
"""Structures of findings are GTV_1, GTV_2...: the name that planning systems know for a lesion."""

LEAST_SCORE = 0.3
"""Boxes below are not shown: a detector gives hundreds, and the bundle's own limit only thins them out."""

MOST_FINDINGS = 20


def detect(
    bundle: Bundle, workflow: Workflow, data: dict[str, Any], key: str, volume: Volume, run: WorkflowRun, device: str
) -> None:
    """Boxes as findings with their lesions.

    Raises
    ------
    WrongOutput
        There are no boxes in what the detector gave.
    """
    image = data[key]
    plain = image.as_tensor().to(device, torch.float32)
    with torch.inference_mode():
        output = workflow.inferer([plain], workflow.network)
    found = output[0] if isinstance(output, list | tuple) else output
    boxes = next((found[k] for k in ("box", "boxes", "pred_boxes") if isinstance(found, dict) and k in found), None)
    if boxes is None:
        raise WrongOutput("The detector gave no boxes; check the form of the output in configs/radgate.json.")
    scores = next((found[k] for k in ("label_scores", "scores", "score") if k in found), None)
    labels = next((found[k] for k in ("label", "labels", "classes") if k in found), None)
    corners = np.asarray(torch.as_tensor(boxes).cpu(), dtype=np.float64).reshape(-1, 6)
    certain = np.ones(len(corners)) if scores is None else np.asarray(torch.as_tensor(scores).cpu(), dtype=np.float64)
    kinds = np.zeros(len(corners), int) if labels is None else np.asarray(torch.as_tensor(labels).cpu(), dtype=int)
    affine = np.asarray(image.affine, dtype=np.float64)
    # Bundles clip their boxes in postprocessing, which is left out here because it goes on to the world's axes.
    corners = corners.clip(0.0, np.tile(np.array(image.shape[1:], dtype=np.float64), 2))
    thinnest = (corners[:, 3:] - corners[:, :3]).min(axis=1, initial=np.inf)
    names = {s.label - 1: s.name for s in bundle.structures}
    findings: list[Finding] = []
    left_out = 0
    for index in np.argsort(-certain, kind="stable"):
        if thinnest[index] < 1.0:
            continue
        if certain[index] < LEAST_SCORE or len(findings) >= MOST_FINDINGS:
            left_out += 1
            continue
        box = box_from_voxels(corners[index], affine)
        region = lesion_in_box(box, volume)
        name = f"{FINDING_NAME}_{len(findings) + 1}" if region is not None else ""
        if region is not None:
            run.regions[name] = region
        label = names.get(int(kinds[index]), next(iter(names.values()), "finding"))
        findings.append(Finding(structure=name, label=label, score=float(certain[index]), box=box))
    run.findings = tuple(findings)
    if left_out:
        run.notes = (
            *run.notes,
            f"{left_out} boxes with scores below {LEAST_SCORE:g} or beyond the first {MOST_FINDINGS} are not shown.",
        )
