"""How rooms hear of each other: typed events, delivered in the order of publication, at once.

A subscriber that fails is logged and counted; it never reaches the publisher. Subscribers run on the node's
event loop and must be quick: anything slow puts the event on a queue of its own.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from pacstui.events import Event

E = TypeVar("E", bound=Event)
log = logging.getLogger("pacstui.bus")


class Bus:
    """Synchronous publish and subscribe, by event class (subclasses included)."""

    def __init__(self) -> None:
        self._subscribers: dict[type[Event], list[Callable[[Any], None]]] = defaultdict(list)
        self._resolved: dict[type[Event], tuple[Callable[[Any], None], ...]] = {}
        self.failures = 0

    def subscribe(self, kind: type[E], handler: Callable[[E], None]) -> Callable[[], None]:
        """Call ``handler`` for each event of ``kind``; return a function that ends the subscription."""
        self._subscribers[kind].append(handler)
        self._resolved.clear()

        def unsubscribe() -> None:
            if handler in self._subscribers[kind]:
                self._subscribers[kind].remove(handler)
                self._resolved.clear()

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Hand ``event`` to every subscriber of its class or of a base of it."""
        kind = type(event)
        handlers = self._resolved.get(kind)
        if handlers is None:
            handlers = tuple(h for base in kind.__mro__ for h in self._subscribers.get(base, ()))
            self._resolved[kind] = handlers
        for handler in handlers:
            try:
                handler(event)
            except Exception:  # a subscriber's fault must not reach the publisher
                self.failures += 1
                log.exception("a subscriber failed on %s", kind.__name__)
