"""Errors of the gateway: settings, store, listener and delivery.

::

    RadgateError
    └── GatewayError
        ├── SettingsError
        ├── StoreError
        │   ├── StoreFull
        │   ├── StoreUnavailable
        │   ├── StoreInUse
        │   ├── Unreadable
        │   └── UnknownObject
        ├── ListenError
        ├── NothingToDo
        ├── NotReceiving
        ├── JobRefused
        ├── JobCancelled
        ├── DoseChoiceRefused
        ├── OutputRefused
        ├── QualityWorkerFailed
        ├── UnknownTrend
        ├── BadQuery, BadBody (dicom_gateway.dicomweb)
        └── DeliveryError
            ├── RetryableDelivery
            ├── PermanentDelivery
            └── DestinationMisconfigured

Messages are one sentence that says what is wrong and what to do, and carry no patient data: they reach logs and pages.
"""

from imaging.errors import RadgateError

__all__ = [
    "DeliveryError",
    "DestinationMisconfigured",
    "DoseChoiceRefused",
    "GatewayError",
    "JobCancelled",
    "JobRefused",
    "ListenError",
    "NotReceiving",
    "NothingToDo",
    "OutputRefused",
    "PermanentDelivery",
    "QualityWorkerFailed",
    "RetryableDelivery",
    "SettingsError",
    "StoreError",
    "StoreFull",
    "StoreInUse",
    "StoreUnavailable",
    "UnknownObject",
    "UnknownTrend",
    "Unreadable",
]


class GatewayError(RadgateError):
    """The gateway cannot do what it was asked to do."""


class SettingsError(GatewayError):
    """The settings file is wrong; `fields` has `line` (from 1, or None) and `key` (dotted) where they are known.

    Parameters
    ----------
    message
        One sentence, without the place: `str()` of the error puts file line and key in front of it.
    line
        Line of the settings file, from 1.
    key
        Dotted key, such as ``listen.port`` or ``route[2].when``.
    """

    def __init__(self, message: str, *, line: int | None = None, key: str | None = None) -> None:
        super().__init__(message, line=line, key=key)
        self.line = line
        self.key = key

    def __str__(self) -> str:
        place = ", ".join(p for p in (f"line {self.line}" if self.line else "", self.key or "") if p)
        return f"{place}: {self.message}" if place else self.message


class StoreError(GatewayError):
    """An object cannot be stored or found."""


class StoreFull(StoreError):
    """Free space is below the mark, or the file system refused a write."""


class StoreUnavailable(StoreError):
    """The index or the file system does not answer."""


class StoreInUse(StoreError):
    """Another service works on the store."""


class Unreadable(StoreError):
    """The bytes are no DICOM object that can be indexed."""


class UnknownObject(StoreError):
    """No object of this address or UID is in the store."""


class ListenError(GatewayError):
    """The listener cannot be started."""


class DeliveryError(GatewayError):
    """An object was not taken by its destination."""


class RetryableDelivery(DeliveryError):
    """The destination is away, busy or full: try again later."""


class PermanentDelivery(DeliveryError):
    """The destination will never take this object in this form."""


class DestinationMisconfigured(DeliveryError):
    """The destination refuses us as a peer: a person has to change a setting on one of the sides."""


class DoseChoiceRefused(GatewayError):
    """The doses that were chosen do not make a sum."""


class NothingToDo(GatewayError):
    """A folder that was named holds no file."""


class NotReceiving(GatewayError):
    """A study that is unknown or decided cannot be taken as complete."""


class JobRefused(GatewayError):
    """A job cannot be cancelled, or started again; `fields` has `why`, in one word."""


class JobCancelled(GatewayError):
    """A person has cancelled the job that is being worked on."""


class OutputRefused(GatewayError):
    """Results cannot be written to this folder."""


class QualityWorkerFailed(GatewayError):
    """The process that judges images ended or did not answer."""


class UnknownTrend(GatewayError):
    """There are no points to follow, or a new baseline comes without its reason."""
