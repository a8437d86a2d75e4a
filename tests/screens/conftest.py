"""A console on a node that is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual import _wait
from textual.pilot import Pilot

from screens.app import ConsoleApp
from tests.screens.fake_client import FakeClient, SteppedClient


class Driven:
    """A running console with what tests need of it."""

    def __init__(self, app: ConsoleApp, pilot: Pilot[Any], client: FakeClient) -> None:
        self.app = app
        self.pilot = pilot
        self.client = client

    @property
    def text(self) -> str:
        """What is on the screen, line by line."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    async def press(self, *keys: str) -> str:
        await self.pilot.press(*keys)
        await self.pilot.pause()
        return self.text

    async def until(self, true: Callable[[], bool], what: str = "") -> None:
        """Let the console work until ``true``, at most some seconds."""
        for _ in range(400):
            await self.pilot.pause()
            if true():
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"did not happen: {what or true}\n{self.text}")

    async def shows(self, words: str) -> str:
        """Wait until ``words`` are on the screen and return it."""
        await self.until(lambda: words in self.text, f"{words!r} on the screen")
        return self.text

    async def step(self, seconds: float = 1.0) -> None:
        """Let the node send one view and the console show it."""
        assert isinstance(self.client, SteppedClient)
        before = self.app.bridge.newest
        self.client.step(seconds)
        await self.until(lambda: self.app.bridge.newest is not before and not self.app.bridge._pending, "a new view")


@asynccontextmanager
async def driven(
    client: FakeClient | None = None,
    size: tuple[int, int] = (80, 24),
    theme_kind: str = "full",
    connected: bool = True,
    **options: Any,
) -> AsyncIterator[Driven]:
    """Run a console on ``client``."""
    client = client or SteppedClient()
    app = ConsoleApp(client, theme_kind=theme_kind, **options)
    app.bridge._patience = 120.0  # a stepped client is silent between steps, however slow this machine is
    async with app.run_test(size=size) as pilot:
        console = Driven(app, pilot, client)
        if connected:
            await console.until(lambda: app.view is not None, "the first view")
        yield console


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Textual's pilot see within 4 ms that a console has done its work, not within 20 ms, several times a key."""
    monkeypatch.setattr(_wait, "SLEEP_GRANULARITY", 0.004)
    monkeypatch.setattr(_wait, "SLEEP_IDLE", 0.001)


@pytest.fixture(autouse=True)
def _local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
