"""The version in a bundle's shadow runs on the same image, is compared with what is delivered, delivers nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from contouring.overlap import dice
from dicom_gateway.errors import JobCancelled
from dicom_gateway.flow.passing import is_passing
from imaging.cines import Cine
from imaging.pictures import Pictures
from imaging.volume import Volume
from monai_bundles import Box, Bundle, BundleOutput, Finding, Score

__all__ = ["run_shadow"]


def run_shadow(
    bundle: Bundle, output: BundleOutput, run: Callable[[Bundle], BundleOutput], image: Volume | Pictures | Cine
) -> dict[str, Any]:
    """Run the version in a bundle's shadow and compare it with what was delivered; nothing of it goes on.

    Whatever goes wrong in the shadow is recorded and stops nothing; what passes by itself (`is_passing`) is raised,
    and so is a person's word that the job is not wanted.

    Returns
    -------
    dict
        Version and digest of the shadow; voxels, and Dice with the delivered structure of the same name; how many
        findings of either lie in one of the other; the scores of each class, delivered and shadow; how far landmarks of
        the same name and picture lie apart. Empty where there is no shadow.
    """
    shadow = bundle.shadow
    if shadow is None:
        version, reason = bundle.broken_shadow
        return {"bundle": bundle.name, "version": version, "status": "failed", "reason": reason} if version else {}
    record: dict[str, Any] = {
        "bundle": shadow.name,
        "version": shadow.version,
        "digest": shadow.algorithm.bundle_digest,
        "beside": bundle.version,
    }
    try:
        other = run(shadow)
    except Exception as error:  # the boundary of the shadow: recorded, the delivered run goes on
        if is_passing(error) or isinstance(error, JobCancelled):
            raise
        return {**record, "status": "failed", "reason": getattr(error, "message", type(error).__name__)}
    mine: Mapping[str, Any] = {s.name: s.region for s in output.structures}
    theirs = {s.name: s.region for s in other.structures}
    return {
        **record,
        "status": "ok",
        "elapsed_s": round(other.elapsed_s, 3),
        "warnings": list(other.warnings),
        "voxels": {name: region.voxel_count for name, region in theirs.items()},
        "dice_with_delivered": {n: round(dice(mine[n], theirs[n]), 4) for n in mine if n in theirs},
        "only_delivered": sorted(set(mine) - set(theirs)),
        "only_shadow": sorted(set(theirs) - set(mine)),
        "volume_shape": list(image.array.shape),
        **_findings(output.findings, other.findings),
        **_scores(output, other),
        **_landmarks(output, other),
    }


def _findings(delivered: Sequence[Finding], shadow: Sequence[Finding]) -> dict[str, Any]:
    """How many there are, and how many of the shadow's boxes have their centre in a delivered one."""
    if not delivered and not shadow:
        return {}
    boxes = [f.box for f in delivered if f.box]
    return {
        "findings": {
            "delivered": len(delivered),
            "shadow": len(shadow),
            "shadow_in_delivered": sum(any(_holds(box, f.box) for box in boxes) for f in shadow if f.box),
            "shadow_found": [
                {
                    "label": f.label,
                    "score": round(f.score, 4),
                    **({"centre_lps": [round(v, 2) for v in f.box.centre_lps]} if f.box else {}),
                }
                for f in shadow
            ],
        }
    }


def _holds(box: Box, other: Box) -> bool:
    """Whether the centre of another box lies in a box."""
    away = np.subtract(other.centre_lps, box.centre_lps)
    along = np.abs(np.asarray(box.directions) @ away)
    return bool((along <= np.asarray(box.size_mm) / 2).all())


def _scores(output: BundleOutput, other: BundleOutput) -> dict[str, Any]:
    """Scores of each class: delivered, and the shadow's; None where one of them does not have it."""
    if not output.scores and not other.scores:
        return {}
    mine, theirs = _by_label(output.scores), _by_label(other.scores)
    return {"scores": {label: [mine.get(label), theirs.get(label)] for label in dict.fromkeys([*mine, *theirs])}}


def _landmarks(output: BundleOutput, other: BundleOutput) -> dict[str, Any]:
    """How many there are, and how far those of both lie apart at most, mm."""
    if not output.landmarks and not other.landmarks:
        return {}
    mine, theirs = ({(p.label, p.plane): p.position_lps for p in o.landmarks} for o in (output, other))
    apart = [float(np.linalg.norm(np.subtract(mine[key], theirs[key]))) for key in mine if key in theirs]
    return {
        "landmarks": {
            "delivered": len(mine),
            "shadow": len(theirs),
            "in_both": len(apart),
            "most_apart_mm": round(max(apart), 2) if apart else None,
        }
    }


def _by_label(scores: Sequence[Score]) -> dict[str, float]:
    return {score.label: round(score.value, 4) for score in scores}
