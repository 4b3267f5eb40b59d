"""Whether the instances make up a volume at all; a refusal becomes a finding with what to do."""

from qc.image.inputs import Inputs
from qc.image.judgeable import bar_of
from qc.image.registry import Advice, Measured, NotEvaluable, check


def _advice(cause: str, zh: str, en: str, action: str, operator: str, do_zh: str, do_en: str) -> Advice:
    return Advice(cause, zh, en, action, operator, do_zh, do_en)


RESEND = ("resend", "technician", "请从设备或 PACS 重新发送该序列", "Send the series again from the scanner or PACS")
SELECT = ("select_stack", "technician", "请只发送一个完整的断层序列", "Send one complete stack of slices only")

CAUSES = {
    "not_dicom": _advice("transfer", "文件不是 DICOM 文件", "A file is no DICOM file", *RESEND),
    "truncated_file": _advice(
        "transfer", "文件不完整，传输中断", "A file is cut off: the transfer was interrupted", *RESEND
    ),
    "missing_attribute": _advice(
        "transfer",
        "图像几何或像素所需的属性 {keyword} 缺失或无效",
        "{keyword}, which geometry or pixels need, is missing or broken",
        "export_original",
        "IT",
        "请从原设备重新导出未经处理的原始序列",
        "Export the original series again from its scanner",
    ),
    "undecodable_pixels": _advice(
        "transfer",
        "像素数据无法解码",
        "The pixel data cannot be decoded",
        "resend_uncompressed",
        "IT",
        "请以未压缩或标准压缩格式重新发送",
        "Send it again uncompressed or in a standard compression",
    ),
    "localiser": _advice(
        "protocol",
        "该序列为定位像，不作三维分析",
        "The series is a localiser and is not analysed in three dimensions",
        "none_needed",
        "technician",
        "无需处理；请确认断层序列已发送",
        "Nothing to do; make sure that the slices were sent",
    ),
    "not_an_image_stack": _advice(
        "protocol",
        "该序列不是带空间位置的断层图像",
        "The series holds no slices with a position in space",
        "none_needed",
        "technician",
        "无需处理；请确认断层序列已发送",
        "Nothing to do; make sure that the slices were sent",
    ),
    "mixed_orientation": _advice(
        "protocol", "序列内切面方向不一致", "The slices of the series differ in orientation", *SELECT
    ),
    "mixed_frame_of_reference": _advice(
        "protocol", "序列内坐标系不一致", "The slices belong to more than one frame of reference", *SELECT
    ),
    "mixed_grid": _advice(
        "protocol", "序列内矩阵或像素间距不一致", "The slices differ in matrix or pixel spacing", *SELECT
    ),
    "duplicate_planes": _advice("transfer", "同一位置有多幅图像", "Several images lie at the same position", *SELECT),
    "duplicate_instance": _advice(
        "transfer",
        "同一实例收到两次",
        "The same instance was received twice",
        "check_sender",
        "IT",
        "请检查发送端是否重复发送；内容不同时请重新导出",
        "Check the sender; if the contents differ, export again",
    ),
    "four_dimensional": _advice(
        "protocol",
        "一个序列含多个期相或回波",
        "One series holds several phases or echoes",
        "split_series",
        "technician",
        "请按期相或回波拆分为单独序列后发送",
        "Split it into one series per phase or echo",
    ),
    "gantry_tilt": _advice(
        "protocol",
        "机架倾斜，切面与扫描轴不垂直",
        "The gantry was tilted: slices are not perpendicular to the scan axis",
        "reconstruct_untilted",
        "technician",
        "请以零倾角重新重建或重扫",
        "Reconstruct or scan again without tilt",
    ),
    "missing_slices": _advice(
        "transfer",
        "层间距不一致，可能缺层",
        "The slice distance is not constant: slices may be missing",
        "resend_slices",
        "technician",
        "请补发缺失层面，或重建为等间距序列",
        "Send the missing slices, or reconstruct evenly spaced",
    ),
    "single_slice": _advice(
        "protocol",
        "只有一层且无层厚，不构成三维图像",
        "One slice without a thickness makes no volume",
        *SELECT,
    ),
    "refused": _advice(
        "unknown", "该序列无法作为三维图像使用", "The series cannot be used as a three-dimensional image", *RESEND
    ),
}

HARMLESS = ("localiser", "not_an_image_stack", "duplicate_instance")
"""Such instances belong to many studies; nothing is lost and nobody has to act at once, so they are not FAIL."""


@check(
    "gen.geometry.usable",
    version="1.2.0",
    title=("可作三维图像使用", "Usable as a volume"),
    unit="1",
    direction="categorical",
    settles="final",
    needs=("headers", "stack"),
    source="DICOM PS3.3 C.7.6.2 (Image Plane)",
    causes=CAUSES,
    states={"usable": "PASS", **{code: "WARN" if code in HARMLESS else "FAIL" for code in CAUSES}},
)
def usable(inputs: Inputs) -> Measured | NotEvaluable:
    """The code of the refusal, or "usable" where there is a volume."""
    if bar_of(inputs).reason == "colour":
        return NotEvaluable("colour")  # why it is no volume is told by the check of that attribute
    if inputs.refusal is not None:
        code = inputs.refusal.code if inputs.refusal.code in CAUSES else "refused"
        if code == "missing_slices" and len(inputs.headers) == 1:
            code = "single_slice"
        numbers = {k: float(v) for k, v in inputs.refusal.fields.items() if isinstance(v, (int, float))}
        params = {"keyword": str(inputs.refusal.fields.get("keyword") or "(?)")[:64]}
        return Measured(code, advice=code, params=params, evidence={"code": inputs.refusal.code, **numbers})
    if inputs.volume is None:
        return NotEvaluable("no_volume")
    return Measured("usable", evidence={"planes": float(len(inputs.volume.array))})
