"""Image quality: `check_series` says PASS, WARN, FAIL or NOT_EVALUABLE, where, why, and what a person should do."""

from qc.image.result import (
    Action,
    Cause,
    CheckResult,
    Grade,
    LimitsUsed,
    Location,
    Measurement,
    SeriesVerdict,
    Subject,
)
from qc.image.run import check_inputs, check_pictures, check_refused, check_series

__all__ = [
    "Action",
    "Cause",
    "CheckResult",
    "Grade",
    "LimitsUsed",
    "Location",
    "Measurement",
    "SeriesVerdict",
    "Subject",
    "check_inputs",
    "check_pictures",
    "check_refused",
    "check_series",
]
