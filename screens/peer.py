"""One peer: what it is and may, how it answered, what is negotiated with it, what failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from textual.containers import Container
from textual.widget import Widget

from pacstui.contract.associations import QueryText
from pacstui.contract.overview import View
from pacstui.contract.peers import DayRow, EndRow, PeerDetail, PeerHistory
from pacstui.errors import NotFound, PacsError
from pacstui.text import ago, count, duration, plural, safe, size
from screens import keymap
from screens import peer_cells as cells
from screens import peer_work as work
from screens.base import ConsoleScreen
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.plot import chart, spark
from screens.widgets.query_lines import asked

LABEL = 10
DAYS = 30
_EVERY_S = 2.0
_HISTORY_S = 30.0
_LOOKED = 5
"""Newest associations of a peer that are looked at for what it asked."""
_ASKED = 3
_BLOCKS = {"up": "\u2588", "part": "\u2584", "down": "\u2581", "": "\u00b7"}
_ROLES = {"up": "good", "part": "warn-text", "down": "fail", "": "dim"}


def part(day: DayRow) -> float | None:
    """Return in which part of a day a peer answered, none where that is not known."""
    known = day.up_s + day.down_s
    if known:
        return day.up_s / known
    return day.answered / day.asked if day.asked else None


def _state(of: float | None) -> str:
    return "" if of is None else "up" if of >= 0.995 else "part" if of >= 0.5 else "down"


class IdentityPanel(Panel):
    """What the peer is, and what is negotiated with it."""

    def __init__(self, screen: PeerScreen) -> None:
        super().__init__(id="peer")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        of = self._of
        if of.fault is not None:
            lines = words(f"x {safe(of.fault.message, 300)}", width, "fail", 2)
            return [Section(Line("Peer", "title"), [Item([*lines, *words(safe(of.fault.hint, 300), width, "dim")])])]
        if of.detail is None:
            return [Section(Line("Peer", "title"), [Item([Line("asking the node", "dim")])])]
        detail, now = of.detail, self.console_app.now()
        row = detail.row
        told, role = cells.answers(row, now)
        title = Line(f"{safe(row.name, 64)}  ", "focus-title").add(told, role)
        sections = [Section(title, [Item(self._facts(detail, width))])]
        if not of.apart:
            sections += history_sections(of, width)
        for end in detail.ends:
            sections.append(self._end(end, width))
        if of.queries:
            note = Line(f"association {of.asked_in}: 2 has it", "dim")
            lines = asked(of.queries, width, self.console_app.privacy)
            sections.append(Section(Line("What it asked last", "title"), [Item(lines)], note))
        return sections

    def _facts(self, detail: PeerDetail, width: int) -> list[Line]:
        row, fields = detail.row, {name: safe(text, 500) for name, text in detail.fields.items()}
        lines: list[Line] = []

        def fact(label: str, text: str, role: str = "text") -> None:
            if text:
                lines.extend(words(text, width, role, LABEL, Line(fit(label, LABEL), "dim")))

        for flaw in cells.flaws(row):
            lines.extend(words(safe(flaw, 300), width, "warn-text", 2, Line("! ", "warn")))
        tls = f", TLS {fields['tls']}" if row.tls != "off" else ""
        fact("address", f"{fields['ae_title']} at {fields['host']}:{fields['port']}{tls}", "strong")
        fact("shows", safe(detail.tls, 300))
        may = "everything" if fields["allow"] == "all" else fields["allow"]
        limit = f", {fields['limit']} associations at once" if fields["limit"] != "0" else ""
        fact("may", f"{may}{limit}{'' if row.probe else '; not asked by C-ECHO'}")
        made = " ".join(fields[name] for name in ("vendor", "model") if fields[name])
        more = [
            fields["software"] and f"software {fields['software']}",
            fields["serial"] and f"serial {fields['serial']}",
        ]
        fact("is", ", ".join(each for each in (fields["roles"], made, *more) if each))
        fact("place", ", ".join(each for each in (fields["location"], fields["contact"]) if each))
        fact("notes", fields["notes"])
        kept = "the configuration" if row.configured else "the register"
        if detail.changed is not None:
            kept += f", changed {ago(detail.changed, self.console_app.now())} by {safe(detail.changed_by, 64)}"
        fact("kept in", kept, "dim")
        for text in detail.routes:
            fact("named", safe(text, 200))
        return lines

    def _end(self, end: EndRow, width: int) -> Section:
        now = self.console_app.now()
        title = "It calls us" if end.way == "in" else "We call it"
        if not end.associations:
            never = "never seen since the register began" if end.way == "in" else "never reached: t tests it"
            return Section(Line(title, "title"), [Item([Line(never, "dim")])])
        note = Line(f"last {ago(end.last, now) if end.last else '-'}, {plural(end.associations, 'association')}", "dim")
        takes = f"takes PDUs of {size(end.max_pdu) if end.max_pdu else 'any size'}"
        lines = words(f"{safe(end.implementation, 120) or 'software not named'}; {takes}", width, "text", 2)
        lines += cells.negotiated(end.contexts, width)
        return Section(Line(title, "title"), [Item(lines)], note)


def history_sections(of: PeerScreen, width: int) -> list[Section]:
    """Return how a peer answered, drawn small, and what failed last."""
    sections = []
    if of.history is not None and of.detail is not None:
        sections.append(_answering(of.history, of.detail, width, tall=of.apart and of.size.height >= 34))
    if of.detail is not None:
        sections.append(_faults(of, of.detail, width))
    return sections


def _answering(history: PeerHistory, detail: PeerDetail, width: int, *, tall: bool) -> Section:
    row = detail.row
    title = Line("Answers to C-ECHO", "title")
    if not history.echoes:
        text = "not asked yet: e asks now, the job echo-sweep every 15 minutes" if row.probe else "it is not asked"
        return Section(title, [Item([Line(text, "dim")])])
    days = {day.day: day for day in history.days}
    newest = max(days) if days else history.echoes[0].at.astimezone().date()
    shown = [newest - timedelta(days=back) for back in range(min(DAYS, width - LABEL - 28) - 1, -1, -1)]
    parts = [part(days[day]) if day in days else None for day in shown]
    up = Line(fit("by day", LABEL), "dim")
    for each in parts:
        up.add(_BLOCKS[_state(each)], _ROLES[_state(each)])
    percent, role = cells.percent(row.uptime)
    up.add(f"  up {percent}", role).add(f" of {DAYS} days" if width > 60 else "", "dim")
    recent = [echo for echo in reversed(history.echoes) if echo.ok][-len(shown) :]
    quick = Line(fit("RTT", LABEL), "dim").add(spark([echo.milliseconds for echo in recent], len(shown)), "plot")
    if recent:
        times = sorted(echo.milliseconds for echo in recent)
        quick.add(f"  {times[0]:.1f} to {times[-1]:.1f}, median {times[len(times) // 2]:.1f} ms")
    lines = [up, quick] if recent else [up]
    if tall and len(recent) > 1:
        shape = [echo.milliseconds for echo in reversed(history.echoes) if echo.ok]
        lines += [Line(), *chart(shape, width, 7, lambda ms: f"{ms:g} ms"), Line()]
    down = sum(day.down_s for day in history.days)
    if down >= 60:
        lines.append(Line(fit("down", LABEL), "dim").add(f"{duration(down)} of the last {DAYS} days", "warn-text"))
    for month in history.months[-3:][::-1]:
        percent, role = cells.percent(part(month))
        line = Line(fit(f"{month.day:%b %Y}", LABEL), "dim").add(f"{percent:>7}", role)
        line.add(f"  {count(month.answered)} of {count(month.asked)} echoes", "text")
        lines.append(line.add(f", called us {count(month.calls_in)}, we it {count(month.calls_out)}", "dim"))
    return Section(title, [Item([line.cut(width) for line in lines])])


def _faults(of: PeerScreen, detail: PeerDetail, width: int) -> Section:
    now = of.console_app.now()
    lines: list[Line] = []
    for fault in detail.faults[: 4 if not of.apart else 40]:
        times = f" ({count(fault.count)} times)" if fault.count > 1 else ""
        first = Line(fit(ago(fault.at, now), LABEL), "dim").add("it called: " if fault.way == "in" else "we: ", "dim")
        lines.extend(words(safe(fault.text, 300) + times, width, "fail-text", LABEL, first))
        if of.apart and fault.hint:
            lines.extend(words(safe(fault.hint, 300), width, "dim", LABEL, Line(" " * LABEL)))
    return Section(Line("What failed last", "title"), [Item(lines or [Line("nothing", "dim")])])


class HistoryPanel(Panel):
    """How it answered, beside what it is, where there is room."""

    def __init__(self, screen: PeerScreen) -> None:
        super().__init__(id="peer-history")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        return history_sections(self._of, width) or [Section(Line("Answers", "title"), [Item([Line()])])]


class PeerScreen(ConsoleScreen):
    """A peer."""

    TITLE_WORDS = "Peer"
    ABOUT = (
        "What the peer is, what it may, and where it stands; then how it answered to C-ECHO: a block for each day "
        "(full: all of the time, half: not always, low: mostly not, a dot: not known), round trips of the last echoes "
        "with least, median and longest, and months. Below: what was negotiated in each direction, gathered from the "
        "associations, what it asked last by C-FIND, and what failed last. t tests it step by step."
    )
    KEYS = (
        *work.KEYS,
        keymap.acts("remote.find", "remote", weight=2),
        keymap.acts("peers.callers", "callers", weight=2),
    )

    def __init__(self, name: str) -> None:
        super().__init__()
        self.peer = name
        self.detail: PeerDetail | None = None
        self.history: PeerHistory | None = None
        self.fault: PacsError | None = None
        self.queries: tuple[QueryText, ...] = ()
        self.asked_in = 0
        self._busy = False
        self._loaded = self._history_at = -100.0

    @property
    def apart(self) -> bool:
        """Whether the history has a panel of its own."""
        return self.size.width >= 120

    def body(self) -> Iterable[Widget]:
        with Container(id="peer-and-history"):
            yield IdentityPanel(self)
            yield HistoryPanel(self)

    def show(self, view: View) -> None:
        if self.console_app.door.clock() - self._loaded >= _EVERY_S:
            self._renew()
        self._redraw()

    def _renew(self, name: str = "") -> None:
        self.peer = name or self.peer
        if not self._busy and self.is_attached and self.fault is None:
            self._busy = True
            self.console_app.keep(self._load())

    async def _load(self) -> None:
        app = self.console_app
        try:
            self.detail = await app.client.peers.show(self.peer)
            if app.door.clock() - self._history_at >= _HISTORY_S:
                self._history_at = app.door.clock()
                self.history = await app.client.peers.history(self.peer, days=DAYS)
                await self._asked()
        except NotFound as error:
            self.fault = error
        except (PacsError, OSError, TimeoutError) as error:
            if self.detail is None:
                self.fault = error if isinstance(error, PacsError) else PacsError("the node did not answer", str(error))
        finally:
            self._busy = False
            self._loaded = app.door.clock()
        if self.is_attached:
            self._redraw()

    async def _asked(self) -> None:
        """Find what it asked last, among its newest associations."""
        client = self.console_app.client
        if self.console_app.door.lacks("associations.view"):
            return
        rows = [row for row in await client.associations.list(ended=True) if row.peer == self.peer and not row.outgoing]
        for row in sorted(rows, key=lambda each: -each.id)[:_LOOKED]:
            found = await client.associations.show(row.id)
            if found.queries:
                self.queries, self.asked_in = found.queries[-_ASKED:], row.id
                return

    def _redraw(self) -> None:
        for panel in self.query(Panel):
            panel.redraw()

    def action_echo(self) -> None:
        """Echo it."""
        if self.detail is not None and self.console_app.allowed("peers.echo"):
            from screens.modals.echo import Echo

            self._history_at = -100.0
            self.console_app.push_screen(Echo(self.detail.row))

    def action_test(self) -> None:
        """Test it."""
        if self.console_app.allowed("peers.test"):
            from screens.peer_test import PeerTestScreen

            self.console_app.go(PeerTestScreen(self.peer))

    def action_edit(self) -> None:
        """Change it."""
        if self.detail is not None:
            work.edit(self.console_app, self.detail, self._renew)

    def action_remove(self) -> None:
        """Remove it."""
        if self.detail is not None:
            work.remove(self.console_app, self.detail.row, self.console_app.back)

    def action_remote(self) -> None:
        """Look for studies there."""
        if self.console_app.allowed("remote.find"):
            from screens.remote import RemoteScreen

            self.console_app.go(RemoteScreen(self.peer))

    def action_callers(self) -> None:
        """Show who else called."""
        if self.console_app.allowed("peers.callers"):
            from screens.callers import CallersScreen

            self.console_app.go(CallersScreen())
