"""The fixed words that all outlets share, in Chinese and English, and who answers for a result."""

from importlib.metadata import version

from imaging.provenance import Algorithm
from qc.image.result import Grade
from reports.model import Result, Status
from reports.parts import Run, RunStatus

__all__ = [
    "GRADE_WORDS",
    "REVIEW_SENTENCE",
    "RUN_WORDS",
    "STATUS_WORDS",
    "TITLE",
    "radgate_version",
    "reason_words",
    "run_sentences",
    "scope",
    "unique_algorithms",
]

REVIEW_SENTENCE = "AI 结果，供医师审核，不替代诊断 / AI result for review by a physician"
"""Stands on every object that people read."""

TITLE = ("AI 影像分析报告", "AI image analysis report")

STATUS_WORDS: dict[Status, tuple[str, str]] = {
    "findings": ("分析完成，有结果", "Analysis complete, with findings"),
    "none_found": ("未检出", "Nothing found within the scope"),
    "partial": ("部分分析未完成", "Part of the analysis was not completed"),
    "failed": ("AI 未完成", "AI did not complete"),
    "refused": ("未进行 AI 分析", "AI analysis was not attempted"),
    "held": ("等待人工处理", "Waiting for a person"),
}
"""Never "normal": not to have found something within a scope is all that an algorithm can say."""

RUN_WORDS: dict[RunStatus, str] = {"ok": "完成", "failed": "失败", "refused": "未运行", "held": "等待"}

GRADE_WORDS = {Grade.PASS: "合格", Grade.WARN: "注意", Grade.FAIL: "不合格", Grade.NOT_EVALUABLE: "无法评估"}


REASON_WORDS = {
    "missing_tag": ("头信息缺项", "a value is missing in the header"),
    "series_incomplete": ("序列不完整", "the series is incomplete"),
    "too_few_slices": ("层数不足", "too few slices"),
    "too_few_pixels": ("像素不足", "too few pixels"),
    "no_region": ("未找到可测区域", "no region to measure was found"),
    "needs_mask": ("需要勾画", "a contour is needed"),
    "background_zeroed": ("背景已置零", "the background was set to zero"),
    "lossy": ("有损压缩", "lossy compression"),
    "worker_missing": ("体模模块未配置", "the phantom worker is not set up"),
    "unsupported": ("不支持的图像类型", "this kind of image is not supported"),
    "colour": ("应为灰度图像，收到彩色", "colours where grey values are expected"),
    "secondary_capture": ("二次截图，不作评价", "a secondary capture is not judged"),
    "error": ("检查程序出错", "the check itself failed"),
}
"""Why a check could not be evaluated (specification of image quality, section 1.3)."""


def reason_words(reason: str) -> tuple[str, ...]:
    """A reason for NOT_EVALUABLE in Chinese and English; one that is not in the list as it is."""
    return REASON_WORDS.get(reason, (reason,))


def radgate_version() -> str:
    """Version of this installation."""
    return version("radgate")


def unique_algorithms(result: Result) -> tuple[Algorithm, ...]:
    """The algorithms of a result, each once, in the order of its runs."""
    found: list[Algorithm] = []
    for run in result.runs:
        if run.algorithm not in found:
            found.append(run.algorithm)
    return tuple(found)


def scope(result: Result) -> str:
    """What was looked for: the algorithms with their versions."""
    return ", ".join(f"{a.name} {a.version}" for a in unique_algorithms(result))


def run_sentences(run: Run) -> list[str]:
    """Why a run has no output, and what a person can do."""
    reasons = [text for text in (run.reason_zh, run.reason) if text]
    return [*reasons, f"处理 Action: {run.action}"] if run.action else reasons
