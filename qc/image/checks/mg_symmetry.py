"""Both breasts of one view: as much of each is shown."""

from qc.image.breast import find_breast, side_of
from qc.image.inputs import Inputs, text_of
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location


@check(
    "mg.symmetry",
    version="1.0.0",
    title=("左右对称", "Symmetry of both sides"),
    unit="%",
    direction="higher_worse",
    settles="final",
    uncertainty=1,
    modalities=("MG",),
    needs=("headers", "pictures"),
    source="Specification of image quality, 3.4: difference of the areas over their mean",
    causes={
        "unlike": Advice(
            "positioning",
            "左右乳房面积相差 {value:.0f}%（{view}）",
            "The areas of both breasts differ by {value:.0f} % ({view})",
            "compare_sides",
            "technician",
            "请核对较小一侧是否有组织未拉入，必要时重摄",
            "Check whether tissue is missing on the smaller side; repeat if needed",
        ),
    },
)
def symmetry(inputs: Inputs) -> Measured | NotEvaluable:
    """Larger difference of the two views, per cent."""
    areas: dict[str, dict[str, float]] = {}
    for picture in inputs.pictures:
        header = inputs.headers[picture.header]
        breast = find_breast(picture)
        if breast is not None and side_of(header) in {"L", "R"}:
            areas.setdefault(text_of(header, "ViewPosition").upper(), {})[side_of(header)] = breast.area_cm2
    both = {view: 200 * abs(v["L"] - v["R"]) / (v["L"] + v["R"]) for view, v in areas.items() if len(v) == 2}
    if not both:
        return NotEvaluable("series_incomplete" if inputs.pictures else "no_volume")
    view = max(sorted(both), key=both.__getitem__)
    smaller = min(areas[view], key=areas[view].__getitem__)
    evidence = {"left_cm2": areas[view]["L"], "right_cm2": areas[view]["R"]}
    return Measured(both[view], where=(Location("side", {"side": smaller}),), params={"view": view}, evidence=evidence)
