"""C-STORE over pynetdicom whose answer is not lost.

pynetdicom 3.0 pauses the thread that reads messages of an association before it sends a request, but may take that
thread for paused while it is just leaving its pause. The thread then takes the answer for a stray message, and the
sender waits for its answer until the time is over. Here the thread is seen to come to its pause anew.
"""

import time
from pathlib import Path

from pydicom import Dataset
from pynetdicom.association import Association

__all__ = ["send_c_store"]

LONGEST_S = 0.05
"""The reading thread looks for its pause every millisecond; by then it has come to it, or rested there before."""


def send_c_store(association: Association, dataset: Dataset | Path) -> Dataset:
    """The answer to a C-STORE; an empty one where none came in time or the connection went away.

    Raises
    ------
    RuntimeError, ValueError
        As `Association.send_c_store`: the association is closed, or has no context for the data set.
    """
    _bring_to_rest(association)
    try:
        return association.send_c_store(dataset)
    finally:
        association._reactor_checkpoint.set()


def _bring_to_rest(association: Association) -> None:
    """Wait until the reading thread rests, whatever it was doing."""
    association._reactor_checkpoint.clear()
    # What it says now may be left over from its last pause; it says so again when it comes to the next one.
    association._is_paused = False
    until = time.monotonic() + LONGEST_S
    while not association._is_paused and time.monotonic() < until:
        time.sleep(0.0002)
    association._is_paused = True
