"""The room of the noun ``hl7``: what people see of messages, and do about them. What goes out is a part of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, Protocol

from pacstui.clock import Clock
from pacstui.contract.hl7 import (
    Hl7View,
    MessagePage,
    MessageRow,
    MessageView,
    NotificationText,
    OutgoingPage,
    ReceiverRow,
    SenderRow,
)  # fmt: skip
from pacstui.db import Database
from pacstui.errors import BadRequest, NotFound
from pacstui.hl7v2 import browsing, charset, store
from pacstui.hl7v2.intake import Intake
from pacstui.hl7v2.keeping import Todo, kind_of
from pacstui.hl7v2.reading import RulesFor, read
from pacstui.hl7v2.traffic import Traffic
from pacstui.text import plural, safe

_AT_ONCE: Final = 1000
_TOGETHER: Final = 32 << 20
_LONGEST: Final = 4_000_000


class Outgoing(Protocol):
    """The part of the noun that is about what goes out."""

    async def receivers(self) -> tuple[ReceiverRow, ...]: ...
    async def outgoing(
        self, destination: str = "", state: str = "", search: str = "", before: int = 0, limit: int = 100
    ) -> OutgoingPage: ...
    async def outgoing_message(self, id: int) -> MessageView: ...
    async def preview(self, notification: str, study: str = "", order: int = 0) -> tuple[NotificationText, ...]: ...
    async def send_again(self, ids: tuple[int, ...] = (), destination: str = "") -> int: ...
    async def drop(self, ids: tuple[int, ...]) -> int: ...
    async def hold(self, ids: tuple[int, ...] = (), destination: str = "") -> int: ...
    async def release(self, ids: tuple[int, ...] = (), destination: str = "") -> int: ...


class Silence:
    """Nothing goes out."""

    async def receivers(self) -> tuple[ReceiverRow, ...]:
        return ()

    async def outgoing(
        self, destination: str = "", state: str = "", search: str = "", before: int = 0, limit: int = 100
    ) -> OutgoingPage:
        return OutgoingPage((), 0)

    async def outgoing_message(self, id: int) -> MessageView:
        raise NotFound(f"there is no outgoing message {id}")

    async def preview(self, notification: str, study: str = "", order: int = 0) -> tuple[NotificationText, ...]:
        raise NotFound(f"there is no notification {safe(notification, 64)}")

    async def send_again(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        return 0

    async def drop(self, ids: tuple[int, ...]) -> int:
        return 0

    async def hold(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        return 0

    async def release(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        return 0


class Standing(Protocol):
    """How the listener stands."""

    @property
    def listening(self) -> tuple[str, ...]: ...
    @property
    def why(self) -> str: ...
    def connected(self) -> Iterable[str]:
        """Return the address of each connection that is open."""


class Hl7Room:
    """Messages for people.

    Parameters
    ----------
    caller
        Who asks for what is done now.
    rules_for
        Given an address, returns how messages that come from it are read.
    outgoing
        The part of the noun about what goes out.
    """

    def __init__(
        self, database: Database, intake: Intake, traffic: Traffic, standing: Standing, clock: Clock,
        caller: Callable[[], str], rules_for: Callable[[str], RulesFor],
    ) -> None:  # fmt: skip
        self._db = database
        self._intake = intake
        self._traffic = traffic
        self._standing = standing
        self._clock = clock
        self._caller = caller
        self._rules_for = rules_for
        self.outgoing_half: Outgoing = Silence()
        self.failed_open = 0

    async def begin(self) -> None:
        """Take over what is kept."""
        now = self._clock.now()
        await self._db.read(lambda c: self._traffic.begin(c, now))
        await self.recount()

    async def recount(self) -> None:
        """Count what failed and is open."""
        self.failed_open = await self._db.read(store.count_open)

    # What came in.

    async def show(self) -> Hl7View:
        await self.recount()
        now = self._clock.now()
        traffic, standing = self._traffic, self._standing
        return Hl7View(
            ", ".join(standing.listening), standing.why, traffic.today, self.failed_open, traffic.repeated_today,
            traffic.refused_today, traffic.per_second(now), self._senders(now),
        )  # fmt: skip

    def _senders(self, now: datetime) -> tuple[SenderRow, ...]:
        open_now = Counter(self._standing.connected())
        rows = []
        for (sender, facility, origin), counts in reversed(self._traffic.senders.items()):
            messages, failed = counts.sums(now)
            if messages or open_now[origin]:
                rows.append(SenderRow(
                    safe(sender, 64), safe(facility, 64), safe(origin, 64), open_now[origin], messages, failed,
                    counts.last, counts.per_minute(now),
                ))  # fmt: skip
        told = {row.origin for row in rows}
        rows += [
            SenderRow("", "", safe(origin, 64), count, 0, 0, None, 0.0)
            for origin, count in open_now.items()
            if origin not in told
        ]
        return tuple(rows)

    async def messages(
        self, search: str = "", state: str = "", kind: str = "", before: int = 0, limit: int = 100
    ) -> MessagePage:
        return await self._db.read(lambda c: browsing.page(c, search[:300], state, kind, before, limit))

    async def message(self, id: int) -> MessageView:
        return await self._db.read(lambda c: browsing.view(c, id))

    async def replay(self, ids: tuple[int, ...]) -> tuple[MessageRow, ...]:
        wanted = self._checked(ids)
        todos: list[Todo] = []
        rows: list[MessageRow] = []
        for ident in sorted(wanted):  # in the order in which they came
            row, raw, _, _, _, _ = await self._db.read(lambda c, i=ident: browsing.one(c, i))  # type: ignore[misc]
            if not raw:
                raise BadRequest(f"message {ident} is not kept any more")
            todos.append(Todo(raw, row.origin, self._rules_for(row.origin), original=ident, by=self._caller()))
            if sum(len(todo.raw) for todo in todos) > _TOGETHER:
                rows += await self._act(todos)
                todos = []
        return (*rows, *await self._act(todos))

    async def resubmit(self, id: int, text: str) -> MessageRow:
        return (await self._act([await self._edited(id, text)]))[0]

    async def trial(self, id: int, text: str) -> MessageRow:
        todo = await self._edited(id, text)
        await self._intake.trial(todo)
        got, outcome = todo.got, todo.outcome
        assert got is not None
        hint = next((fault.hint for fault in outcome.faults if fault.hint), "")
        sender, facility = got.message.sender if got.message is not None else ("", "")
        return MessageRow(
            0, self._clock.now(), safe(sender, 64), safe(facility, 64), safe(todo.origin, 64), safe(kind_of(got), 64),
            safe(got.head.control, 199), todo.state, outcome.code, safe(outcome.done, 500), hint,
            safe(outcome.patient, 200), safe(outcome.accession, 200), len(todo.raw),
        )  # fmt: skip

    async def _edited(self, id: int, text: str) -> Todo:
        """Return a message with another text, as it would be sent; raises `BadRequest`."""
        if browsing.CUT in text:
            raise BadRequest(
                "the message is too long to be edited here: fields of it are not shown",
                "let its sender correct it, or replay it as it is",
            )
        if not text.strip() or len(text) > _LONGEST:
            raise BadRequest("a message has between 1 and 4,000,000 characters")
        row, _, _, _, _, name = await self._db.read(lambda c: browsing.one(c, id))
        edited = "\r".join(line.rstrip("\r") for line in text.split("\n") if line.strip()) + "\r"
        if not edited.startswith("MSH"):
            raise BadRequest("a message begins with MSH", "leave the first line as it is, or correct its beginning")
        rules_for = self._rules_for(row.origin)
        data = encoded(edited, name)
        if read(data, rules_for).text.rstrip("\r") != edited.rstrip("\r"):
            raise BadRequest(
                f"characters of it are not in the character set that the message declares ({name or 'ASCII'})",
                "set MSH-18 to UNICODE UTF-8",
            )
        return Todo(data, row.origin, rules_for, original=id, by=self._caller())

    async def ignore(self, ids: tuple[int, ...], why: str) -> int:
        wanted = self._checked(ids)
        if not why.strip():
            raise BadRequest("why?", "say in a few words why nothing has to be done about it")
        told = f"{self._caller()}: {safe(why.strip(), 200)}"
        done = await self._db.write(lambda c: store.ignore(c, wanted, told))
        await self.recount()
        if not done:
            raise BadRequest("none of them is an open error", "done, repeated and resolved messages need nothing")
        return done

    async def _act(self, todos: list[Todo]) -> tuple[MessageRow, ...]:
        await self._intake.settle(todos)
        await self.recount()
        for todo in todos:
            if not todo.id:
                raise BadRequest(f"it could not be kept: {todo.outcome.done}", self._intake.hint)
        return await self._db.read(lambda c: tuple(browsing.one(c, todo.id)[0] for todo in todos))

    def _checked(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        wanted = tuple(dict.fromkeys(ids))
        if not 0 < len(wanted) <= _AT_ONCE:
            raise BadRequest(f"between one and {_AT_ONCE} messages at once")
        return wanted

    # What goes out.

    async def receivers(self) -> tuple[ReceiverRow, ...]:
        return await self.outgoing_half.receivers()

    async def outgoing(
        self, destination: str = "", state: str = "", search: str = "", before: int = 0, limit: int = 100
    ) -> OutgoingPage:
        return await self.outgoing_half.outgoing(destination, state, search, before, limit)

    async def outgoing_message(self, id: int) -> MessageView:
        return await self.outgoing_half.outgoing_message(id)

    async def preview(self, notification: str, study: str = "", order: int = 0) -> tuple[NotificationText, ...]:
        return await self.outgoing_half.preview(notification, study, order)

    async def send_again(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        return await self.outgoing_half.send_again(ids, destination)

    async def drop(self, ids: tuple[int, ...]) -> int:
        return await self.outgoing_half.drop(ids)

    async def hold(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        return await self.outgoing_half.hold(ids, destination)

    async def release(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        return await self.outgoing_half.release(ids, destination)

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what is wrong with messages, for the list of problems."""
        if self.failed_open:
            text = f"{plural(self.failed_open, 'HL7 message')} could not be acted on"
            yield (
                "hl7-failed",
                "warn",
                text,
                "look at each: edit and resubmit it, replay it, or ignore it",
                "hl7-errors",
            )


def encoded(text: str, name: str) -> bytes:
    """Return edited text as bytes, in the character set that it was read by."""
    return text.encode("utf-8") if not name else charset.encode(text, name)


def silent_since(last: datetime | None, began: datetime, minutes: int, now: datetime) -> datetime | None:
    """Return since when a sender is silent for longer than it may, None if it is not."""
    since = last or began
    return since if minutes and now - since > timedelta(minutes=minutes) else None
