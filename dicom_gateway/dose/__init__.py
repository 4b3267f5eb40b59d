"""Sums of doses in the gateway: what a patient's objects allow, proposals, the durable work, what the page reads."""

from dicom_gateway.dose.workflow import DoseFlow

__all__ = ["DoseFlow"]
