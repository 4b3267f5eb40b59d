"""A synthetic series on disk with two structures that no flip leaves unchanged, for the tests of segmentations."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contouring import Roi, lookup
from imaging.provenance import Algorithm
from imaging.series import Stack, scan
from imaging.volume import Region
from tests.synthetic.series import write_series

__all__ = ["ALGORITHM", "MADE_AT", "Case", "make_case"]

MADE_AT = datetime(2026, 3, 4, 10, 11, 12, 345)
ALGORITHM = Algorithm("test_oar", "1.2.0.4", ("ab" * 32,))


@dataclass(frozen=True)
class Case:
    stack: Stack
    masks: dict[str, NDArray[np.bool_]]
    rois: tuple[Roi, ...]


def make_case(folder: Path, **changes: Any) -> Case:
    """Speckled parotid with holes, and a box beside it."""
    write_series(folder, **changes)
    stack = scan([folder]).stacks[0]
    planes, rows, columns = stack.grid.shape
    parotid, cord = np.zeros((2, *stack.grid.shape), dtype=np.bool_)
    block = parotid[planes // 6 : planes // 2, rows // 5 : rows // 2, columns // 9 : columns // 2]
    block[:] = np.random.default_rng(5).random(block.shape) > 0.3
    cord[planes // 4 : planes - 3, rows - 21 : rows - 3, columns - 25 : columns - 7] = True
    masks = {"Parotid_L": parotid, "SpinalCord": cord}
    rois = tuple(Roi(n, lookup(name), Region.from_mask(m)) for n, (name, m) in enumerate(masks.items(), start=1))
    return Case(stack, masks, rois)
