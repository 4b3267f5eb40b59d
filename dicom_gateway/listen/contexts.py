"""What the listener accepts: every storage class of the standard, in every syntax that carries the pixels along."""

from collections.abc import Collection, Iterable

from pynetdicom import ALL_TRANSFER_SYNTAXES
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext, build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import Verification, register_uid

__all__ = ["STORAGE_CLASSES", "TRANSFER_SYNTAXES", "accepted_contexts", "register_private_classes"]

STORAGE_CLASSES = frozenset(str(c.abstract_syntax) for c in AllStoragePresentationContexts)

# JPIP carries an address instead of pixels, and SMPTE ST 2110 describes live streams: Success for one of these would
# make a sender delete an image that we never had.
_WITHOUT_PIXELS = ("1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.20", "1.2.840.10008.1.2.7.")
_HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
TRANSFER_SYNTAXES = tuple(
    str(uid) for uid in ALL_TRANSFER_SYNTAXES if uid in _HTJ2K or not str(uid).startswith(_WITHOUT_PIXELS)
)


def register_private_classes(uids: Iterable[str]) -> None:
    """Let pynetdicom treat these private classes as storage."""
    for number, uid in enumerate(uids):
        if uid not in STORAGE_CLASSES:
            register_uid(uid, f"RadgatePrivateStorage{number}", StorageServiceClass)


def accepted_contexts(
    proposed: Iterable[PresentationContext], may: Collection[str], private_classes: Collection[str]
) -> list[PresentationContext]:
    """Contexts to support for one association: of what it proposes, that which this peer may do.

    Made for each association from its proposal, because pynetdicom copies the whole list for each one: 90 ms for all
    classes and syntaxes, under 1 ms for what one peer proposes.
    """
    contexts = []
    for uid in sorted({str(c.abstract_syntax) for c in proposed}):
        if uid == Verification and "echo" in may:
            contexts.append(build_context(uid))
        elif "store" in may and (uid in STORAGE_CLASSES or uid in private_classes):
            contexts.append(build_context(uid, list(TRANSFER_SYNTAXES)))
    return contexts
