"""Proof of the checks on real images: planted defects, cross-talk, specificity, and human ratings from outside."""

from qc.image.proof.clean import CleanSeries, clean_series
from qc.image.proof.drawing import draw_all
from qc.image.proof.planting import DEFECTS, Defect
from qc.image.proof.ratings import rated_benchmark
from qc.image.proof.study import prove

__all__ = ["DEFECTS", "CleanSeries", "Defect", "clean_series", "draw_all", "prove", "rated_benchmark"]
