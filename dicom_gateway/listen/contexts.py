"""What the listener accepts: every storage class of the standard, in every syntax that carries the pixels along."""

from collections.abc import Collection, Iterable

from pydicom._uid_dict import UID_dictionary
from pynetdicom import ALL_TRANSFER_SYNTAXES
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext, build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import Verification, register_uid

__all__ = ["STORAGE_CLASSES", "TRANSFER_SYNTAXES", "accepted_contexts", "register_classes"]

# Beside pynetdicom's list: retired classes, which old modalities still send, and those of other fields. Protocols and
# inventories belong to no study.
_OTHERS = frozenset(
    uid
    for uid, (name, kind, *_) in UID_dictionary.items()
    if kind == "SOP Class"
    and "Storage" in name
    and uid.startswith("1.2.840.10008.5.1.4.1.1.")
    and not uid.startswith(("1.2.840.10008.5.1.4.1.1.200.", "1.2.840.10008.5.1.4.1.1.201."))
)
_KNOWN_TO_PYNETDICOM = frozenset(str(c.abstract_syntax) for c in AllStoragePresentationContexts)
STORAGE_CLASSES = _KNOWN_TO_PYNETDICOM | _OTHERS

# JPIP carries an address instead of pixels, and SMPTE ST 2110 describes live streams: Success for one of these would
# make a sender delete an image that we never had.
_WITHOUT_PIXELS = ("1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.20", "1.2.840.10008.1.2.7.")
_HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
TRANSFER_SYNTAXES = tuple(
    str(uid) for uid in ALL_TRANSFER_SYNTAXES if uid in _HTJ2K or not str(uid).startswith(_WITHOUT_PIXELS)
)


def register_classes(private_classes: Iterable[str]) -> None:
    """Let pynetdicom treat private classes, and those it does not know, as storage."""
    for uid in sorted(_OTHERS.union(private_classes) - _KNOWN_TO_PYNETDICOM):
        register_uid(uid, f"RadgateStorage_{uid.replace('.', '_')}", StorageServiceClass)


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
