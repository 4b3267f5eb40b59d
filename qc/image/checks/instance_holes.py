"""Missing instance numbers: a hint that instances were lost, never a proof."""

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check


@check(
    "gen.instance.holes",
    version="1.0.0",
    title=("实例号缺失", "Holes in the instance numbers"),
    unit="1",
    direction="higher_worse",
    settles="final",
    needs=("headers", "stack"),
    source="DICOM PS3.3 C.7.6.1 (Instance Number)",
    causes={
        "holes": Advice(
            "transfer",
            "实例号中缺 {value:.0f} 个",
            "{value:.0f} instance numbers are missing",
            "compare_count",
            "technician",
            "请与设备上的图像数核对",
            "Compare the number of images with the scanner",
        )
    },
)
def holes(inputs: Inputs) -> Measured | NotEvaluable:
    """How many numbers between the smallest and the largest are missing."""
    numbers = [int(n[0]) for n in inputs.numbers("InstanceNumber") if n]
    distinct = set(numbers)
    if len(numbers) < len(inputs.headers) or not numbers:
        return NotEvaluable("missing_tag")
    if len(numbers) > 1 and len(distinct) == 1:
        return NotEvaluable("missing_tag", {"all_equal": 1.0})
    lost = max(distinct) - min(distinct) + 1 - len(distinct)
    repeated = len(numbers) - len(distinct)
    return Measured(float(lost), evidence={"first": float(min(distinct)), "repeated": float(repeated)})
