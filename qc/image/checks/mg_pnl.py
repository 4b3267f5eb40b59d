"""Posterior nipple line of both views of a breast: they show the same depth."""

import math

from qc.image.breast import Breast, find_breast, find_muscle, is_oblique, side_of
from qc.image.inputs import Inputs, text_of
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location


@check(
    "mg.pnl",
    version="1.0.0",
    title=("乳头后线", "Posterior nipple line"),
    unit="mm",
    direction="higher_worse",
    settles="final",
    uncertainty=2,
    modalities=("MG",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.4: abs(PNL MLO - CC) at most 10 mm",
    causes={
        "unlike": Advice(
            "positioning",
            "两体位乳头后线相差 {value:.0f} mm（{side}）",
            "The posterior nipple lines of both views differ by {value:.0f} mm ({side})",
            "reposition",
            "technician",
            "请对较浅的体位多拉入乳腺组织后重摄",
            "Pull more tissue into the shallower view and repeat",
            now=True,
        ),
    },
)
def posterior_nipple_line(inputs: Inputs) -> Measured | NotEvaluable:
    """Larger difference of the two sides."""
    depths: dict[str, dict[bool, float]] = {}
    for picture in inputs.pictures:
        header = inputs.headers[picture.header]
        view = text_of(header, "ViewPosition").upper()
        breast = find_breast(picture) if view in {"CC", "MLO", "LMO"} else None
        depth = None if breast is None else _depth_mm(breast, is_oblique(header))
        if depth is not None:
            depths.setdefault(side_of(header), {})[is_oblique(header)] = depth
    both = {side: abs(v[True] - v[False]) for side, v in depths.items() if len(v) == 2}
    if not both:
        return NotEvaluable("series_incomplete" if inputs.pictures else "no_volume")
    side = max(sorted(both), key=both.__getitem__)
    evidence = {"mlo_mm": depths[side][True], "cc_mm": depths[side][False]}
    return Measured(both[side], where=(Location("side", {"side": side}),), params={"side": side}, evidence=evidence)


def _depth_mm(breast: Breast, oblique: bool) -> float | None:
    """From the nipple to the edge of the muscle at a right angle, or to the chest wall's side of the picture."""
    dy, dx = breast.spacing_mm
    row, column = breast.nipple_row, float(breast.widths[breast.nipple_row])
    if not oblique:
        return column * dx
    muscle = find_muscle(breast)
    if muscle is None:
        return None
    # Distance of a point from the line x = offset + slope * y, all in millimetres.
    slope = muscle.slope * dx / dy
    return abs(column * dx - muscle.offset * dx - slope * row * dy) / math.hypot(1.0, slope)
