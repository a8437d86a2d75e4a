"""The pictures in README show the console as it is: same places, same titles, nothing from outside."""

from __future__ import annotations

import importlib.util
import re
import sys
from html import unescape
from pathlib import Path
from types import ModuleType

import pytest

from screens import keymap
from screens.app import ConsoleApp
from screens.panels.live import LivePanel
from tests.screens.fake_client import SteppedClient

DOCS = Path(__file__).parents[2] / "docs"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_pictures", DOCS / "make_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()


@pytest.fixture(params=SCRIPT.PICTURES, ids=lambda picture: picture.name)
def picture(request: pytest.FixtureRequest) -> object:
    return request.param


def _svg(picture: object) -> str:
    return (SCRIPT.FOLDER / f"{picture.name}.svg").read_text(encoding="utf-8")  # type: ignore[attr-defined]


def _words(svg: str) -> str:
    return " ".join(unescape(word) for word in re.findall(r"<text[^>]*>([^<]*)</text>", svg))


async def test_it_was_made_with_the_present_layout(picture: object) -> None:
    client = SteppedClient()
    app = ConsoleApp(client, theme_kind="full")
    async with app.run_test(size=picture.size) as pilot:  # type: ignore[attr-defined]
        await pilot.pause()
        now = SCRIPT.layout(app)
        panels = [p for p in app.screen.query(LivePanel) if p.display]
    told = re.search(r"<desc>(.*)</desc>", _svg(picture))
    assert told is not None
    assert told.group(1) == now, "run python docs/make_pictures.py"
    words = _words(_svg(picture))
    for panel in panels:
        assert panel.heading in words


@pytest.mark.parametrize("drawn", SCRIPT.SCREENS, ids=lambda drawn: drawn.name)
def test_the_other_screens_show_what_they_are_for(drawn: object) -> None:
    words = _words(_svg(drawn))
    for word in ("Worklist", "Steps", "scheduled", "completed", "late", "without", "order", "images"):
        assert word in words, word
    test_it_needs_nothing_from_outside(drawn)


def test_it_shows_what_the_foot_line_has(picture: object) -> None:
    words = _words(_svg(picture)).split()
    for digit, _, word, _ in keymap.MODES:
        assert f"{digit}{word}" in words or word in words


def test_it_needs_nothing_from_outside(picture: object) -> None:
    svg = _svg(picture)
    assert re.findall(r"https?://[^\"' ]+", svg) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in svg
    assert "/work" not in svg
    assert "/tmp" not in svg
    assert not re.search(r"\broot\b", _words(svg))
