"""Whether the header says what kind of image it is: without that, no check of pixels is made."""

from qc.image.inputs import Inputs
from qc.image.registry import MODALITIES, OTHER_MODALITIES, Advice, Measured, NotEvaluable, check

MADE_FOR = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.130": "PT",
    "1.2.840.10008.5.1.4.1.1.12.1": "XA",
    "1.2.840.10008.5.1.4.1.1.20": "NM",
    "1.2.840.10008.5.1.4.1.1.1.2": "MG",
}
"""Modality that a kind of object can only have (DICOM PS3.3, the modules of its information object)."""


@check(
    "gen.tag.modality",
    version="1.1.0",
    title=("检查类型标签", "Modality tag"),
    unit="1",
    direction="categorical",
    settles="early",
    source="DICOM PS3.3 C.7.3.1.1.1 (Modality)",
    causes={
        "absent": Advice(
            "labelling",
            "缺少 Modality (0008,0060)，无法判断图像类型，像素未评价",
            "Modality (0008,0060) is missing: the kind of image is not known and its pixels are not judged",
            "export_original",
            "IT",
            "请从原设备重新导出并填写该标签",
            "Export it again from its device with this attribute",
        ),
        "unknown": Advice(
            "labelling",
            "Modality (0008,0060) 的值 {modality} 不是 DICOM 定义的类型，像素未评价",
            "Modality (0008,0060) is {modality}, which DICOM does not define: the pixels are not judged",
            "correct_tag",
            "IT",
            "请在发送设备上更正该标签后重新发送",
            "Correct it on the sending device and send again",
        ),
        "contradicts": Advice(
            "labelling",
            "Modality (0008,0060) 为 {modality}，但对象类型是 {made_for} 图像",
            "Modality (0008,0060) is {modality}, but the objects are {made_for} images",
            "correct_tag",
            "IT",
            "请在发送设备上更正该标签后重新发送",
            "Correct it on the sending device and send again",
        ),
    },
    states={"known": "PASS", "absent": "FAIL", "unknown": "FAIL", "contradicts": "FAIL"},
)
def modality(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the attribute; NOT_EVALUABLE for kinds that DICOM defines and that no check is made for."""
    stated = inputs.modality.upper()
    made_for = MADE_FOR.get(inputs.text("SOPClassUID"), stated)
    if stated and stated != made_for:
        return Measured("contradicts", "contradicts", params={"modality": stated[:16], "made_for": made_for})
    if stated in MODALITIES:
        return Measured("known")
    if stated in OTHER_MODALITIES:
        return NotEvaluable("unsupported")
    if not stated and not inputs.headers:
        return NotEvaluable("missing_tag")  # nothing could be read; why is another check's matter
    state = "unknown" if stated else "absent"
    return Measured(state, state, params={"modality": stated[:16]})
