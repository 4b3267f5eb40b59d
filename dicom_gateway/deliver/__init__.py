"""Results on their way out: the ledger, the senders, and the courier that works through it."""

from dicom_gateway.deliver.courier import Courier
from dicom_gateway.deliver.ledger import DeliveryRow, Parcel, cancel, enqueue, resend, rows, unsettled
from dicom_gateway.deliver.outcome import FINAL_STATES, Outcome, Pace, classify_status

__all__ = [
    "FINAL_STATES",
    "Courier",
    "DeliveryRow",
    "Outcome",
    "Pace",
    "Parcel",
    "cancel",
    "classify_status",
    "enqueue",
    "resend",
    "rows",
    "unsettled",
]
