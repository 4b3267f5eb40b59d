"""Which errors go away by themselves or by a person's hand, so that a step is tried again instead of ended."""

import errno

from sqlalchemy.exc import InterfaceError, OperationalError

from dicom_gateway.errors import StoreFull, StoreUnavailable

__all__ = ["is_passing"]

PASSING = (OperationalError, InterfaceError, StoreUnavailable, StoreFull)
NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE})
"""What a restarted database or an emptied disk puts right."""


def is_passing(error: BaseException) -> bool:
    """Whether an error, or what it was raised from, is of the kind that trying again helps."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, PASSING) or (isinstance(seen, OSError) and seen.errno in NUMBERS):
            return True
        seen = seen.__cause__
    return False
