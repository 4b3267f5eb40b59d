"""The report that people read: a result as bilingual pages."""

from reports.document.build import report_pdf

__all__ = ["report_pdf"]
