"""The line to a peer: every association that this node asks for is made here, and seen by who watches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from pacstui.dicom.net.association import Association
from pacstui.dicom.net.requestor import OnStep, associate
from pacstui.dicom.net.service import DEFAULT_TIMEOUTS, Observer, ServiceFor, Timeouts
from pacstui.dicom.ul.effects import DEFAULT_LIMITS, Limits
from pacstui.dicom.ul.items import RoleSelection
from pacstui.equipment.book import PeerBook
from pacstui.equipment.peer import Peer
from pacstui.errors import NotFound, PacsError
from pacstui.settings import PeerSettings
from pacstui.text import safe

ECHOES, SENDS, QUERIES, FETCHES, COMMITS, TELLS = "echoes", "sends", "queries", "fetches", "commits", "tells"
"""What an association is for, in a word."""

Contexts = Sequence[tuple[str, Sequence[str]]]
"""Presentation contexts to propose: abstract syntax and transfer syntaxes of each, at most 128 (PS3.8 9.3.2.2)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One association that is asked for: with which peer, under which AE title of ours, what for and why.

    ``doing`` is one of the words above; ``why`` says the rest, for example ``C-MOVE for WS1``.
    """

    peer: PeerSettings
    calling: str
    doing: str
    why: str = ""


class Watcher(Protocol):
    """Who watches over the associations that this node asks for. All of it must be quick."""

    def watch(self, call: Call) -> Observer:
        """Return who watches over the association of a call."""
        ...

    def failed(self, call: Call, error: PacsError) -> None:
        """There was no association."""
        ...

    def broke(self, association: Association, error: PacsError) -> None:
        """The work on an association ended with an error, which its end does not tell."""
        ...


class Lines:
    """Makes associations with peers.

    ``ae_title`` is ours, ``timeouts`` and ``limits`` hold for all of them. ``reached`` and ``missed`` are told of each
    association that came about, and of each call that failed.
    """

    def __init__(
        self, book: PeerBook, ae_title: str, timeouts: Timeouts = DEFAULT_TIMEOUTS, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.ae_title = ae_title
        self.timeouts = timeouts
        self.limits = limits
        self.watcher: Watcher | None = None
        self.reached: Callable[[PeerSettings, Association], None] = lambda peer, association: None
        self.missed: Callable[[Call, PacsError], None] = lambda call, error: None
        self.book = book

    def peer(self, name: str) -> Peer:
        """Return the peer of this name.

        Raises
        ------
        NotFound
            With the names that are known.
        """
        peer = self.book.named(name)
        if peer is None:
            known = ", ".join(self.book.names()) or "none"
            raise NotFound(f"there is no peer {safe(name, 64)}", f"known are: {known}")
        return peer

    @asynccontextmanager
    async def to(
        self,
        peer: PeerSettings,
        contexts: Contexts,
        *,
        doing: str,
        why: str = "",
        roles: Sequence[RoleSelection] = (),
        service_for: ServiceFor | None = None,
        timeouts: Timeouts | None = None,
        on_step: OnStep | None = None,
    ) -> AsyncIterator[Association]:
        """Associate with a peer for the time of the block: over TLS where the peer has that, under our AE title.

        It is released at the end of the block, and aborted when the block fails. Whatever becomes of it, the watcher
        is told, so that it is seen among the associations.

        Parameters
        ----------
        peer
            From the settings; see :meth:`peer` and :class:`pacstui.equipment.book.PeerBook`.
        doing, why
            See :class:`Call`.
        roles
            SCP/SCU role selection items (PS3.7 D.3.3.4), to be SCP ourselves on this association.
        service_for
            Serves what the peer asks for on this association, for example its C-STOREs after a C-GET.
        timeouts
            In place of those that hold for all.
        on_step
            Told after each step, see :data:`pacstui.dicom.net.requestor.OnStep`.

        Raises
        ------
        PeerUnreachable, AssociationRejected, AssociationAborted, AssociationEnded, PeerSilent
            As :func:`pacstui.dicom.net.requestor.associate` says.
        """
        call = Call(peer, self.ae_title, doing, why)
        watcher = self.watcher
        made: Association | None = None
        try:
            async with associate(
                peer.host,
                peer.port,
                called=peer.ae_title,
                calling=self.ae_title,
                contexts=contexts,
                timeouts=timeouts or self.timeouts,
                on_step=on_step,
                roles=roles,
                limits=self.limits,
                observer=watcher.watch(call) if watcher is not None else None,
                service_for=service_for,
                tls=self.book.tls_for(peer),
            ) as made:
                self.reached(peer, made)
                yield made
        except PacsError as error:
            self.missed(call, error)
            if watcher is not None:
                if made is None:
                    watcher.failed(call, error)
                else:
                    watcher.broke(made, error)
            raise
