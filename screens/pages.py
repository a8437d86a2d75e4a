"""Pages that a capital letter opens from anywhere: which screen each is, and the action that it takes to see it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from screens.common_keys import CommonKeysApp

_PAGES: Final = {
    "routes": ("RoutesScreen", "routes.list"),
    "worklist": ("WorklistScreen", "worklist.day"),
    "exceptions": ("ExceptionsScreen", "exceptions.list_all"),
    "corrections": ("CorrectionsScreen", "corrections.list_all"),
    "maintenance": ("MaintenanceScreen", "maintenance.show"),
    "hl7": ("Hl7Screen", "hl7.show"),
}
"""By module of ``screens``."""


def open_page(app: CommonKeysApp, module: str) -> None:
    """Open a page over the present one, unless it is the one in sight."""
    name, action = _PAGES[module]
    if app.allowed(action):
        screen = getattr(import_module(f"screens.{module}"), name)
        if not isinstance(app.screen, screen):
            app.go(screen())
