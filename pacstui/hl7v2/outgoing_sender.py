"""One receiver: its messages go out one after another, in the order in which they were queued, each until answered.

A receiver that cannot be reached costs no message a try: all wait for it. A message that is not accepted is tried again
after a while, up to a limit; then it is set aside, so that those behind it go. One that is not answered is set aside
too, but only one: as long as the receiver has answered nothing since, it is the receiver that is stuck.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from datetime import datetime
from typing import Any, Final

from pacstui.clock import microseconds
from pacstui.errors import PacsError
from pacstui.hl7v2 import outgoing_answer as answers
from pacstui.hl7v2.outgoing_line import Line, Unanswered, Unreachable
from pacstui.hl7v2.outgoing_store import FAILED, SENT, WAITING, Item, Result
from pacstui.hl7v2.outgoing_ways import Ways
from pacstui.retrying import delay
from pacstui.settings import Hl7ReceiverSettings
from pacstui.text import duration, safe

log = logging.getLogger("pacstui.hl7v2.outgoing")
_BATCH: Final = 32
_LONGEST_S: Final = 60.0
_REMEMBERED: Final = 1000


class Sender:
    """Sends to one receiver. Everything runs on the event loop."""

    def __init__(self, settings: Hl7ReceiverSettings, ways: Ways) -> None:
        self.settings = settings
        self.name = settings.name
        self.held_by = ""
        self.busy = False
        self.why = ""
        self.hint = ""
        self.next_at = 0.0
        """When something is tried again, on the clock's monotonic seconds; 0 for nothing."""
        self._ways = ways
        self._line: Line | None = None
        self._failures = 0
        self._stuck = False
        self._doubted = False
        self._told = False
        self._due = 0.0
        self._free_at = 0.0
        self._used_at = 0.0
        self._items: list[Item] = []
        self._recent: OrderedDict[str, int] = OrderedDict()
        self._sleeper: asyncio.Future[None] | None = None
        self._stopping = False
        self._woken = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._work(), name=f"HL7 to {self.name}")

    async def close(self, patience_s: float = 0.0) -> None:
        """End: a message that is on its way gets some seconds to be answered."""
        self._stopping = True
        self.wake()
        if self._task is not None:
            if self.busy and patience_s:
                await asyncio.wait([self._task], timeout=patience_s)
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._hang_up()

    def replace(self, settings: Hl7ReceiverSettings) -> None:
        """Go on with other settings, over a new connection if they are about that."""
        old, self.settings = self.settings, settings
        if (old.host, old.port, old.tls, old.ca, old.check_host) != (
            settings.host, settings.port, settings.tls, settings.ca, settings.check_host
        ):  # fmt: skip
            if self._line is not None:
                _later(self._line.close())
            self._line = None
        self.retry_now()

    def wake(self) -> None:
        """Look at once whether there is something to do."""
        self._woken = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def recall(self) -> None:
        """Take nothing more of what was read already: somebody has changed what is to be sent."""
        self._items.clear()
        self.wake()

    def retry_now(self) -> None:
        """Try at once, also a receiver that could not be reached."""
        self._due = 0.0
        self.recall()

    @property
    def status(self) -> str:
        """The state in one word: off, held, closed, down, stuck, sending, waiting or idle."""
        if not self.settings.enabled:
            return "off"
        if self.held_by:
            return "held"
        if self._failures:
            return "down"
        if self._stuck:
            return "stuck"
        if self.busy:
            return "sending"
        if self._opens() is not None:
            return "closed"
        return "waiting" if self.why else "idle"

    def words(self) -> str:
        """Say in a sentence what is happening."""
        status = self.status
        if status == "off":
            return "switched off in the settings (enabled = false)"
        if status == "held":
            return f"held by {self.held_by}"
        if status == "closed":
            opens = self._opens()
            assert opens is not None
            return f"outside of its hours, sends from {opens.astimezone():%a %H:%M}"
        left = self.next_at - self._ways.clock.monotonic()
        after = f"; tried again in {duration(left)}" if self.next_at and left > 0 else ""
        return self.why + after if self.why else "sending" if self.busy else "idle"

    def _opens(self) -> datetime | None:
        now = self._ways.clock.now()
        try:
            opens = self._ways.opens(self.settings.hours, now)
        except PacsError:  # told at the start and by check-config; sent then at any time
            return None
        return opens if opens != now else None

    def _hindered(self) -> float:
        """Return for how many seconds nothing is to be tried; 0 if something may be."""
        if not self.settings.enabled or self.held_by:
            return _LONGEST_S
        opens = self._opens()
        if opens is not None:
            return max(0.01, (opens - self._ways.clock.now()).total_seconds())
        now = self._ways.clock.monotonic()
        return max(0.0, self._due - now, self._free_at - now)

    async def _sleep(self, seconds: float) -> None:
        """Wait, until somebody calls `wake`; meanwhile hear whether the other side closes the connection."""
        if self._stopping or self._woken:
            self._woken = False
            return
        loop = asyncio.get_running_loop()
        sleeper = self._sleeper = loop.create_future()
        line = self._line
        watching = asyncio.create_task(line.watch()) if line is not None and not line.lost else None
        seconds = min(max(seconds, 0.01), _LONGEST_S)
        if line is not None and self.settings.linger_s:
            left = self._used_at + self.settings.linger_s - self._ways.clock.monotonic()
            seconds = min(seconds, max(0.01, left))
        try:
            await asyncio.wait([sleeper, *([watching] if watching else ())], timeout=seconds,
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
        finally:
            self._sleeper = None
            self._woken = False
            if watching is not None and not watching.done():
                watching.cancel()
                await asyncio.wait([watching])
        if line is None or line is not self._line:
            return
        await self._hear(line)
        idle = self._ways.clock.monotonic() - self._used_at
        if line.lost or (self.settings.linger_s and idle >= self.settings.linger_s):
            await self._hang_up()

    async def _work(self) -> None:
        while not self._stopping:
            try:
                hindered = self._hindered()
                if hindered:
                    await self._sleep(hindered)
                    continue
                item = await self._next()
                if item is None:
                    self._nothing()
                    await self._sleep(_LONGEST_S)
                    continue
                left = item.next_try / 1e6 - self._ways.clock.now().timestamp()
                if left > 0:
                    self._items.clear()
                    self.next_at = self._ways.clock.monotonic() + left
                    await self._sleep(left)
                    continue
                await self._one(item)
            except PacsError as fault:
                log.warning("HL7 to %s: %s", safe(self.name, 64), fault)
                self._items.clear()
                await self._sleep(5.0)
            except Exception:  # a fault of ours; what waits is tried again all the same
                log.exception("sending HL7 to %s failed", safe(self.name, 64))
                self._items.clear()
                await self._hang_up()
                await self._sleep(5.0)

    def _nothing(self) -> None:
        """Nothing waits: what was the matter with the last message is over."""
        if not self._failures and not self._stuck:
            self.why = self.hint = ""
        self.next_at = 0.0

    async def _next(self) -> Item | None:
        if not self._items:
            self._items = await self._ways.store.take(self.name, _BATCH)
        return self._items[0] if self._items else None

    async def _one(self, item: Item) -> None:
        """Send a message, and write down what became of it."""
        self.busy = True
        try:
            line = await self._connected(item)
            if line is None:
                return
            try:
                reply = await self._exchange(line, item)
            except Unanswered as fault:
                await self._hang_up()
                if fault.stale:  # closed for being idle, most likely: once more, over a new connection
                    return
                await self._settle(item, self._silent(item, fault.text, fault.hint))
                return
            answer = answers.read(reply, item.control)
            self._used_at = self._ways.clock.monotonic()
            if not answer.code:
                await self._hang_up()
                await self._settle(item, self._silent(item, answer.text, answer.hint, reply))
            elif answer.control != item.control:
                await self._hang_up()
                text = (
                    f'it answered {answer.code} for "{safe(answer.control, 40) or "no message"}" (MSA-2), not for'
                    f' "{safe(item.control, 40)}": whether it took this one is not known'
                )
                hint = "its MSA-2 has to repeat the control ID (MSH-10); its owner can see to that"
                await self._settle(item, self._silent(item, text, hint, reply))
            else:
                line.used += 1
                await self._settle(item, self._judged(item, answer, reply))
        finally:
            self.busy = False
            self._ways.changed()

    async def _connected(self, item: Item) -> Line | None:
        """Return the connection, a new one if need be; none if there is none to be had now."""
        if self._line is not None and self._line.lost:
            await self._hang_up()
        if self._line is not None:
            return self._line
        settings = self.settings
        try:
            context = self._ways.context(settings)
            self._line = await Line.open(settings.host, settings.port, context, settings.connect_s)
        except (Unreachable, PacsError) as fault:
            text, hint = (fault.text, fault.hint) if isinstance(fault, Unreachable) else (fault.message, fault.hint)
            await self._down(text, hint)
            return None
        self._used_at = self._ways.clock.monotonic()
        if self._failures:
            self._failures = 0
            self.why = self.hint = ""
            if not self._stuck:
                self._over()
        return self._line

    async def _down(self, text: str, hint: str) -> None:
        self._failures += 1
        self.why, self.hint = text, hint
        now = self._ways.clock.monotonic()
        self._due = self.next_at = now + delay(
            self._failures, self.settings.retry_s, self.settings.retry_most_s, self._ways.chance
        )
        self._items.clear()
        self._trouble(text, hint)
        if self.settings.give_up_h:
            at = self._now()
            before = at - int(self.settings.give_up_h * 3600e6)
            await self._ways.store.give_up(self.name, before, f"given up: {text}", hint, at)

    def _trouble(self, text: str, hint: str) -> None:
        if not self._told:
            self._told = True
            self._ways.trouble(self.name, text, hint)

    def _over(self) -> None:
        if self._told:
            self._told = False
            self._ways.trouble(self.name, "", "")

    async def _exchange(self, line: Line, item: Item) -> bytes:
        """Send a message and return its answer; late answers to earlier ones are noted, and do not count for it."""
        await self._hear(line)
        if self.settings.max_per_second:
            self._free_at = self._ways.clock.monotonic() + 1.0 / self.settings.max_per_second
        await line.send(item.raw, self.settings.answer_s)
        while True:
            reply = await line.answer(self.settings.answer_s)
            if not await self._for_earlier(reply, item.control):
                return reply

    async def _hear(self, line: Line) -> None:
        for reply in line.early():
            if not await self._for_earlier(reply, ""):
                log.warning("HL7 from %s: a message that nobody asked for was left alone", safe(self.name, 64))

    async def _for_earlier(self, reply: bytes, control: str) -> bool:
        """Return whether this answers a message that was accepted before (2.9.3): the application's answer to it."""
        answer = answers.read(reply, "")
        if not answer.code or not answer.control or answer.control == control or answer.control not in self._recent:
            return False
        error = "" if answer.accepted else f"accepted first, then {answer.text}"
        await self._ways.store.later(
            self.name, answer.control, answer.code, error or answer.text, answer.hint, reply, self._now(),
            failed=bool(error),
        )  # fmt: skip
        return True

    def _judged(self, item: Item, answer: answers.Answer, reply: bytes) -> Result:
        self._doubted, was_stuck, self._stuck = False, self._stuck, False
        if was_stuck:
            self._over()
        if answer.accepted:
            self._recent[item.control] = item.id
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
            return Result(item, SENT, answer.code, answer.text, "", item.attempts + 1, 0, reply)
        if answer.code in self.settings.retry_on and item.attempts < self.settings.retries:
            return self._again(item, answer.code, answer.text, answer.hint, reply)
        return Result(item, FAILED, answer.code, answer.text, answer.hint, item.attempts + 1, 0, reply)

    def _silent(self, item: Item, text: str, hint: str, reply: bytes = b"") -> Result:
        """Judge a message that got no answer that counts."""
        if item.attempts < self.settings.retries:
            return self._again(item, "", text, hint, reply)
        if self._doubted:  # one was set aside already, and nothing was answered since: it is not the message
            if not self._stuck:
                self._stuck = True
                self._trouble(f"{text} (not the one before either)", hint)
            return self._again(item, "", text, hint, reply)
        self._doubted = True
        return Result(item, FAILED, "", f"{text}; {item.attempts + 1} tries", hint, item.attempts + 1, 0, reply)

    def _again(self, item: Item, code: str, text: str, hint: str, reply: bytes) -> Result:
        seconds = delay(item.attempts + 1, self.settings.retry_s, self.settings.retry_most_s, self._ways.chance)
        return Result(
            item, WAITING, code, text, hint, item.attempts + 1, self._now() + int(seconds * 1e6), reply
        )  # fmt: skip

    async def _settle(self, item: Item, result: Result) -> None:
        state = await self._ways.store.record(result, self._now())
        if self._items and self._items[0].id == item.id:
            del self._items[0]
        if result.state == WAITING:
            self._items.clear()
            self.why, self.hint = result.error, result.hint
            if result.answer:
                self.why = f"{item.kind} was {answers.bare(result.answer)}"
                self.hint = "the oldest message that waits says it in its words"
        elif not self._stuck:
            self.why = self.hint = ""
            self.next_at = 0.0
        if state == FAILED:
            self._ways.failed(item, answers.bare(result.answer) if result.answer else result.error, result.hint)

    async def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    def _now(self) -> int:
        return microseconds(self._ways.clock.now())


_closing: set[asyncio.Task[Any]] = set()


def _later(work: Any) -> None:
    task = asyncio.ensure_future(work)
    _closing.add(task)
    task.add_done_callback(_closing.discard)
