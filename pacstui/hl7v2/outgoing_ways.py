"""What senders of HL7 messages need of the node, and how long they wait."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pacstui.clock import Clock
from pacstui.hl7v2.outgoing_store import Item, Store
from pacstui.settings import Hl7ReceiverSettings


@dataclass(slots=True)
class Ways:
    """What senders need of the node.

    ``context`` returns the TLS context for a receiver, none for one without TLS; raises `PacsError`. ``opens`` returns
    when a receiver's hours allow sending, ``now`` if they do. ``trouble`` is told when a receiver cannot be reached any
    more, or answers nothing, with why and a hint, and with empty texts when it is over; ``failed`` when a message was
    set aside, with why and a hint.
    """

    store: Store
    clock: Clock
    context: Callable[[Hl7ReceiverSettings], ssl.SSLContext | None]
    opens: Callable[[str, datetime], datetime]
    trouble: Callable[[str, str, str], None]
    failed: Callable[[Item, str, str], None]
    changed: Callable[[], None]
    chance: Callable[[], float] = random.random
