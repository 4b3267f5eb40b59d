"""Limits of dose, as data files with their citations, and how a histogram stands to them."""

from contouring.dose.limits.load import Limit, LimitSet, load_limits, shipped_limits
from contouring.dose.limits.verdict import Verdict, judge

__all__ = ["Limit", "LimitSet", "Verdict", "judge", "load_limits", "shipped_limits"]
