"""Messages are kept, acted on and answered: all that wait as one transaction, each with a savepoint of its own.

The row of a message, what it did, and its answer are committed together: after a sudden end either all of it is there
or nothing, and a sender that repeats a message gets the answer of the first time.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from pacstui.clock import Clock, microseconds
from pacstui.db import Writer
from pacstui.db.faults import is_environment, translate
from pacstui.hl7v2 import store
from pacstui.hl7v2.answer import answers
from pacstui.hl7v2.browsing import key_of, keys
from pacstui.hl7v2.message import Message
from pacstui.hl7v2.outcome import ACCEPTED, ERROR, INTERNAL, REJECTED, Applier, Fault, Outcome, Refused
from pacstui.hl7v2.reading import Read, RulesFor, read
from pacstui.text import safe

log = logging.getLogger("pacstui.hl7")
_NO_ANSWER: Final = frozenset({"ACK", "MCF"})
_WORDS: Final = 16_384
_FIELD: Final = 512


@dataclass(slots=True)
class Todo:
    """A message on its way through. What is below ``note`` is what became of it."""

    raw: bytes
    origin: str
    rules_for: RulesFor
    batch: int = 0
    note: str = ""
    oversize: int = 0
    original: int = 0
    by: str = ""
    text: str | None = None
    got: Read | None = None
    id: int = 0
    state: str = store.FAILED
    outcome: Outcome = field(default_factory=Outcome)
    replies: list[tuple[str, bytes]] = field(default_factory=list)


Beside = Callable[[sqlite3.Connection, int, Message, bytes, Outcome, int], None]
"""Looks at a message that is being kept, in the same transaction: row, message, bytes, outcome, time."""


class Keeping:
    """What runs on the writer lane's thread.

    Parameters
    ----------
    applier
        Acts on messages.
    duplicate_days
        Gives for how many days a repeated message is known again.
    """

    def __init__(self, applier: Applier, clock: Clock, duplicate_days: Callable[[], int]) -> None:
        self.applier = applier
        self._clock = clock
        self._days = duplicate_days
        self._serial = 0
        self.beside: Beside | None = None

    def prepare(self, batch: list[Todo]) -> None:
        """Read messages; on any thread."""
        for todo in batch:
            if todo.got is None:
                todo.got = _read(todo)
                if todo.oversize:
                    todo.got.message = None
                    limit = f"the message is longer than {todo.oversize:,} bytes, the most that is taken"
                    fault = Fault("", 0, INTERNAL, limit, "raise [hl7] max_message_mb if it should be taken")
                    todo.got.refused = Outcome(ERROR, limit, faults=(fault,))

    def keep(self, batch: list[Todo], writer: Writer) -> None:
        """Keep, act on and answer messages in one transaction; raises when nothing of it could be written.

        Where one of them is the reason they are kept one by one, so that it fails alone.
        """
        self.prepare(batch)
        try:
            self._together(batch, writer)
        except Exception as error:
            if len(batch) == 1 or (isinstance(error, sqlite3.Error) and is_environment(error)):
                raise
            log.exception("messages could not be kept together")
            for todo in batch:
                try:
                    self._together([todo], writer)
                except Exception as own:
                    if isinstance(own, sqlite3.Error) and is_environment(own):
                        raise
                    self.fail([todo], own)

    def _together(self, batch: list[Todo], writer: Writer) -> None:
        now = self._clock.now()
        at = microseconds(now)
        try:
            writer.begin()
            for todo in batch:
                self._one(writer.connection, todo, at)
            writer.commit()
        except BaseException:
            writer.rollback()
            self.applier.forget()
            raise
        self.applier.kept()

    def trial(self, todo: Todo, writer: Writer) -> None:
        """Act on a message, see what comes of it, and undo all of it.

        The applier is not told to forget: that would be for what others have just committed too. What it tells of this
        message with the next one are rows to look at again, and they are as they were.
        """
        self.prepare([todo])
        got = todo.got
        assert got is not None
        writer.begin()
        try:
            if got.refused is not None or got.message is None:
                todo.outcome = got.refused or Outcome(ERROR)
            else:
                self._act(writer.connection, todo, got.message, microseconds(self._clock.now()))
            self._flag(todo, got)
        finally:
            writer.rollback()

    def fail(self, batch: list[Todo], error: BaseException) -> None:
        """Answer messages that could not be kept: the sender is to try again later."""
        told = translate(error) if isinstance(error, sqlite3.Error) else error
        text = getattr(told, "message", "") or "this node failed at it"
        fault = Fault("", 0, INTERNAL, f"{text}; nothing of it was kept", "send it again later")
        for todo in batch:
            todo.state, todo.id = "", 0
            todo.outcome = Outcome(REJECTED, text, faults=(fault,))
            self._answer(todo, kept=False)

    def _one(self, connection: sqlite3.Connection, todo: Todo, at: int) -> None:
        got = todo.got
        assert got is not None
        head = got.head
        sender, facility = got.message.sender if got.message is not None else _named(got)
        sender, facility, control = sender[:227], facility[:227], head.control[:199]
        kept_reply: bytes | None = None
        before = None
        days = self._days()
        if days and not todo.original and not todo.oversize:
            since = at - int(timedelta(days=days) / timedelta(microseconds=1))
            before = store.earlier(connection, sender, facility, control, got.digest, since)
        if before is not None and before.same and before.state != store.FAILED:
            todo.state = store.REPEATED
            todo.outcome = Outcome(before.answer, f"the same as message {before.id}; answered as before")
            kept_reply = before.reply
        elif got.refused is not None or got.message is None:
            assert got.refused is not None
            todo.outcome, todo.state = got.refused, store.FAILED
            if before is not None and before.same:
                todo.state = store.REPEATED
        elif head.kind in _NO_ANSWER:
            todo.outcome, todo.state = Outcome(ACCEPTED, "an acknowledgement; nothing is done by it"), store.DONE
        else:
            self._act(connection, todo, got.message, at)
            if before is not None and (control or before.same):
                self._beside(connection, todo, before)
        self._flag(todo, got)
        if got.message is not None and not (todo.outcome.patient and todo.outcome.accession):
            todo.outcome = _about(todo.outcome, got.message)
        if kept_reply is not None:
            todo.replies = store.unpacked(kept_reply)
        else:
            self._answer(todo, kept=got.refused is None)
        again = todo.state == store.REPEATED
        outcome = todo.outcome
        todo.id = store.insert(connection, store.Kept(
            at, todo.origin, sender, facility, kind_of(got), control, got.digest, todo.state,
            outcome.code if not again else before.answer if before else outcome.code,
            outcome.done[:1000], next((f.hint for f in outcome.faults if f.hint), ""), outcome.patient,
            outcome.accession, len(todo.raw), todo.batch,
            before.id if again and before else todo.original, todo.by, got.charset,
            b"" if kept_reply is not None else todo.raw, b"" if kept_reply is not None else store.packed(todo.replies),
            "" if kept_reply is not None else words_of(got.text), self._keys(got, outcome), outcome.faults,
        ))  # fmt: skip
        if todo.original:
            if todo.state == store.DONE:
                store.mend(connection, todo.original, todo.by)
            else:
                store.replaced(connection, todo.original, todo.by, todo.id)
        if got.message is not None and not again and self.beside is not None:
            self._pass_on(connection, todo, got.message, at)

    def _keys(self, got: Read, outcome: Outcome) -> set[str]:
        found = keys(got.text, got.head.marks)
        return found | {key_of(each) for each in (outcome.patient, outcome.accession) if each.strip()}

    def _pass_on(self, connection: sqlite3.Connection, todo: Todo, message: Message, at: int) -> None:
        """Let what forwards messages look at one that is kept; a fault of it takes nothing back."""
        assert self.beside is not None
        connection.execute("SAVEPOINT message")
        try:
            self.beside(connection, todo.id, message, todo.raw, todo.outcome, at)
        except sqlite3.Error as error:
            if is_environment(error) or not connection.in_transaction:
                raise
            self._undo(connection)
            log.exception("message %d could not be queued for forwarding", todo.id)
        except Exception:
            self._undo(connection)
            log.exception("message %d could not be queued for forwarding", todo.id)
        else:
            connection.execute("RELEASE message")

    def _act(self, connection: sqlite3.Connection, todo: Todo, message: Message, at: int) -> None:
        connection.execute("SAVEPOINT message")
        try:
            todo.outcome = self.applier.apply(connection, message, at)
        except Refused as refused:
            self._undo(connection)
            text = str(refused) or "it cannot be acted on"
            todo.outcome = Outcome(refused.code, text, refused.patient, refused.accession, refused.faults)
        except sqlite3.Error as error:
            if is_environment(error) or not connection.in_transaction:
                raise
            self._undo(connection)
            log.exception("a message could not be acted on")
            todo.outcome = _internal(error)
        except Exception as error:  # a fault of ours at one message holds up no other
            self._undo(connection)
            log.exception("a message could not be acted on")
            todo.outcome = _internal(error)
        else:
            connection.execute("RELEASE message")
        todo.state = store.DONE if todo.outcome.code == ACCEPTED else store.FAILED

    def _undo(self, connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK TO message")
        connection.execute("RELEASE message")

    def _beside(self, connection: sqlite3.Connection, todo: Todo, before: store.Earlier) -> None:
        """Settle a message against the one of the same sender and control ID that came before."""
        if before.same and todo.state == store.DONE:
            store.resolve(connection, before.id, "sent again")
        elif before.same:
            todo.state = store.REPEATED
        elif todo.state == store.DONE:
            note = f"control ID of message {before.id}, other content"
            todo.outcome = _noted(todo.outcome, note)

    def _flag(self, todo: Todo, got: Read) -> None:
        if got.damaged:
            todo.outcome = _noted(todo.outcome, f"holds bytes that are no {got.charset}")
        if todo.note:
            todo.outcome = _noted(todo.outcome, todo.note)

    def _answer(self, todo: Todo, kept: bool) -> None:
        got = todo.got
        assert got is not None
        if got.head.kind in _NO_ANSWER and got.refused is None:
            todo.replies = []
            return
        now = self._clock.now()
        self._serial = max(self._serial + 1, microseconds(now))
        outcome = todo.outcome
        todo.replies = answers(
            got.head, outcome.code, outcome.done, outcome.faults, now, f"{self._serial:X}", got.charset, kept=kept
        )


def _read(todo: Todo) -> Read:
    try:
        return read(todo.raw, todo.rules_for)
    except Exception as error:  # a fault of ours at one message holds up no other
        log.exception("a message could not be read")
        return Read(todo.raw, hashlib.sha256(todo.raw).digest(), refused=_internal(error))


def _named(got: Read) -> tuple[str, str]:
    mark = got.head.marks.component
    return got.head.application.split(mark)[0], got.head.facility.split(mark)[0]


def _internal(error: Exception) -> Outcome:
    text = f"this node failed at it: {safe(error, 120) or type(error).__name__}"
    return Outcome(ERROR, text, faults=(Fault("", 0, INTERNAL, text, "see the node's log"),))


def _about(outcome: Outcome, message: Message) -> Outcome:
    """Return an outcome that says whom it is about, if need be by what the message itself says."""
    patient = outcome.patient or message.value("PID", 3)
    accession = outcome.accession or message.value("OBR", 18) or message.value("IPC", 1)
    return replace(outcome, patient=patient[:64], accession=accession[:64])


def _noted(outcome: Outcome, note: str) -> Outcome:
    text = f"{outcome.done} ({note})" if outcome.done else note
    return replace(outcome, done=text)


def kind_of(got: Read) -> str:
    """Return type and trigger event of a message, as ADT^A08."""
    return "^".join(part for part in (got.head.kind[:20], got.head.trigger[:20]) if part)


def words_of(text: str) -> str:
    """Return what of a message's text is searched: fields that are long, such as an embedded document, are cut."""
    if len(text) <= _FIELD:
        return text
    if len(text) > _WORDS:
        lines = (line if len(line) <= _FIELD else _cut(line) for line in text[: _WORDS * 64].split("\r"))
        text = "\r".join(lines)
    return text[:_WORDS]


def _cut(line: str) -> str:
    mark = line[3:4] or "|"
    return mark.join(part[:_FIELD] for part in line.split(mark))
