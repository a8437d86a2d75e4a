"""Runs the console on a fake node, for tests that look at a real pseudo-terminal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from screens import theme
from screens.app import ConsoleApp
from screens.launch import run_app
from screens.terminal import Terminal
from tests.screens.fake_client import FakeClient


class Broken(FakeClient):
    """Fails in the middle of a screen."""

    def view(self, after: int = 0):
        view = super().view(after)
        if self.steps > 1:
            object.__setattr__(view.status.node, "ae_title", None)
            object.__setattr__(view, "rates", "[/] nonsense")
        return view


def main() -> int:
    """Run until told to end."""
    speed = float(os.environ.get("SPEED", "0"))
    client = (Broken if os.environ.get("BROKEN") else FakeClient)(speed=speed, problems=0)
    interval = float(os.environ.get("INTERVAL", "1"))
    kind = theme.choose("auto")
    return run_app(ConsoleApp(client, refresh_s=interval, theme_kind=kind, driver_class=Terminal))


if __name__ == "__main__":
    sys.exit(main())
