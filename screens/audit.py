"""Who did what: the audit trail, newest first, in pages that are asked for as one scrolls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.audit import AuditPage, AuditRow, AuditState, Verdict
from pacstui.contract.overview import View
from pacstui.errors import PacsError
from pacstui.text import count, plural, safe
from screens import files, keymap
from screens.base import ConsoleScreen
from screens.modals.form import Form, Values
from screens.modals.page import Page
from screens.widgets import columns as cols
from screens.widgets.form import Field
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
PAGE = 200
NEWS_S = 5.0
OUTCOMES = {"ok": (" ", "dim"), "failed": ("x", "fail"), "denied": ("!", "warn")}
KINDS = (
    "action", "sign-in", "sign-out", "denied", "patients seen", "export", "import", "association refused",
    "configuration", "node", "recovery",
)  # fmt: skip
COLUMNS = (
    C("", 1),
    C("time", 15, role="dim"),
    C("who", 10, grow=1, most=24, role="strong"),
    C("what", 19, grow=2, most=32),
    C("to what", 14, grow=3, most=64),
    C("patient", 10, grow=1, rank=3, most=32),
    C("detail", 14, grow=3, rank=1, most=90, role="dim"),
    C("from", 12, grow=1, rank=2, most=32, role="dim"),
    C("id", 7, align=">", rank=4, role="dim"),
)
_LIMIT = re.compile(r"\b(who|kind|since|until):(\S*)")


def limits(text: str) -> tuple[str, dict[str, str]]:
    """Return the words of a search without ``who:``, ``kind:``, ``since:`` and ``until:``, and what these say."""
    found = {name: value for name, value in _LIMIT.findall(text) if value}
    if "kind" in found:
        kind = found["kind"].replace("-", " ")
        found["kind"] = next((each for each in KINDS if each.replace("-", " ").startswith(kind)), found["kind"])
    return " ".join(_LIMIT.sub(" ", text).split()), found


class AuditScreen(ConsoleScreen):
    """The audit trail."""

    TITLE_WORDS = "Audit"
    MODE = "audit"
    ABOUT = (
        "Newest first. Who did what, who was denied what, who saw patients; the node keeps it so that a change to it "
        "is found, and v looks for one. ! denied, x failed. Enter shows an entry in full. / looks in all of the trail "
        "for words, and takes who:NAME, kind:denied, since:2026-01-31 and until:2026-02-28 as well. r fetches the "
        "list anew; the upper edge says when there is something new."
    )
    KEYS = (
        keymap.Key("r", "refresh", "Fetch the list anew, newest first", "refresh"),
        keymap.acts("audit.verify", "verify", key="v"),
        keymap.acts("audit.export_csv", "export", key="x"),
    )

    def __init__(self) -> None:
        super().__init__()
        self._search = ""
        self._limits: dict[str, str] = {}
        self._turn = 0
        self._begun = False
        self._state: AuditState | None = None
        self._newest = 0
        self._found: int | None = None
        self._found_more = False
        self._looked = 0.0
        self._looking = False

    def body(self) -> Iterable[Widget]:
        table: RowTable[AuditRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.id,
            lambda r: f"{r.who} {r.kind} {r.outcome} {r.action} {r.target} {r.detail} {r.origin}",
            id="audit-list",
        )
        table.title = Line("Audit", "title")
        table.empty = ["asking the node"]
        yield table

    def _cells(self, row: AuditRow) -> Sequence[cols.Cell]:
        mark = OUTCOMES.get(row.outcome, ("!", "warn"))
        what = row.action if row.kind in ("action", "node", "configuration") and row.action else row.kind
        return (
            mark,
            f"{row.at.astimezone():%d %b %H:%M:%S}",
            safe(row.who, 64),
            (safe(what, 64), {"failed": "fail-text", "denied": "warn-text"}.get(row.outcome, "text")),
            self.console_app.privacy.sentence(row.target)[:200] or ("-", "dim"),
            self.console_app.privacy.ident(row.patient),
            self.console_app.privacy.sentence(row.detail)[:300],
            safe(row.origin, 64),
            str(row.id),
        )

    @property
    def _table(self) -> RowTable[AuditRow]:
        return self.query_one(RowTable)

    def show(self, view: View) -> None:
        app = self.console_app
        if not self._begun:
            self._begun = True
            self.action_refresh()
        elif not self._looking and app.away_since is None and app.door.clock() - self._looked >= NEWS_S:
            self._looking = True
            app.keep(self._look_for_news())
        self._table.redraw()

    async def _look_for_news(self) -> None:
        app = self.console_app
        try:
            page: AuditPage | None = await app.fetch(app.client.audit.list(limit=1))
        finally:
            self._looking = False
            self._looked = app.door.clock()
        if page is not None and page.rows and self.is_attached and not app.frozen:
            self._entitle(page.rows[0].id - self._newest)

    def action_refresh(self) -> None:
        """Begin at the newest."""
        self._turn += 1
        self._table.cursor = None
        self._table.top = 0
        self.console_app.keep(self._load(None, self._turn))

    @on(RowTable.Wanted)
    def _more(self, event: RowTable.Wanted) -> None:
        held = self._table.held
        if held and not event.before:
            self.console_app.keep(self._load(held[-1].id, self._turn))

    @on(RowTable.EdgeWanted)
    def _edge(self, event: RowTable.EdgeWanted) -> None:
        if event.last:
            self._table.go_on_to_the_end()
        else:
            self.action_refresh()

    async def _load(self, before: int | None, turn: int) -> None:
        app, table = self.console_app, self._table
        call = app.client.audit.list(search=self._search, limit=PAGE, before=before, **self._limits)
        page: AuditPage | None = await app.fetch(call)
        if page is not None and before is None:
            self._state = await app.fetch(app.client.audit.state())
        if not self.is_attached or turn != self._turn:
            return
        if page is None:
            table.empty = ["The node did not give it; the line below says why. r tries again."]
            table.not_given()
            if before is None:
                table.show([])
            return
        app.privacy.learn(row.patient for row in page.rows)
        table.bounded = False
        if before is not None:
            known = len(table.held) + len(page.rows)
            self._found, self._found_more = known, page.next is not None
            table.extend(page.rows, more=page.next is not None, total=self._total(known, page))
            self._entitle()
            return
        self._found, self._found_more = len(page.rows), page.next is not None
        self._newest = page.rows[0].id if page.rows and not self._limited else self._newest
        table.empty = ["Nothing is found. esc shows all entries."] if self._limited else ["The audit trail is empty."]
        self._entitle()
        table.show(page.rows, more=page.next is not None, total=self._total(len(page.rows), page))

    @property
    def _limited(self) -> bool:
        return bool(self._search or self._limits)

    def _total(self, known: int, page: AuditPage) -> int:
        entries = self._state.entries if self._state is not None else known
        return known if page.next is None else known + 1 if self._limited else max(known, entries)

    def _entitle(self, news: int = 0) -> None:
        table, state = self._table, self._state
        table.title = Line("Audit  ", "title")
        if self._limited and self._found is not None:
            more = " or more" if self._found_more else ""
            table.title.add(f"{count(self._found)}{more}", "strong").add(" found")
            if state is not None:
                table.title.add(f" of {count(state.entries)}", "dim")
        elif state is not None:
            table.title.add(count(state.entries), "strong").add(" entries")
        if state is not None:
            if state.problem:
                table.title.add(f"  x {safe(state.problem, 200)}", "fail")
            elif state.unsent:
                table.title.add(f"  {count(state.unsent)} wait for {safe(state.server, 64)}", "warn")
        asked = [f"{name} {value}" for name, value in self._limits.items()] + [self._search] * bool(self._search)
        if asked:
            table.title.add(f"  {safe(', '.join(asked), 60)}", "accent")
        table.note = Line(f"\u2191 {count(news)} new: r", "accent") if news > 0 and not self._limited else None
        table.redraw()

    def filter_changed(self, text: str) -> None:
        """Ask the node, once the typing pauses."""
        wanted, asked = limits(text.strip())
        if wanted.startswith("!"):
            self.console_app.say("a search of the whole trail cannot be inverted: leave out the !", "warn")
            return
        if (wanted, asked) != (self._search, self._limits):
            self._search, self._limits, self._found = wanted, asked, None
            self.when_typing_pauses(self.action_refresh, 0.3)
        self._entitle()

    @on(RowTable.Chosen)
    def _open(self, event: RowTable.Chosen) -> None:
        row = self._table.selected
        if row is not None:
            self.console_app.push_screen(EntryPage(row))

    def action_verify(self) -> None:
        """Look whether the trail is whole."""
        if self.console_app.allowed("audit.verify"):
            self.console_app.push_screen(VerdictPage())

    def action_export(self) -> None:
        """Write entries to a file."""
        app = self.console_app
        if not app.allowed("audit.export_csv"):
            return

        async def send(values: Values) -> str:
            path = files.free(values["path"])
            text = await app.client.audit.export_csv(since=values["since"].strip(), until=values["until"].strip())
            await files.write_new(path, text)
            return f"{max(0, text.count(chr(10)) - 1):,} lines written to {path}"

        day = "as 2026-01-31; empty: "
        fields = [
            Field("path", "file", f"audit-{app.now():%Y-%m-%d}.csv",
                  note="a relative path begins where the console was started"),
            Field("since", "from day", self._limits.get("since", ""), note=f"{day}from the first entry"),
            Field("until", "to day", self._limits.get("until", ""), note=f"{day}to the last entry"),
        ]  # fmt: skip
        form = Form("Write the audit trail as CSV", fields, send)
        app.push_screen(form, lambda told: app.say(told) if told else None)


class EntryPage(Page):
    """An entry in full."""

    FOOT = "y copy, esc back"

    def __init__(self, row: AuditRow) -> None:
        super().__init__()
        self._row = row

    def sections(self, width: int) -> Sequence[Section]:
        row, hidden = self._row, self.console_app.privacy
        lines: list[Line] = []

        def fact(label: str, text: str, role: str = "text") -> None:
            if text:
                lines.extend(words(text, width, role, 10, Line(fit(label, 10), "dim")))

        tone = {"failed": "fail", "denied": "warn"}.get(row.outcome, "good")
        fact("when", f"{row.at.astimezone():%Y-%m-%d %H:%M:%S.%f %Z}".rstrip())
        fact("who", safe(row.who, 64), "strong")
        fact("known by", safe(row.how, 64))
        fact("from", safe(row.origin, 128))
        fact("what", safe(row.kind, 64))
        fact("action", safe(row.action, 64))
        fact("to what", hidden.sentence(row.target))
        fact("patient", hidden.ident(row.patient))
        fact("outcome", safe(row.outcome, 32), tone)
        fact("detail", hidden.sentence(row.detail))
        return [Section(Line("Entry ", "title").add(str(row.id), "focus-title"), [Item(lines)])]


class VerdictPage(Page):
    """Whether the trail is as it was written."""

    FOOT = "y copy, esc back"

    def __init__(self) -> None:
        super().__init__()
        self._verdict: Verdict | None = None
        self._fault = ""

    def on_mount(self) -> None:
        """Begin."""
        self.console_app.keep(self._ask())

    async def _ask(self) -> None:
        try:
            self._verdict = await self.console_app.client.audit.verify()
        except PacsError as error:
            self._fault = str(error)
        except (OSError, TimeoutError) as error:
            self._fault = f"the node did not answer: {error}"
        if self.is_attached:
            self.renew()

    def sections(self, width: int) -> Sequence[Section]:
        title, verdict = Line("Is the audit trail whole?", "focus-title"), self._verdict
        if self._fault:
            return [Section(title, [Item(words(safe(self._fault, 400), width, "fail", 2, Line("x ", "fail")))])]
        if verdict is None:
            return [Section(title, [Item([Line("reading every entry and its seal", "dim")])])]
        span = f"{plural(verdict.entries, 'entry', 'entries')}, {verdict.first:,} to {verdict.last:,}"
        if not verdict.flaws:
            lines = words("whole: no entry was changed, removed or put in", width, "good", 2, Line("= ", "good"))
            told = words(safe(verdict.text, 400) or span, width, "dim")
            return [Section(title, [Item([*lines, *told])])]
        lines = words(safe(verdict.text, 400) or "it is not as it was written", width, "fail", 2, Line("x ", "fail"))
        items = []
        for flaw in verdict.flaws:
            where = f"{flaw.first:,}" if flaw.first == flaw.last else f"{flaw.first:,} to {flaw.last:,}"
            items.append(Item(words(safe(flaw.text, 300), width, "text", 2, Line(f"x {where}: ", "fail"))))
        advice = "Keep a copy of the data directory as it is, and compare with an export or backup from before."
        items.append(Item(words(advice, width, "strong", 2, Line("> ", "accent"))))
        where_title = Line("Broken  ", "title").add(plural(len(verdict.flaws), "place"), "fail")
        return [Section(title, [Item([*lines, Line(span, "dim")])]), Section(where_title, items)]
