"""Limits of dose, as data files with their citations, and how a histogram stands to them."""

from contouring.dose.limits.load import Limit, LimitSet, limits_for, load_limits, shipped_limits, sites
from contouring.dose.limits.verdict import Judged, Verdict, judge

__all__ = ["Judged", "Limit", "LimitSet", "Verdict", "judge", "limits_for", "load_limits", "shipped_limits", "sites"]
