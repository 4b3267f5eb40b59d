"""Colours where grey values are expected: no number of such pixels means anything."""

from qc.image.inputs import Inputs
from qc.image.judgeable import GREY, is_colour
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

MOST_POSITIONS = 200


@check(
    "gen.pixel.photometric",
    version="1.0.0",
    title=("光度解释", "Photometric interpretation"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=tuple(sorted(GREY)),
    source="DICOM PS3.3 C.7.6.3.1.2 (Photometric Interpretation)",
    causes={
        "colour": Advice(
            "transfer",
            "应为灰度图像，PhotometricInterpretation (0028,0004) 却为 {photometric}，像素未评价",
            "PhotometricInterpretation (0028,0004) is {photometric} where grey values are expected: "
            "the pixels are not judged",
            "export_original",
            "IT",
            "请从原设备重新导出原始灰度图像",
            "Export the original grey-scale images from the device",
        ),
        "absent": Advice(
            "transfer",
            "缺少 PhotometricInterpretation (0028,0004)，像素无法解读",
            "PhotometricInterpretation (0028,0004) is missing: the pixels cannot be read",
            "export_original",
            "IT",
            "请从原设备重新导出并填写该标签",
            "Export it again from its device with this attribute",
        ),
    },
    states={"grey": "PASS", "colour": "FAIL", "absent": "FAIL"},
)
def photometric(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the worst instance; how many are in that state stands in the evidence."""
    if not inputs.headers:
        return NotEvaluable("missing_tag")
    stated = inputs.texts("PhotometricInterpretation")
    colours = [n for n, header in enumerate(inputs.headers) if is_colour(header)]
    absent = [n for n, text in enumerate(stated) if not text]
    bad = colours or absent
    if not bad:
        return Measured("grey")
    word = stated[bad[0]]
    if word.startswith("MONOCHROME"):
        word += f" (SamplesPerPixel {inputs.number('SamplesPerPixel', bad[0]):.0f})"
    state = "colour" if colours else "absent"
    return Measured(state, state, _places(inputs, bad), {"photometric": word[:40]}, {"instances": float(len(bad))})


def _places(inputs: Inputs, bad: list[int]) -> tuple[Location, ...]:
    if inputs.planes is None:
        return ()
    p_mm = [float(p) for p, n in zip(inputs.planes.p_mm, inputs.planes.order, strict=True) if n in set(bad)]
    return (Location("slices", {"p_mm": p_mm[:MOST_POSITIONS]}),)
