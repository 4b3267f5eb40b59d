"""The gate before delivery: radgate's own rules for its objects, and dciodvfy where it is installed."""

from reports.validate.gate import require_valid, validate
from reports.validate.outside import ALLOWED_WARNINGS, dciodvfy_findings
from reports.validate.violation import Violation

__all__ = ["ALLOWED_WARNINGS", "Violation", "dciodvfy_findings", "require_valid", "validate"]
