"""The equipment register: peers that are added, changed and removed while the node runs."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pacstui.clock import Clock, microseconds, moment_or_none
from pacstui.contract.peers import PeerPlan
from pacstui.equipment import sheet
from pacstui.equipment.book import PeerBook, addresses_of, context_of
from pacstui.equipment.peer import Peer, body_of, of_body, peer_of, texts_of
from pacstui.equipment.store import Kept, Store
from pacstui.errors import BadRequest, NotFound, SettingsError
from pacstui.settings import TlsSettings
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.equipment")

Changes = Callable[[sqlite3.Connection, str, Iterable[tuple[str, str, str]]], None]

Follow = Callable[[sqlite3.Connection, str, str], None]
"""Lets what names a peer have its new name; on the writer's thread, in the transaction that renames it."""

MOST = 2000
"""Peers that the register takes."""


class Register:
    """Keeps peers, and lets the book know of each change at once.

    Attributes
    ----------
    tls
        Gives the settings [tls].
    noted
        Told of each change: what was done, to which peer, what was and what is.
    kept
        Writes down what was changed and by whom, in the transaction that changes it: key, old and new value of each.
    changed
        Awaited after a change.
    """

    def __init__(self, store: Store, book: PeerBook, clock: Clock, who: Callable[[], str]) -> None:
        self._store, self._book, self._clock, self._who = store, book, clock, who
        self._kept: dict[str, Kept] = {}
        self._turn = asyncio.Lock()
        self.tls: Callable[[], TlsSettings] = TlsSettings
        self.noted: Callable[[str, str, str], None] = lambda what, name, detail: None
        self.kept: Changes = lambda connection, who, changes: None
        self.changed: Callable[[], Awaitable[None]] = _nothing

    async def open(self) -> None:
        """Read what is kept."""
        self._kept = {kept.name: kept for kept in await self._store.peers()}
        self._tell()

    def _tell(self) -> None:
        """Let the book know all peers."""
        peers: list[Peer] = []
        for kept in self._kept.values():
            if not kept.configured:
                try:
                    peers.append(of_body({**kept.body, "name": kept.name}))
                except ValueError as fault:
                    log.error("the peer %s of the register cannot be read, and does not count: %s", kept.name, fault)
        self._book.register(peers, {k.name: k.body for k in self._kept.values() if k.configured})

    def who_changed(self, name: str) -> tuple[datetime | None, str]:
        """Return when a peer was changed here last, and by whom."""
        kept = self._kept.get(name)
        return (moment_or_none(kept.changed), kept.by) if kept is not None else (None, "")

    def known(self, name: str) -> Peer:
        """Return a peer by its name; raises NotFound."""
        peer = self._book.named(name)
        if peer is None:
            close = next((each for each in self._book.names() if each.casefold() == name.casefold()), "")
            known = close or ", ".join(self._book.names()[:20]) or "none"
            raise NotFound(f"there is no peer {safe(name, 64)}", f"known are: {safe(known, 400)}")
        return peer

    async def add(self, texts: Mapping[str, str]) -> Peer:
        """Add a peer; raises BadRequest that says what is wrong."""
        async with self._turn:
            peer = peer_of(texts)
            self._see_that_new(peer.name)
            await self._check(peer)
            await self._put([peer])
            self.noted("peers.add", peer.name, _told(texts_of(peer)))
        await self._after([peer])
        return peer

    def _see_that_new(self, name: str) -> None:
        there = next((each for each in self._book.names() if each.casefold() == name.casefold()), "")
        if there or name in self._kept:
            told = f"there is a peer {safe(there or name, 64)} already"
            raise BadRequest(told, "change that one, or choose another name")
        if len(self._kept) >= MOST:
            raise BadRequest(f"the register takes {MOST} peers", "remove those that are gone")

    async def edit(self, name: str, texts: Mapping[str, str]) -> Peer:
        """Change a peer; raises NotFound, or BadRequest that says what is wrong."""
        async with self._turn:
            before = self.known(name)
            peer = peer_of(texts, before)
            if peer == before:
                return peer
            await self._check(peer)
            await self._put([peer])
            self.noted("peers.edit", name, difference(before, peer))
        await self._after([peer])
        return peer

    async def rename(self, name: str, to: str, follow: Follow) -> Peer:
        """Give a peer another name, and let all that names it ``follow`` in the same transaction.

        Raises
        ------
        BadRequest
            For one that stands in the configuration, and for a name that is none or is taken.
        """
        async with self._turn:
            before = self.known(name)
            if before.configured:
                raise BadRequest(f"{safe(name, 64)} stands in the configuration", "rename it there, and reload")
            peer = peer_of({"name": to}, before)
            if peer.name == name:
                return peer
            if peer.name.casefold() != name.casefold():
                self._see_that_new(peer.name)
            by = self._who()
            kept = Kept(peer.name, False, body_of(peer), by, microseconds(self._clock.now()))

            def also(connection: sqlite3.Connection) -> None:
                follow(connection, name, peer.name)
                self.kept(connection, by, [(f"peer {peer.name} name", name, peer.name)])

            await self._store.rename(name, kept, also)
            del self._kept[name]
            self._kept[peer.name] = kept
            self._tell()
            self.noted("peers.rename", peer.name, f"name: {safe(name, 64)} -> {safe(peer.name, 64)}")
        await self.changed()
        return peer

    async def remove(self, name: str) -> None:
        """Remove a peer with its history.

        Raises
        ------
        BadRequest
            For one that stands in the configuration.
        """
        async with self._turn:
            peer = self.known(name)
            if peer.configured:
                raise BadRequest(f"{safe(name, 64)} stands in the configuration", "remove it there, and reload")
            by, gone = self._who(), list(changes(peer, None))
            await self._store.remove(name, lambda connection: self.kept(connection, by, gone))
            del self._kept[name]
            self._tell()
            self.noted("peers.remove", name, _told(texts_of(peer)))
        await self.changed()

    def preview(self, text: str) -> PeerPlan:
        """Return what a CSV file would do; raises BadRequest."""
        return sheet.plan(sheet.read(text, self._book))

    async def apply(self, text: str) -> PeerPlan:
        """Do what a CSV file says, all or nothing; raises BadRequest."""
        async with self._turn:
            lines = list(sheet.read(text, self._book))
            plan = sheet.plan(lines)
            if plan.mistakes:
                bad = next(line for line in plan.lines if line.what == "mistake")
                raise BadRequest(
                    f"the file has {plural(plan.mistakes, 'mistake')}, nothing was done; line {bad.line}: {bad.text}",
                    "pacstui peers preview-import shows all of them",
                )
            changed = [line.after for line in lines if line.after is not None and line.after != line.before]
            fresh = [line for line in lines if line.before is None]
            if len(self._kept) + len(fresh) > MOST:
                raise BadRequest(f"the register takes {MOST} peers", "remove those that are gone")
            for peer in changed:
                await self._check(peer)
            await self._put(changed)
            for line in lines:
                if line.after is not None and line.before is None:
                    self.noted("peers.add", line.after.name, _told(texts_of(line.after)))
                elif line.after is not None and line.before is not None and line.before != line.after:
                    self.noted("peers.edit", line.name, difference(line.before, line.after))
        await self._after(changed)
        return plan

    async def _check(self, peer: Peer) -> None:
        """See that a peer's certificates can be used; raises BadRequest."""
        if peer.tls:
            try:
                await asyncio.to_thread(context_of, peer.own_tls, self.tls())
            except SettingsError as fault:
                raise BadRequest(fault.message.replace("[tls] ", ""), fault.hint) from None

    async def _put(self, peers: Iterable[Peer]) -> None:
        now, by = microseconds(self._clock.now()), self._who()
        peers = tuple(peers)
        kept = [Kept(peer.name, peer.configured, body_of(peer), by, now) for peer in peers]
        made = [each for peer in peers for each in changes(self._book.named(peer.name), peer)]
        await self._store.put(*kept, also=lambda connection: self.kept(connection, by, made))
        self._kept.update((each.name, each) for each in kept)
        self._tell()

    async def _after(self, peers: Iterable[Peer]) -> None:
        for host in {peer.host for peer in peers}:
            self._book.learn(host, await addresses_of(host))
        await self.changed()


async def _nothing() -> None:
    return None


def changes(before: Peer | None, after: Peer | None) -> Iterator[tuple[str, str, str]]:
    """Yield key, old and new value of what differs between a peer before and after a change; none for no peer."""
    name = (after or before or Peer(name="-", ae_title="-", host="-")).name
    old, new = (texts_of(each) if each is not None else {} for each in (before, after))
    for field in dict.fromkeys([*old, *new]):
        if field != "name" and old.get(field, "") != new.get(field, ""):
            yield f"peer {name} {field}", old.get(field, ""), new.get(field, "")


def difference(before: Peer, after: Peer) -> str:
    """Return in words what differs: ``port: 104 -> 11112; notes: - -> in room 3``."""
    old, new = texts_of(before), texts_of(after)
    return "; ".join(
        f"{name.replace('_', ' ')}: {safe(old[name], 100) or '-'} -> {safe(new[name], 100) or '-'}"
        for name in old
        if old[name] != new[name]
    )


def _told(texts: Mapping[str, Any]) -> str:
    usual = {"port": "104", "tls": "off", "allow": "all", "probe": "yes", "limit": "0"}
    return "; ".join(
        f"{name.replace('_', ' ')}: {safe(text, 100)}"
        for name, text in texts.items()
        if text and text != usual.get(name) and name != "name"
    )
