"""Who may associate, and which presentation contexts are taken (PS3.8 7.1.1, 9.3.3, 9.3.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pacstui.dicom import syntaxes, uids
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.items import UserIdentity
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.equipment.book import PeerBook
from pacstui.equipment.peer import Peer
from pacstui.services import models
from pacstui.services.commitment import COMMITMENT
from pacstui.services.mpps import MPPS, MPPS_RETRIEVE
from pacstui.services.worklist import WORKLIST
from pacstui.settings import DicomSettings, QuerySettings, is_loopback
from pacstui.text import safe

_PRIVATE_DOTS = 5
_ACCEPTED, _USER_REJECTION, _ABSTRACT_SYNTAX, _TRANSFER_SYNTAXES = 0, 1, 3, 4


class NotAllowed(NamedTuple):
    """A service that a caller may not use: on which association, who, the rule in words and what changes it."""

    association: int
    calling: str
    address: str
    service: str
    text: str
    hint: str


Check = Callable[[UserIdentity | None, AssociateRequest, str], Refusal | None]
"""Judges who a caller says to be: identity, request, address."""


class Admission:
    """The node's policy: AE titles, addresses, limits, and the contexts that it takes.

    ``check_identity`` is the one place where a user identity (PS3.7 D.3.3.7) is judged, or that none is given.
    ``not_allowed`` is told of services that a caller may not use, once for each association and service. ``closed``
    says why nobody is let in for now, ``echo_only`` why only C-ECHO is taken; none and empty where everything is.
    ``open_of`` counts the open associations of an AE title.
    """

    def __init__(self, settings: DicomSettings, book: PeerBook, query: QuerySettings | None = None) -> None:
        self._book = book
        self._open: Counter[str] = Counter()
        self.active: Callable[[], int] = self._open.total
        self.check_identity: Check = lambda identity, rq, address: None
        self.not_allowed: Callable[[NotAllowed], None] = lambda told: None
        self.closed: Callable[[], Refusal | None] = lambda: None
        self.echo_only: Callable[[], str] = str
        self.open_of: Callable[[str], int] = lambda calling: 0
        self.replace(settings, query or QuerySettings())

    def replace(self, settings: DicomSettings, query: QuerySettings) -> None:
        """Judge by other settings from now on."""
        self._settings = settings
        self._query = query
        self._titles = frozenset((settings.ae_title, *settings.aliases))

    def entered(self, address: str) -> None:
        """An association from ``address`` is open."""
        self._open[address] += 1

    def left(self, address: str) -> None:
        """An association from ``address`` ended."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]

    def admit(self, peer_address: str) -> Refusal | None:
        limit = self._settings.max_associations
        if self.active() >= limit:
            return Refusal(
                2,
                3,
                2,
                f"this node has reached its limit of {limit} associations",
                "look for associations that nobody closes, or raise [dicom] max_associations",
            )
        own = self._settings.max_associations_per_host
        if own and self._open[peer_address] >= own:
            return Refusal(
                2,
                3,
                2,
                f"{peer_address} has reached its limit of {own} associations",
                "look for associations that the caller does not close, or raise [dicom] max_associations_per_host",
            )
        return None

    def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
        called, calling, host = safe(rq.called), safe(rq.calling), address[0]
        ours = self._settings.ae_title
        if self._settings.check_called_ae and rq.called not in self._titles:
            close = next((title for title in self._titles if title.lower() == rq.called.lower()), "")
            told = f"set the called AE title to {close or ours} at {calling or host}"
            return Refusal(
                1,
                1,
                7,
                f'calls "{called}", we are "{ours}"',
                told + (" (capitals matter)" if close else f', or add "{called}" to [dicom] aliases here'),
            )
        refusal = self._known(rq, host) or self.check_identity(rq.user.identity, rq, host) or self.closed()
        if refusal is not None or any(context.abstract_syntax == uids.VERIFICATION for context in rq.contexts):
            return refusal
        why = self.echo_only()
        return Refusal(2, 3, 1, f"only C-ECHO is taken: {why}", "the caller may try again later") if why else None

    def _known(self, rq: AssociateRequest, host: str) -> Refusal | None:
        calling = safe(rq.calling)
        peers = self._book.titled(rq.calling)
        loopback = is_loopback(host)
        if peers:
            if (
                self._settings.check_peer_host
                and not loopback
                and not any(self._book.lives_at(peer, host) for peer in peers)
            ):
                known = ", ".join(peer.host for peer in peers)
                return Refusal(
                    1,
                    1,
                    3,
                    f'"{calling}" is known at {known}, this call came from {host}',
                    f"correct the host of peer {peers[0].name}, or find out who else calls itself {calling}",
                )
            return self._full(rq.calling, [peer for peer in peers if self._book.lives_at(peer, host)] or peers)
        allowed = self._settings.unknown_callers
        if allowed == "all" or (allowed == "loopback" and loopback):
            return None
        return Refusal(
            1,
            1,
            3,
            f'"{calling}" from {host} is not known here',
            f'add it as a peer: 5, then c, then a; or [[peers]] name = "{calling}", ae_title = "{calling}", '
            f'host = "{host}"',
        )

    def _full(self, calling: str, peers: Sequence[Peer]) -> Refusal | None:
        """Return a transient refusal where a peer has as many associations as it may have."""
        limit = peers[0].limit
        if not limit or self.open_of(calling) < limit:
            return None
        name = safe(peers[0].name)
        return Refusal(
            2,
            3,
            2,
            f"{name} has reached its limit of {limit} associations",
            f"look for associations that it does not close, or raise its limit: pacstui peers edit {name} --limit",
        )

    def judge(self, rq: AssociateRequest, address: tuple[str, int], association: int) -> _Caller:
        """Return who decides on the contexts of one request."""
        return _Caller(self, rq.calling, address[0], association)

    def allowed(self, calling: str, host: str) -> tuple[frozenset[str], str, str]:
        """Return what a caller may ask for, the rule that says so, and what changes it.

        Of peers with the same AE title those count that live at ``host``; all of them if that is none's.
        """
        titled = self._book.titled(calling)
        if not titled:
            return (
                frozenset(self._settings.unknown_allow),
                "[dicom] unknown_allow",
                f'make "{safe(calling)}" a peer, or add the service there',
            )
        peers = [peer for peer in titled if self._book.lives_at(peer, host)] or titled
        name = safe(peers[0].name)
        services = frozenset(service for peer in peers for service in peer.allow)
        if not peers[0].configured:
            return services, f"what {name} may", f"add the service if it should: pacstui peers edit {name} --allow"
        return services, f"[[peers]] {name} allow", f"add the service to [[peers]] {name} allow if it should"

    def takes(self, abstract_syntax: str, transfer_syntaxes: Sequence[str]) -> tuple[int, str]:
        """Take our own services and all that is stored, in the first transfer syntax that is known."""
        if abstract_syntax in _OWN or abstract_syntax in models.MODELS:
            wanted = next((ts for ts in transfer_syntaxes if ts in _PLAIN), "")
            return (_ACCEPTED, wanted) if wanted else (_TRANSFER_SYNTAXES, "")
        if not uids.is_storage(abstract_syntax) and not self.takes_unknown(abstract_syntax):
            return _ABSTRACT_SYNTAX, ""
        for ts in transfer_syntaxes:
            if ts in _STORABLE or (
                self._settings.unknown_sop_classes and not ts.startswith("1.2.840.10008.") and uids.valid_uid(ts)
            ):
                return _ACCEPTED, ts
        return _TRANSFER_SYNTAXES, ""

    def takes_unknown(self, abstract_syntax: str) -> bool:
        """Return whether a SOP class that is not known is taken for one of storage."""
        if not self._settings.unknown_sop_classes or not uids.valid_uid(abstract_syntax):
            return False
        if abstract_syntax.startswith("1.2.840.10008."):
            return abstract_syntax.startswith("1.2.840.10008.5.1.4.1.1.")
        # An organisation's root has four components or more, its SOP classes lie below; 2.25 roots are one UUID long.
        return abstract_syntax.startswith("2.25.") or abstract_syntax.count(".") >= _PRIVATE_DOTS

    def options(self, information: bytes) -> bytes:
        """Answer the extended negotiation of queries."""
        return models.options_of(information, bytes((1, 1, int(self._query.fuzzy_names))))


class _Caller:
    """Decides on one caller's request."""

    def __init__(self, admission: Admission, calling: str, host: str, association: int) -> None:
        self._admission = admission
        self._calling = calling
        self._host = host
        self._association = association
        self._services, self._rule, self._remedy = admission.allowed(calling, host)
        self._told: set[str] = set()

    def accepts(self, abstract_syntax: str, transfer_syntaxes: Sequence[str], rq: AssociateRequest) -> tuple[int, str]:
        """Take what the node takes, where the caller may use the service."""
        if abstract_syntax != uids.VERIFICATION and self._admission.echo_only():
            return _USER_REJECTION, ""
        result, syntax = self._admission.takes(abstract_syntax, transfer_syntaxes)
        if result == _ACCEPTED and not self._may(abstract_syntax, rq):
            return _USER_REJECTION, ""
        return result, syntax

    def _may(self, abstract_syntax: str, rq: AssociateRequest) -> bool:
        service = service_of(abstract_syntax)
        if service in self._services:
            return True
        as_scp = any(role.sop_class == abstract_syntax and role.scp for role in rq.user.roles)
        if as_scp and (service == "commitment" or (service == "store" and "get" in self._services)):
            return True  # to tell us what we asked it for, and to be given what it gets
        if service not in self._told:
            self._told.add(service)
            text = f"{safe(self._calling) or 'a caller without AE title'} may not {_DOES[service]}"
            self._admission.not_allowed(
                NotAllowed(
                    self._association,
                    self._calling,
                    self._host,
                    service,
                    f"{text}: {self._rule} has no {service}",
                    self._remedy,
                )
            )
        return False

    def roles(self, sop_class: str, scu: bool, scp: bool, rq: AssociateRequest) -> tuple[bool, bool]:
        """The caller may be SCU; and SCP of storage, for a C-GET (PS3.4 C.5.3), and of commitment, to report."""
        return scu and service_of(sop_class) in self._services, scp and (
            sop_class == COMMITMENT or uids.is_storage(sop_class) or self._admission.takes_unknown(sop_class)
        )

    def extended(self, sop_class: str, information: bytes, rq: AssociateRequest) -> bytes | None:
        """Answer for queries; retrievals have no option that changes anything here (PS3.4 C.5)."""
        return self._admission.options(information) if sop_class in models.FIND else None

    def identity(self, identity: UserIdentity, rq: AssociateRequest) -> Refusal | None:
        return None  # judged with the address, in `Admission.authorise`


def service_of(abstract_syntax: str) -> str:
    """Return the service that a SOP class belongs to, one of ``settings.SERVICES``."""
    if abstract_syntax == uids.VERIFICATION:
        return "echo"
    if abstract_syntax == COMMITMENT:
        return "commitment"
    if abstract_syntax in models.FIND:
        return "find"
    if abstract_syntax in models.MOVE:
        return "move"
    if abstract_syntax == WORKLIST:
        return "worklist"
    if abstract_syntax in (MPPS, MPPS_RETRIEVE):
        return "mpps"
    return "get" if abstract_syntax in models.MODELS else "store"


_DOES = {
    "echo": "echo", "store": "store", "find": "query", "move": "retrieve by C-MOVE", "get": "retrieve by C-GET",
    "worklist": "ask for the worklist", "commitment": "ask for storage commitment",
    "mpps": "tell of performed procedure steps",
}  # fmt: skip
_OWN = frozenset((uids.VERIFICATION, COMMITMENT, WORKLIST, MPPS, MPPS_RETRIEVE))
_PLAIN = frozenset(syntaxes.PLAIN)
_STORABLE = frozenset(syntaxes.TRANSFER_SYNTAXES) - syntaxes.NO_OBJECTS
