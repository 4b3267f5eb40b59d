"""The words of the dose report in Chinese and English."""

from contouring.dose.assessment import CourseFacts

__all__ = ["FLAG_WORDS", "STATUS_WORDS", "TITLE", "TRANSFORM_WORDS", "course_words"]

TITLE = ("剂量累加报告", "Accumulated dose report")

STATUS_WORDS = {
    "met": ("符合", "met"),
    "near": ("接近", "near"),
    "broken": ("超限", "broken"),
    "not_evaluable": ("无法评估", "cannot be evaluated"),
}

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
