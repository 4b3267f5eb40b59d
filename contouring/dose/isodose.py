"""Isodose lines: marching squares on the planes of the image, written as RTSTRUCT. No smoothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count as count_from

import numpy as np
from numpy.typing import NDArray
from pydicom.sr.coding import Code

from contouring.dose.accumulate import MappedDose
from contouring.dose.errors import MetricRefused
from contouring.dose.resample import GridSum, sum_on_grid
from contouring.names.structure import StructureName
from contouring.rings import Rings
from contouring.roi import Roi
from contouring.rtstruct_write import WrittenRtstruct, write_rtstruct
from contouring.trace import trace_cracks, unit_cracks
from imaging.provenance import Algorithm
from imaging.series import Stack
from imaging.volume import Region

__all__ = ["IsodoseLevel", "isodose_lines", "percent_levels", "step_levels", "write_isodoses"]

DOSE_REGION = Code("130748", "DCM", "Radiotherapy Dose Region")
NON_SPECIFIC_VOLUME = Code("130046", "DCM", "Non-specific Volume")

NEAREST = 0.02
"""Least distance in px of a line from a pixel centre: the lines read back as the same pixels (contouring, 5.2)."""

USUAL_PERCENTS = (105.0, 100.0, 95.0, 80.0, 50.0, 30.0)
STEP_GY = 10.0
MOST_STEPS = 20
"""More lines than this are told apart by nobody; doses beside the sources of brachytherapy would have thousands."""

COLOURS = (
    (253, 231, 37), (160, 218, 57), (74, 193, 109), (31, 161, 135), (39, 127, 142), (54, 92, 141), (70, 50, 126),
)  # fmt: skip
"""From high to low; evenly spaced in lightness (viridis), so that colour-blind people see the order too."""

ALGORITHM = Algorithm("radgate isodose", "1", deterministic=True)


@dataclass(frozen=True)
class IsodoseLevel:
    """One line.

    Parameters
    ----------
    name
        ROIName, as `ISO_95pct` or `ISO_50Gy`.
    dose_gy
        The dose.
    """

    name: str
    dose_gy: float


def percent_levels(prescription_gy: float, percents: Sequence[float] = USUAL_PERCENTS) -> tuple[IsodoseLevel, ...]:
    """Levels in percent of a stated prescription.

    Raises
    ------
    MetricRefused
        The prescription or a percentage is not positive.
    """
    if prescription_gy <= 0 or any(p <= 0 for p in percents):
        raise MetricRefused("Isodose lines in percent need a prescription and percentages above 0.")
    return tuple(IsodoseLevel(f"ISO_{p:g}pct", prescription_gy * p / 100) for p in percents)


def step_levels(largest_gy: float, step_gy: float = STEP_GY) -> tuple[IsodoseLevel, ...]:
    """Levels in Gy, evenly spaced up to the largest dose, from high to low; 20 at most, else 2, 5, ... steps apart.

    Raises
    ------
    MetricRefused
        The step is not positive.
    """
    if step_gy <= 0:
        raise MetricRefused("Isodose lines need a step above 0 Gy.")
    wider = (m * 10**e for e in count_from(0) for m in (1, 2, 5))
    step_gy *= next(n for n in wider if largest_gy / (step_gy * n) < MOST_STEPS + 1)
    count = int(np.floor(largest_gy / step_gy))
    return tuple(IsodoseLevel(f"ISO_{n * step_gy:g}Gy", n * step_gy) for n in range(count, 0, -1))


def isodose_lines(dose_gy: NDArray[np.floating], level_gy: float) -> tuple[Region, Rings]:
    """The voxels that receive a dose, and the lines around them on each plane.

    Parameters
    ----------
    dose_gy
        Shape (planes, rows, columns); NaN where it is not known, which is outside.
    level_gy
        The dose.

    Returns
    -------
    region
        Where the dose is at least the level.
    lines
        Closed lines, in columns and rows; at the border of the image along its outermost pixels' sides.
    """
    region = Region.from_mask(np.asarray(dose_gy >= level_gy))
    cracks = trace_cracks(region)
    if not len(cracks):
        return region, cracks
    steps = unit_cracks(cracks)
    inside, outside, planes = steps.inside, steps.outside, steps.planes
    rows, columns = dose_gy.shape[1:]
    there = (outside >= 0).all(axis=1) & (outside[:, 0] < columns) & (outside[:, 1] < rows)
    beyond = np.full(len(outside), np.nan)
    beyond[there] = dose_gy[planes[there], outside[there, 1], outside[there, 0]]
    within = dose_gy[planes, inside[:, 1], inside[:, 0]].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (within - level_gy) / (within - beyond)
    # Where nothing is known beyond, the line runs along the side of the pixel.
    share = np.clip(np.where(np.isnan(share), 0.5, share), NEAREST, 1 - NEAREST)
    return region, Rings(inside + share[:, None] * (outside - inside), steps.starts, cracks.planes)


def write_isodoses(
    doses: Sequence[MappedDose],
    stack: Stack,
    levels: Sequence[IsodoseLevel],
    *,
    made_at: datetime,
    alpha_beta_gy: float | None = None,
) -> WrittenRtstruct | None:
    """The isodose lines of a sum as RTSTRUCT on an image; None where no voxel reaches any of the levels.

    Parameters
    ----------
    doses
        The courses, mapped to the frame of the image.
    stack
        The image.
    levels
        The lines; a line that no voxel reaches is left out.
    made_at
        Time of the run; the UIDs do not follow from it.
    alpha_beta_gy
        Lines of EQD2; of physical dose where left out.

    Raises
    ------
    FractionCountUnknown
        EQD2 is asked for and a course is not known.
    RoundTripMismatch
        The lines do not read back as the same voxels.
    """
    total = sum_on_grid(doses, stack.grid, alpha_beta_gy)
    rois, lines = _rois(total, levels)
    if not rois:
        return None
    return write_rtstruct(
        rois,
        stack,
        made_at=made_at,
        algorithm=ALGORITHM,
        label="isodoses" if alpha_beta_gy is None else f"EQD2 ab={alpha_beta_gy:g}"[:16],
        rings=lines,
    )


def _rois(total: GridSum, levels: Sequence[IsodoseLevel]) -> tuple[list[Roi], dict[int, Rings]]:
    dose = np.where(total.is_known, total.volume.dose_gy, np.nan)
    rois: list[Roi] = []
    lines: dict[int, Rings] = {}
    for n, level in enumerate(sorted(levels, key=lambda lv: -lv.dose_gy)):
        region, rings = isodose_lines(dose, level.dose_gy)
        if not len(rings):
            continue
        number = len(rois) + 1
        rois.append(Roi(number, _name(level, n), region, description=f"{level.dose_gy:.2f} Gy", generation="AUTOMATIC"))
        lines[number] = rings
    return rois, lines


def _name(level: IsodoseLevel, order: int) -> StructureName:
    return StructureName(
        tg263=level.name,
        zh=f"等剂量线 {level.dose_gy:.1f} Gy",
        en=f"isodose {level.dose_gy:.1f} Gy",
        category=NON_SPECIFIC_VOLUME,
        type=DOSE_REGION,
        modifier=None,
        fma="",
        colour_rgb=COLOURS[min(order, len(COLOURS) - 1)],
        interpreted_type="DOSE_REGION",
    )
