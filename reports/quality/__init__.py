"""Image quality as DICOM: the verdict on one series as structured report, its poor images as key object selection."""

from reports.quality.kos import encode_quality_kos
from reports.quality.sr import encode_quality_sr
from reports.quality.verdict import JudgedSeries

__all__ = ["JudgedSeries", "encode_quality_kos", "encode_quality_sr"]
