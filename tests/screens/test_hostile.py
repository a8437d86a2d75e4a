"""Text from the network, odd sizes, and the rest that terminals and patients' names can do to a screen."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tests.screens.conftest import driven
from tests.screens.fake_client import SteppedClient

SIZES = [(1, 1), (20, 5), (60, 15), (80, 24), (160, 48), (300, 100)]
KEYS = ("1", "2", "3", "4", "5", "6", "7", "8")
PAGES = (
    ("1", "enter"), ("1", "tab", "enter"), ("2", "enter"), ("4", "enter"), ("5", "enter"), ("6", "enter"),
    ("7", "enter"), ("7", "n"), ("7", "m"), ("7", "v"), ("7", "i"), ("8", "enter"), ("8", "v"), ("8", "x"),
)  # fmt: skip
OVER = ("question_mark", "colon", "exclamation_mark", "q")


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_every_screen_at_every_size(size):
    theme_kind = "terminal" if size == (80, 24) else "full"
    async with driven(size=size, theme_kind=theme_kind, owned=True) as console:
        for keys in (*((key,) for key in KEYS), *PAGES):
            await console.press(*keys)
            width, height = size
            assert len(console.lines) == height
            assert {cell_len(line) for line in console.lines} == {width}
            await console.press("escape", "escape")
        for key in OVER:
            await console.press(key)
            await console.press("escape")


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
async def test_resizing_under_a_question(size):
    async with driven(owned=True) as console:
        for key in ("q", "question_mark", "colon", "exclamation_mark"):
            await console.press(key)
            await console.pilot.resize_terminal(*size)
            await console.pilot.pause()
            await console.pilot.resize_terminal(80, 24)
            await console.press("escape")
        assert "Storage" in console.text


async def test_too_small_is_said_with_the_state():
    async with driven(size=(50, 12)) as console:
        assert "too small: needs 60x15" in console.text
        assert "! degraded" in console.text
        await console.pilot.resize_terminal(80, 24)
        await console.shows("Storage")


NASTY = ["[/], A", "[/bold]X", "x [b", "[link"]


async def test_markup_in_data_is_shown_literally():
    async with driven(size=(160, 48)) as console:
        await console.press("4")
        await console.shows("10,000")
        for text in NASTY:
            assert text in console.text
        assert "[00] foo" in console.text
        for _ in range(8):
            await console.press("enter")
            await console.shows("Series  ")
            await console.press("escape", "down")
        for key in KEYS:
            await console.press(key, "enter", "y")
            await console.step()
        assert console.app.is_running


@pytest.mark.parametrize("key", KEYS)
async def test_no_control_character_reaches_the_terminal(key):
    async with driven(size=(160, 48)) as console:
        await console.press(key)
        await console.step()
        await console.shows("RADNODE1")
        for keys in ((), ("enter",)):
            await console.press(*keys)
            assert not [c for c in console.text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0)]
            assert "\u202e" not in console.text


async def test_columns_stay_aligned_with_wide_characters():
    async with driven(size=(100, 40)) as console:
        await console.press("4")
        await console.shows("\u5c71\u7530, \u592a\u90ce")
        lines = console.lines
        column = lines[2].index("description")
        for line in lines[3:20]:
            before = ""
            for char in line:
                if cell_len(before) >= column:
                    break
                before += char
            assert cell_len(before) == column
            assert before.endswith("  ")
            assert cell_len(line) == 100


async def test_a_hundred_thousand_studies_open_without_holding_the_loop():
    import asyncio
    import time

    client = SteppedClient(studies=100_000)
    async with driven(client) as console:
        worst = 0.0

        async def probe() -> None:
            nonlocal worst
            while True:
                start = time.perf_counter()
                await asyncio.sleep(0)
                worst = max(worst, time.perf_counter() - start)
                await asyncio.sleep(0.002)

        task = asyncio.create_task(probe())
        await console.press("4")
        await console.shows("100,000")
        await console.press(*["pagedown"] * 30)
        task.cancel()
        assert worst < 0.2


async def test_no_colour_leaves_words_and_marks(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with driven(theme_kind="terminal") as console:
        await console.step()
        ink = console.app.ink
        assert ink["cursor"].reverse
        assert ink["safe"].reverse
        assert "! degraded" in console.text
        assert "x " in console.text


async def test_a_fault_in_a_screen_ends_with_one_readable_line(monkeypatch, tmp_path, capsys):
    from screens import launch as module

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    words = module.write_log("Traceback\nValueError: [/] broken")
    assert str(tmp_path) in words
    path = tmp_path / "pacstui" / "console.log"
    assert "ValueError: [/] broken" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
