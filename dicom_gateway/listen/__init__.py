"""The DICOM listener."""

from dicom_gateway.listen.doorkeeper import Caller, Verdict, admit
from dicom_gateway.listen.listener import Listener

__all__ = ["Caller", "Listener", "Verdict", "admit"]
