"""Who may connect: a decision on AE titles, address and load, made before an association is negotiated."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_address

from dicom_gateway.settings import Listen, Peer
from dicom_gateway.settings.model import LOOPBACK

__all__ = ["Caller", "Verdict", "admit"]


class Verdict(Enum):
    """The decision, with result, source and diagnostic of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    ADMITTED = (0, 0, 0)
    UNKNOWN_CALLER = (1, 1, 3)
    WRONG_CALLED_TITLE = (1, 1, 7)
    LIMIT = (2, 3, 2)
    BROKEN_REQUEST = (1, 1, 1)

    @property
    def code(self) -> str:
        """Name for logs and counts."""
        return self.name.lower()


@dataclass(frozen=True)
class Caller:
    """Who asks for an association, and how many are open."""

    calling_aet: str
    called_aet: str
    address: str
    open_in_all: int = 0
    open_from_peer: int = 0
    has_space: bool = True


def admit(caller: Caller, listen: Listen, peers: Sequence[Peer]) -> tuple[Verdict, Peer | None]:
    """The decision, and the peer that calls.

    Without any peer in the settings, this machine may call under every title; settings refuse such a listener on
    another address.
    """
    if caller.called_aet != listen.aet:
        return Verdict.WRONG_CALLED_TITLE, None
    known = peers or (Peer(caller.calling_aet, LOOPBACK),)
    peer = next((p for p in known if p.aet == caller.calling_aet), None)
    if peer is None or not _at_home(caller.address, peer):
        return Verdict.UNKNOWN_CALLER, None
    if (
        caller.open_in_all >= listen.max_associations
        or caller.open_from_peer >= listen.max_associations_per_peer
        or not caller.has_space
    ):
        return Verdict.LIMIT, None
    return Verdict.ADMITTED, peer


def _at_home(address: str, peer: Peer) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in peer.addresses)
