"""A sign-in that nobody uses ends, whatever its console fetches by itself; one beside it that is used goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pacstui.api.client import ApiClient
from pacstui.api.server import ControlServer
from pacstui.api.wire import IDLE, idle_s
from pacstui.contract.overview import View
from pacstui.settings import AccountsSettings
from tests.accounts.making import Doors, opened
from tests.accounts.test_signing_in import NEW, person
from tests.screens.fake_client import SteppedClient

HOUR = 3600.0


class Overview:
    """Shows the dashboard of a simulated node; ``shown`` counts how often."""

    def __init__(self) -> None:
        self.shown = 0
        self._client = SteppedClient()

    async def show(self, **_: Any) -> View:
        self.shown += 1
        return await self._client.overview.show()


class Console:
    """A console: a client, and the seconds since a key was pressed."""

    def __init__(self, folder: Path) -> None:
        self.client = ApiClient(folder)
        self.idle = 0.0
        self.client.idle_s = lambda: self.idle

    async def signed_in_as(self, name: str, password: str) -> Console:
        self.client.token = (await self.client.accounts.sign_in(name, password)).token
        return self

    async def account(self) -> str:
        return (await self.client.accounts.me()).account


@asynccontextmanager
async def consoles(folder: Path, settings: AccountsSettings) -> AsyncIterator[tuple[Doors, Overview, list[Console]]]:
    async with opened(folder, settings) as doors:
        await person(doors, "eva")
        overview, deep = Overview(), folder / "node"
        deep.mkdir()
        rooms = {"accounts": doors.room, "overview": overview}

        async def take(source: str, read: Any) -> dict[str, Any]:
            return {}

        server = ControlServer(deep, rooms, take, doors.gate, doors.audit, doors.bus, doors.clock)
        await server.start()
        made = [await Console(deep).signed_in_as("eva", NEW) for _ in range(2)]
        try:
            yield doors, overview, made
        finally:
            for each in made:
                await each.client.close()
            await server.close()


async def test_what_a_console_fetches_by_itself_keeps_no_session_open(tmp_path: Path) -> None:
    async with consoles(tmp_path, AccountsSettings(idle_h=1.0)) as (doors, _, (left, used)):
        for _ in range(11):
            doors.clock.advance(HOUR / 12)
            left.idle += HOUR / 12
            assert [await left.account(), await used.account()] == ["eva", "eva"]
        assert sorted(round(each.idle_s) for each in await doors.as_me("sessions") if each.how == "password") == [
            0, 3300,
        ]  # fmt: skip
        doors.clock.advance(HOUR / 12 + 1)
        left.idle += HOUR / 12 + 1
        assert [await left.account(), await used.account()] == ["", "eva"]
        assert "this sign-in has ended" in (await left.client.accounts.me()).text


async def test_a_key_pressed_in_time_keeps_it_open_until_the_longest_time(tmp_path: Path) -> None:
    async with consoles(tmp_path, AccountsSettings(idle_h=1.0, session_h=4.0)) as (doors, _, (console, _)):
        for _ in range(7):
            doors.clock.advance(HOUR / 2)
            console.idle = 30.0
            assert await console.account() == "eva"
        doors.clock.advance(HOUR)
        assert await console.account() == ""


async def test_the_live_panels_alone_end_with_the_session(tmp_path: Path) -> None:
    async with consoles(tmp_path, AccountsSettings(idle_h=1.0)) as (doors, overview, (console, _)):
        views = console.client.stream(0.2)
        await anext(views)
        doors.clock.advance(HOUR / 2)
        await anext(views)
        doors.clock.advance(HOUR / 2 + 1)

        async def rest() -> None:
            async for _ in views:
                pass

        with pytest.raises(Exception, match="no node is running"):
            await asyncio.wait_for(rest(), 5)
        assert overview.shown < 6
        assert await console.account() == ""


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("90", 90.0), ("", 0.0), ("-5", 0.0), ("nan", 0.0), ("1e9", 0.0), ("\u0665", 0.0), ("9" * 30, 0.0)],
)
def test_an_odd_header_counts_as_none(told: str, seconds: float) -> None:
    assert idle_s({IDLE: told}) == seconds


async def test_many_sign_ins_of_one_account_keep_nobody_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        for name in ("eva", "otto"):
            await person(doors, name)
        first = await doors.signed_in("eva", NEW)
        kept = await doors.signed_in("otto", NEW)
        for _ in range(60):
            doors.clock.advance(1)
            last = await doors.signed_in("eva", NEW)
        signed_in = [each for each in doors.gate.sessions.all() if each.how == "password"]
        assert sum(each.account == "eva" for each in signed_in) == 50
        assert first.session not in signed_in
        assert last.session in signed_in
        assert kept.session in signed_in
