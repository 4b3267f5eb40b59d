"""Cases of the checks of radiographs (see `cases`)."""

import numpy as np

from qc.image.inputs import Inputs
from tests.qc.bodies import edited
from tests.qc.case import NumberCase, StateCase
from tests.qc.radiographs import (
    chest_film,
    cut_film,
    exposed,
    forearm,
    lateral_film,
    masked_film,
    picture_inputs,
    with_object,
    with_saturation,
)

__all__ = ["DX_CASES"]


def indexed(deviation: float, seed: int = 1) -> Inputs:
    """A film of a given deviation index; the seed moves the target."""
    target = 250.0 + 10 * seed
    return edited(chest_film(), ExposureIndex=target * 10 ** (deviation / 10), TargetExposureIndex=target)


def flat() -> Inputs:
    """A film without anything on it."""
    return picture_inputs(np.full((120, 150), 700, np.uint16))


DX_CASES: dict[str, NumberCase | StateCase] = {
    "dx.di": NumberCase(
        clean=lambda: indexed(0.2),
        planted=indexed,
        severities=(0.5, 1.2, 2, 4, 6),
        truth=lambda d: d,
        tolerance=1e-6,
        alarm=2,
        not_evaluable=chest_film,
        reason="missing_tag",
        profile="dx_chest",
    ),
    "dx.collimation": NumberCase(
        clean=forearm,
        planted=lambda mm, seed: forearm(mm, "R", seed),
        severities=(10, 20, 40, 60, 90),
        alarm=60,
        not_evaluable=flat,
        reason="no_region",
        profile="dx_limb",
    ),
    "dx.cutoff": NumberCase(
        clean=chest_film,
        planted=cut_film,
        severities=(2, 5, 10, 20, 40),
        alarm=10,
        not_evaluable=forearm,
        reason="no_region",
        profile="dx_chest",
    ),
    "dx.rotation": NumberCase(
        clean=chest_film,
        planted=lambda deg, seed: chest_film(deg * (-1) ** seed, seed),
        severities=(1, 3, 6, 10, 15),
        truth=lambda deg: deg,
        tolerance=2.0,
        alarm=10,
        not_evaluable=forearm,
        reason="no_region",
        profile="dx_chest",
    ),
    "dx.tilt": NumberCase(
        clean=chest_film,
        planted=lambda deg, seed: chest_film(0.0, seed, 1.0, deg * (-1) ** seed),
        severities=(1, 2, 4, 7, 11),
        truth=lambda deg: deg,
        tolerance=1.5,
        alarm=7,
        not_evaluable=forearm,
        reason="no_region",
        profile="dx_chest",
    ),
    "dx.inspiration": NumberCase(
        clean=chest_film,
        planted=lambda height, seed: chest_film(0.0, seed, height),
        severities=(0.45, 0.55, 0.65, 0.8, 1.0),
        alarm=0.45,
        not_evaluable=forearm,
        reason="no_region",
        profile="dx_chest",
    ),
    "dx.scapula": NumberCase(
        clean=lambda: masked_film(2),
        planted=masked_film,
        severities=(5, 10, 20, 35, 60),
        truth=lambda percent: percent,
        tolerance=0.01,
        alarm=35,
        not_evaluable=chest_film,
        reason="needs_mask",
        profile="dx_chest",
    ),
    "dx.lung_exposure": NumberCase(
        clean=chest_film,
        planted=exposed,
        severities=(0.3, 0.5, 0.75, 1.1, 1.6),
        alarm=0.3,
        not_evaluable=forearm,
        reason="no_region",
        profile="dx_chest",
    ),
    "dx.clip": NumberCase(
        clean=chest_film,
        planted=with_saturation,
        severities=(0.5, 1, 3, 8, 20),
        alarm=8,
        not_evaluable=flat,
        reason="no_region",
        profile="dx_chest",
    ),
    "dx.inversion": StateCase(
        clean=forearm,
        states={
            "upright": chest_film,
            "inverted": lambda: forearm(20, "", 1, True),
        },
        not_evaluable=flat,
        reason="no_region",
        profile="dx_base",
    ),
    "dx.foreign": NumberCase(
        clean=chest_film,
        planted=with_object,
        severities=(3, 4, 6, 8, 11),
        truth=lambda r: float(np.pi * r**2),
        tolerance=12.0,
        alarm=None,  # measured on real films it is not specific
        not_evaluable=lambda: picture_inputs(chest_film().pictures[0].array, None),
        reason="missing_tag",
        profile="dx_chest",
    ),
    "dx.side_marker": StateCase(
        clean=forearm,
        states={
            "found": forearm,
            "absent": lambda: forearm(8.0, ""),
            "contradicts": lambda: forearm(8.0, "L"),
        },
        not_evaluable=lambda: picture_inputs(np.full((120, 150), 700, np.uint16)),
        reason="no_region",
        profile="dx_limb",
    ),
    "dx.view": StateCase(
        clean=chest_film,
        states={"agrees": chest_film, "disagrees": lambda: lateral_film(ViewPosition="PA")},
        not_evaluable=forearm,
        reason="missing_tag",
        profile="dx_chest",
    ),
}
