"""What is done about HL7 messages, from all lists and pages alike. Everything acts on ids, and says to how many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from pacstui.contract.hl7 import MessageRow, OutgoingRow, ReceiverRow
from pacstui.errors import PacsError
from pacstui.text import count, plural, safe
from screens import keymap
from screens.modals.ask import Ask, Choice
from screens.modals.form import Form, Values
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Done = Callable[[], None]
MENDING = (
    keymap.Key("e", "edit", "Edit the message and act on it", "edit", keymap.acts("hl7.resubmit", "edit").action, 0),
    keymap.acts("hl7.replay", "replay", weight=0),
    keymap.acts("hl7.ignore", "ignore", weight=1),
)
_SENDING = {"send_again": ("retry", 0), "drop": ("cancel", 1), "hold": ("hold", 2), "release": ("release", 2)}


def _sending_key(method: str, verb: str, weight: int) -> keymap.Key:
    key = keymap.acts(f"hl7.{method}", verb, weight)
    return keymap.Key(key.key, verb, key.does, verb, key.action, weight)


SENDING = tuple(_sending_key(method, verb, weight) for method, (verb, weight) in _SENDING.items())


def _run(app: ConsoleApp, call: Callable[[], Awaitable[Any]], said: Callable[[Any], str], done: Done) -> None:
    async def work() -> None:
        try:
            answer = await call()
        except (PacsError, OSError, TimeoutError) as error:
            app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
            return
        app.say(said(answer))
        done()

    app.keep(work())


def _ask(app: ConsoleApp, title: str, text: str, yes: str, go: Done) -> None:
    def answered(answer: str | None) -> None:
        if answer == "yes":
            go()

    app.push_screen(Ask(title, [text], [Choice("no", "leave it", safe=True), Choice("yes", yes)]), answered)


def replay(app: ConsoleApp, rows: Sequence[MessageRow], done: Done) -> None:
    """Act once more on messages, as they were sent."""
    if not rows or not app.allowed("hl7.replay"):
        return
    ids = tuple(row.id for row in reversed(rows))
    what = f"{plural(len(rows), 'message')}" if len(rows) > 1 else f"message {rows[0].id} ({safe(rows[0].kind, 16)})"
    done_before = sum(row.state in ("done", "resolved") for row in rows)
    text = f"{what}: acted on once more as it was sent, oldest first."
    if done_before:
        text += f" {plural(done_before, 'message')} of it did something already; that is done again."

    def said(answer: Sequence[MessageRow]) -> str:
        app.privacy.learn(text for row in answer for text in (row.patient_id, row.accession))
        failed = [row for row in answer if row.state == "failed"]
        if len(answer) == 1:
            text = app.privacy.sentence(answer[0].text)
            return f"failed again: {text}" if failed else f"done: {text or 'nothing changed'}"
        told = f"{count(len(answer) - len(failed))} of {plural(len(answer), 'message')} done"
        return f"{told}, {count(len(failed))} failed again: {app.privacy.sentence(failed[0].text)}" if failed else told

    _ask(app, f"Replay {what}?", text, f"replay {count(len(rows))}",
         lambda: _run(app, lambda: app.client.hl7.replay(ids=ids), said, done))  # fmt: skip


def ignore(app: ConsoleApp, rows: Sequence[MessageRow], done: Done) -> None:
    """Take failed messages off the list of errors, with a reason."""
    rows = [row for row in rows if row.state == "failed"]
    if not app.allowed("hl7.ignore"):
        return
    if not rows:
        app.say("only what failed can be ignored")
        return
    ids = tuple(row.id for row in rows)
    what = plural(len(rows), "message")

    async def send(values: Values) -> int:
        why = values["why"].strip()
        if not why:
            raise PacsError("say why", "whoever looks next reads it, and the audit trail keeps it")
        number: int = await app.client.hl7.ignore(ids=ids, why=why)
        return number

    def ignored(number: int | None) -> None:
        if number is not None:
            app.say(f"{plural(number, 'message')} ignored; kept, and no error any more")
            done()

    intro = f"{what} will count as no error any more. Nothing of it is done; it is kept, and can be replayed later."
    fields = [Field("why", "why", note="for whoever looks next")]
    app.push_screen(
        Form(f"Ignore {what}", fields, send, intro=intro, foot="Enter ignores it, esc leaves it as it is"), ignored
    )


def _number(did: str, none: str) -> Callable[[int], str]:
    return lambda number: f"{did}: {plural(number, 'message')}" if number else none


def send_again(app: ConsoleApp, rows: Sequence[OutgoingRow], done: Done) -> None:
    """Send messages now."""
    if not rows or not app.allowed("hl7.send_again"):
        return
    ids = tuple(row.id for row in rows)

    def go() -> None:
        _run(app, lambda: app.client.hl7.send_again(ids=ids), _number("sent again", "nothing to send"), done)

    sent = sum(row.state == "sent" for row in rows)
    if sent or len(rows) > 1:
        text = f"{plural(len(rows), 'message')}: sent now, in order."
        if sent:
            text += (
                f" {plural(sent, 'message')} of it {'was' if sent == 1 else 'were'} sent already and goes once more."
            )
        _ask(app, "Send again?", text, f"send {count(len(rows))}", go)
    else:
        go()


def send_all(app: ConsoleApp, row: ReceiverRow, done: Done) -> None:
    """Send all that waits or failed for a receiver now."""
    if not app.allowed("hl7.send_again"):
        return
    number = row.waiting + row.failed
    if not number:
        app.say("nothing of it waits or failed")
        return
    name = safe(row.name, 64)
    text = f"{plural(number, 'message')} for {name} ({count(row.failed)} failed): tried now, in order."
    _ask(app, f"Try {name} again?", text, f"retry {count(number)}",
         lambda: _run(app, lambda: app.client.hl7.send_again(destination=row.name),
                      _number("tried again now", "nothing of it waits or failed"), done))  # fmt: skip


def drop(app: ConsoleApp, rows: Sequence[OutgoingRow], done: Done) -> None:
    """Do not send messages."""
    rows = [row for row in rows if row.state in ("waiting", "held", "failed")]
    if not app.allowed("hl7.drop"):
        return
    if not rows:
        app.say("nothing of it waits or failed")
        return
    ids = tuple(row.id for row in rows)
    what = plural(len(rows), "message")
    text = f"{what} will not be sent. The list keeps {'it' if len(rows) == 1 else 'them'}; t sends later after all."
    said = _number("cancelled", "nothing of it waits")
    _ask(app, f"Cancel {what}?", text, f"cancel {count(len(rows))}",
         lambda: _run(app, lambda: app.client.hl7.drop(ids=ids), said, done))  # fmt: skip


def hold(app: ConsoleApp, rows: Sequence[OutgoingRow], done: Done) -> None:
    """Hold messages until somebody releases them."""
    ids = tuple(row.id for row in rows if row.state == "waiting")
    if app.allowed("hl7.hold"):
        if ids:
            _run(app, lambda: app.client.hl7.hold(ids=ids), _number("held until u", "nothing of it waits"), done)
        else:
            app.say("nothing of it waits")


def release(app: ConsoleApp, rows: Sequence[OutgoingRow], done: Done) -> None:
    """Send what is held."""
    ids = tuple(row.id for row in rows if row.state == "held")
    if app.allowed("hl7.release"):
        if ids:
            _run(app, lambda: app.client.hl7.release(ids=ids), _number("released", "nothing of it is held"), done)
        else:
            app.say("nothing of it is held")


def hold_all(app: ConsoleApp, row: ReceiverRow, done: Done) -> None:
    """Send nothing to a receiver until somebody releases it."""
    if not app.allowed("hl7.hold"):
        return
    name = safe(row.name, 64)
    text = (
        f"Nothing is sent to {name} until u releases it, also after a restart; {plural(row.waiting, 'message')} wait,"
        " and what comes waits too. Nothing is lost."
    )
    said = f"{name} is held: u releases it"
    _ask(app, f"Hold {name}?", text, "hold it",
         lambda: _run(app, lambda: app.client.hl7.hold(destination=row.name), lambda _: said, done))  # fmt: skip


def release_all(app: ConsoleApp, row: ReceiverRow, done: Done) -> None:
    """Send to a receiver again."""
    if app.allowed("hl7.release"):
        name = row.name
        _run(app, lambda: app.client.hl7.release(destination=name), lambda _: f"{name} is sent to again", done)
