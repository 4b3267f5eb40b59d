"""How the returned segmentations compare with the phantom's known truth."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from contouring import dice
from contouring.seg_read import read_seg
from imaging.series import scan
from imaging.testing.phantom import Phantom

__all__ = ["dice_against_truth"]


def dice_against_truth(phantom: Phantom, sent: Sequence[Path], segmentations: Sequence[bytes]) -> dict[str, float]:
    """Dice by TG-263 name of every returned structure whose truth the phantom knows."""
    grid = scan(sent).stacks[0].grid
    scores = {}
    for data in segmentations:
        for segment in read_seg(dcmread(BytesIO(data)), grid).segments:
            truth = phantom.regions.get(segment.label)
            if truth is not None:
                scores[segment.label] = dice(truth, segment.region)
    return scores
