"""Single objects asked back from a peer by Query/Retrieve at the level of images (PS3.4 C.4), for repair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet
from pacstui.dicom.dimse import Field, Status
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.errors import ContextNotAccepted
from pacstui.dicom.net.service import DEFAULT_TIMEOUTS, Service
from pacstui.dicom.syntaxes import LITTLE
from pacstui.dicom.ul.items import RoleSelection
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import FETCHES
from pacstui.errors import NotFound, Unavailable
from pacstui.index.attributes import IMAGE
from pacstui.index.queries import Instance
from pacstui.services.models import LEVEL
from pacstui.services.remote import GET, MOVE, RemoteRoom
from pacstui.services.storage import StorageService
from pacstui.settings import PeerSettings
from pacstui.text import safe

_STUDY, _SERIES, _SOP = 0x0020000D, 0x0020000E, 0x00080018
_AT_ONCE: Final = 50
_CONTEXTS: Final = 127
_MOVE_S: Final = 600.0


class Recall:
    """Asks peers for objects. What comes is stored as anything that comes: the same bytes mend the object, other ones
    are set aside (or what the setting ``duplicates`` says)."""

    def __init__(self, archive: Archive, book: PeerBook, remote: RemoteRoom, bus: Bus, clock: Clock) -> None:
        self._archive = archive
        self._book = book
        self._remote = remote
        self._bus = bus
        self._clock = clock

    def names(self) -> tuple[str, ...]:
        """Return the names of all peers."""
        return self._book.names()

    async def bring(self, name: str, wanted: Sequence[Instance]) -> str:
        """Ask a peer for objects, in the transfer syntax that each was stored in: only so can its bytes be the same.

        Returns
        -------
        str
            How they were asked for: C-GET, or C-MOVE where the peer offers no C-GET.

        Raises
        ------
        PacsError
            When it cannot be asked, or could not send all; some may have come.
        """
        peer = self._book.named(name)
        if peer is None:
            known = ", ".join(self._book.names()) or "none"
            raise NotFound(f"there is no peer {safe(name, 64)}", f"known are: {known}")
        try:
            await self._get(peer, wanted)
        except ContextNotAccepted:
            await self._move(peer, wanted)
            return "C-MOVE"
        return "C-GET"

    async def _get(self, peer: PeerSettings, wanted: Sequence[Instance]) -> None:
        storage = StorageService(self._archive, self._bus, self._clock, peer.ae_title)

        def service_for(abstract_syntax: str, command: int) -> Service | None:
            return storage if command == Field.C_STORE else None

        kinds = sorted({(each.sop_class, each.transfer_syntax) for each in wanted})
        for at in range(0, len(kinds), _CONTEXTS):
            some = kinds[at : at + _CONTEXTS]
            contexts = [(GET, LITTLE), *((sop_class, (syntax,)) for sop_class, syntax in some)]
            roles = [RoleSelection(sop_class, False, True) for sop_class in sorted({each[0] for each in some})]
            asked = [each for each in wanted if (each.sop_class, each.transfer_syntax) in some]
            why = "C-GET for repair"
            async with self._remote.lines.to(
                peer, contexts, doing=FETCHES, why=why, roles=roles, service_for=service_for
            ) as association:
                await self._ask(association, GET, Field.C_GET, asked)

    async def _move(self, peer: PeerSettings, wanted: Sequence[Instance]) -> None:
        patient = replace(DEFAULT_TIMEOUTS, response=_MOVE_S)  # what it sends comes by other associations
        async with self._remote.lines.to(
            peer, [(MOVE, LITTLE)], doing=FETCHES, why="C-MOVE for repair", timeouts=patient
        ) as association:
            await self._ask(association, MOVE, Field.C_MOVE, wanted, move_destination=self._remote.lines.ae_title)

    async def _ask(
        self, association: Association, model: str, command: int, wanted: Sequence[Instance], **elements: str
    ) -> None:
        context = association.context_for(model)
        failed = ""
        for study, series, uids in _lists(wanted):
            asked = DataSet()
            asked.put(LEVEL, IMAGE, "CS")
            for tag, value in ((_STUDY, study), (_SERIES, series), (_SOP, "\\".join(uids))):
                asked.put(tag, value, "UI")
            exchange = await association.request(
                context, command, dataset.encode(asked, context.transfer_syntax), priority=0, affected_sop_class=model,
                **elements,
            )  # fmt: skip
            async for response in exchange:
                if not response.pending and response.status != Status.SUCCESS:
                    told = f": {safe(response.comment, 64)}" if response.comment else ""
                    failed = failed or f"it ended with {response.status:04X}H{told}"
        if failed:
            raise Unavailable(failed, "look at its log")


def _lists(wanted: Sequence[Instance]) -> list[tuple[str, str, list[str]]]:
    """Return studies, series and lists of SOP Instance UIDs; a list of UIDs is matched by each (PS3.4 C.2.2.2.2)."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in wanted:
        found[each.study, each.series].append(each.sop_instance)
    return [
        (study, series, uids[at : at + _AT_ONCE])
        for (study, series), uids in found.items()
        for at in range(0, len(uids), _AT_ONCE)
    ]
