"""Image quality in the service: judged while it arrives, shown on a board, sent on, and asked before a bundle runs."""

from dicom_gateway.quality.observer import QualityObserver

__all__ = ["QualityObserver"]
