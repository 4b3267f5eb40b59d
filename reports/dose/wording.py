"""The words of the dose report in Chinese and English."""

import re

from contouring.dose.assessment import CourseFacts, Flag, StructureAssessment

__all__ = [
    "FLAG_WORDS",
    "JUDGED_WORDS",
    "STATUS_WORDS",
    "TITLE",
    "TRANSFORM_WORDS",
    "course_words",
    "flag_words",
    "share_text",
    "warning_words",
]

TITLE = ("剂量累加报告", "Accumulated dose report")

STATUS_WORDS = {
    "met": ("符合", "met"),
    "near": ("接近", "near"),
    "broken": ("超限", "broken"),
    "not_evaluable": ("无法评估", "cannot be evaluated"),
}

JUDGED_WORDS = {"physical": ("物理剂量", "physical"), "EQD2": ("EQD2", "EQD2")}

TRANSFORM_WORDS = {
    "same_frame": ("同一坐标系", "same frame of reference"),
    "object": ("配准对象", "registration object"),
    "computed_rigid": ("计算的刚性配准，未经审核", "computed rigid registration, not reviewed"),
    "computed_deformable": ("计算的形变配准，仅供定性", "computed deformable registration, QUALITATIVE"),
}

FLAG_WORDS: dict[str, tuple[str, str]] = {
    "outside_dose_grid": ("部分位于剂量网格外", "partly outside a dose grid"),
    "qualitative": ("仅供定性", "qualitative"),
    "organ_not_aligned": ("器官未对齐", "organ not aligned"),
    "nominal_above_sum_of_maxima": (
        "累加值高于各疗程最大值之和：配准有误",
        "sum above the sum of maxima: a fault of the registration",
    ),
    "alpha_beta_is_default": ("α/β 为默认值", "α/β is a stand-in"),
    "not_converged": ("直方图未收敛", "histogram not converged"),
    "missing_planes": ("缺少轮廓层面", "planes without contours"),
    "non_positive_jacobian": ("形变折叠", "the deformation folds"),
}


WARNINGS_ZH = {
    r"No EQD2: the number of fractions of dose (.+) is not known\.": "无 EQD2：剂量 {} 的分次数未知。",
    r"No EQD2: dose (.+) is the sum of several plans, whose fractions may differ; state them by hand\.": (
        "无 EQD2：剂量 {} 是多个计划之和，各计划的分次数可能不同；请手动填写分次数。"
    ),
    r"Dose (.+): (\d+) fractions were stated and (\d+) are planned; the whole dose counts as given in those stated\.": (
        "剂量 {}：填写 {} 次，计划 {} 次；全部剂量按填写的次数计算。"
    ),
    r"Plans that no dose names: (\d+); they were not used\.": "{} 个计划未被任何剂量引用，未使用。",
    r"Alpha/beta was stated for structures that are not there: (.+)\.": "为不存在的结构填写了 α/β：{}。",
    r"(?:Dose (.+)|The dose) reaches (\d+) Gy, and ([\d.]+) cc have more than (\d+) Gy, .+": (
        "剂量 {} 高达 {} Gy，{} cc 超过 {} Gy，如近距离治疗源旁；若非近距离治疗，则 DoseGridScaling 有误。"
    ),
    r"The objects have one patient ID and different patient names; .+": (
        "对象的患者编号相同而姓名不同；请确认属于同一患者。"
    ),
    r"No registration was used: all doses lie in the frame of reference of the image\.": (
        "未使用配准：所有剂量均在影像的坐标系内。"
    ),
    r"The registration was computed and not reviewed\.": "配准由软件计算，未经审核。",
    r"Deforming did not bring the images nearer to each other than moving; the rigid step was used\.": (
        "形变配准未比刚性配准更接近，已采用刚性配准。"
    ),
    r"QUALITATIVE: a dose was deformed; no limit is judged\.": "仅供定性：剂量经形变，不判定限值。",
    r"Part of the dose lies where not all doses are known: .+": (
        "部分剂量所在处并非所有剂量均已知：图像和等剂量线不含该处，RTDOSE 中为已知部分。"
    ),
    r"Some limits are not verified against their source\.": "部分限值尚未与出处核对。",
}
"""Warnings of an assessment, by what they look like in English."""


def warning_words(warning: str) -> tuple[str, str]:
    """A warning of an assessment in both languages; one that has no Chinese words stays as it is."""
    for pattern, zh in WARNINGS_ZH.items():
        if found := re.fullmatch(pattern, warning):
            return zh.format(*found.groups()), warning
    return warning, warning


def flag_words(flag: Flag, structure: StructureAssessment) -> tuple[str, str]:
    """A flag of a structure in both languages, with how much of the structure it is about where that is a part."""
    zh, en = FLAG_WORDS[flag]
    if flag == "outside_dose_grid":
        percent = share_text(structure.outside_share)
        return f"{zh}（{percent} %）", f"{en} ({percent} %)"
    return zh, en


def share_text(share: float) -> str:
    """Percent with two digits that count; never as if nothing or everything were outside."""
    percent = 100 * share
    return f"{percent:.2g}" if percent < 99.5 or share == 1 else ">99"


def course_words(course: CourseFacts) -> tuple[str, str]:
    """How a course was given and how it came to the image, in both languages."""
    zh, en = TRANSFORM_WORDS[course.transform_source]
    source = {"plan": ("计划", "by the plan"), "stated": ("手工填写", "stated by hand"), "unknown": ("未知", "unknown")}
    count = "—" if course.fractions is None else str(course.fractions)
    given = source[course.fractions_source]
    prescribed = "" if course.prescription_gy is None else f" · {course.prescription_gy:g} Gy"
    return (
        f"{count} 次（{given[0]}）{prescribed} · {zh}",
        f"{count} fractions ({given[1]}){prescribed} · {en}",
    )
