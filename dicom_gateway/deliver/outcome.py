"""What an answer to an object means, and when to try again: tables and arithmetic, no network."""

from dataclasses import dataclass

__all__ = ["FINAL_STATES", "Outcome", "Pace", "classify_status"]

FINAL_STATES = frozenset({"ACCEPTED", "WARNED", "VERIFIED", "REJECTED", "DEAD", "CANCELLED"})
"""States of a ledger row that need no more sending."""

_WARNINGS = frozenset({0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007})  # PS3.4 B.2.3 and PS3.7 C.4
_ALREADY_THERE = 0x0111  # Duplicate SOP Instance: our UIDs are deterministic, so it is the same object
_NOT_AUTHORISED = 0x0124
_PROCESSING_FAILURE = 0x0110  # PS3.7 C.5.12: a failure of the moment, not of the object


@dataclass(frozen=True)
class Outcome:
    """The result of one attempt.

    Parameters
    ----------
    kind
        "accepted", "warned", "retry", "permanent" or "misconfigured".
    status
        Status as hexadecimal, or a word such as ``timeout``; goes to the page.
    message
        One sentence for people; empty where all is well.
    reached
        Whether the destination answered at all. Where it did not, other objects need not be tried now.
    """

    kind: str
    status: str
    message: str = ""
    reached: bool = True


def classify_status(status: int | None) -> Outcome:
    """What a C-STORE status (or the failure reason of STOW-RS, which uses the same codes) means for the object."""
    if status is None:
        return Outcome("retry", "no_answer", "The destination did not answer in time; look at its load.", reached=False)
    code = f"0x{status:04X}"
    if status in {0x0000, _ALREADY_THERE}:
        return Outcome("accepted", code)
    if status in _WARNINGS or 0xB000 <= status <= 0xBFFF:
        return Outcome("warned", code, "The destination took the object with a warning; compare what it shows.")
    if 0xA700 <= status <= 0xA7FF or status == _PROCESSING_FAILURE:
        return Outcome("retry", code, "The destination is out of resources or busy; look at its disk and load.")
    if status == _NOT_AUTHORISED:
        return Outcome("misconfigured", code, "The destination does not let us store; add our AE title there.")
    return Outcome(
        "permanent", code, "The destination refuses this object; look into its log, then resend it or cancel it."
    )


@dataclass(frozen=True)
class Pace:
    """How often to try.

    Parameters
    ----------
    first_s
        Wait after the first failure; doubles with each further one.
    cap_s
        Longest wait.
    jitter
        Share by which a wait is spread, so that many gateways do not come back at the same moment.
    break_after
        Failures of a destination in a row after which only probes are sent.
    probe_s
        Time between probes.
    idle_s
        How often to look for rows that another process wrote.
    verify_s, verify_for_s
        First wait before asking whether an accepted object is there, and how long to ask.
    """

    first_s: float = 5.0
    cap_s: float = 900.0
    jitter: float = 0.2
    break_after: int = 5
    probe_s: float = 60.0
    idle_s: float = 2.0
    verify_s: float = 2.0
    verify_for_s: float = 86400.0

    def wait_s(self, attempts: int, spread: float) -> float:
        """Wait after this many failures (from 1); `spread` from -1 to 1 places it within the jitter."""
        plain: float = min(self.cap_s, self.first_s * 2.0 ** min(attempts - 1, 40))
        return plain * (1.0 + self.jitter * spread)
