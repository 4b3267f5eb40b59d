"""The report on doses that add up: table, pictures, PDF, SR, secondary captures."""

from reports.dose.gate import require_valid_dose, validate_dose
from reports.dose.objects import encode_dose
from reports.dose.report import DoseReport, dose_report
from reports.dose.results import DoseResults, dose_results
from reports.dose.table import DoseTable, dose_table

__all__ = [
    "DoseReport",
    "DoseResults",
    "DoseTable",
    "dose_report",
    "dose_results",
    "dose_table",
    "encode_dose",
    "require_valid_dose",
    "validate_dose",
]
