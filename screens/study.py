"""One study and its series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.storage import MissingRow
from pacstui.contract.studies import SeriesRow, StudyDetail
from pacstui.errors import PacsError
from pacstui.text import count, plural, safe, size
from screens import correction_work, keymap, merge_work, queue_work, space_work
from screens import exceptions_work as work
from screens.base import ConsoleScreen
from screens.studies import day
from screens.widgets import columns as cols
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words

C = cols.Column
LISTED = 200
SERIES = (
    C("no", 4, align=">"),
    C("mod", 4),
    C("description", 16, grow=4, most=64, role="strong"),
    C("station", 10, grow=1, rank=2, most=20),
    C("images", 7, align=">"),
    C("size", 8, align=">", rank=1),
    C("series UID", 24, grow=3, rank=3, most=64, role="dim"),
)


class StudyPagePanel(Panel):
    """The page."""

    def __init__(self) -> None:
        super().__init__(id="page")
        self.detail: StudyDetail | None = None
        self.missing: tuple[MissingRow, ...] = ()
        self.fault: PacsError | None = None
        self.picked: set[str] = set()

    def sections(self, width: int, height: int) -> Sequence[Section]:
        title = Line("Study", "title")
        if self.fault is not None:
            lines = [
                *words(f"x {safe(self.fault.message, 300)}", width, "fail", 2),
                *words(safe(self.fault.hint, 300), width, "dim"),
            ]
            return [Section(title, [Item(lines)])]
        if self.detail is None:
            return [Section(title, [Item([Line("asking the node", "dim")])])]
        row, privacy = self.detail.row, self.console_app.privacy
        lines = []

        def fact(label: str, text: str, role: str = "text") -> None:
            if text:
                lines.extend(words(text, width, role, 11, Line(fit(label, 11), "dim")))

        name = privacy.name(row.patient_name)
        born = f", born {privacy.ident(day(row.birth_date))}" if row.birth_date else ""
        sex = f", {safe(row.sex, 4)}" if row.sex else ""
        fact("patient", f"{name}{born}{sex}", "strong")
        issuer = f" of {safe(row.issuer, 64)}" if row.issuer else ""
        fact("ID", f"{privacy.ident(row.patient_id, '(none: never merged with another patient)')}{issuer}")
        fact("study", safe(row.description, 200) or "(no description)")
        time = f" {row.time[:2]}:{row.time[2:4]}" if len(row.time) >= 4 else ""
        fact("date", f"{day(row.date)}{time}" if row.date else "(none)")
        fact("accession", privacy.ident(row.accession))
        fact(
            "holds",
            f"{plural(row.series, 'series', 'series')}, {plural(row.instances, 'image')}, {size(row.bytes)}, "
            f"{'/'.join(safe(m, 16) for m in row.modalities)}",
        )
        senders = ", ".join(safe(c, 32) for c in self.detail.calling)
        sent = f" from {senders}" if senders else ""
        late = row.changed.astimezone()
        last = "" if late - row.received < timedelta(seconds=1) else f", last object {late:%Y-%m-%d %H:%M:%S}"
        fact("received", f"{row.received.astimezone():%Y-%m-%d %H:%M:%S}{last}{sent}")
        fact("UID", safe(row.study, 80), "dim")
        if row.pinned:
            fact("pinned", f"^ {privacy.sentence(row.pinned)}; no rule purges it, p takes the pin off", "accent")
        if row.match:
            symbol, role = work.STATES.get(row.match, (safe(row.match, 20), "text"))
            misfit = f": {privacy.sentence(row.misfit)}" if row.misfit else ""
            way = "; X has it beside what was expected" if row.match in ("probable", "unmatched", "conflicting") else ""
            fact("its order", f"{symbol}{misfit}{way}", role)
        if row.conflict:
            why = "objects of another patient came under this study" if privacy.on else safe(row.conflict, 300)
            fact("doubtful", f"! {why}", "warn")
        if self.detail.missing:
            told = "Storage, m gets them from a backup; or send them again"
            fact("missing", f"x {plural(self.detail.missing, 'object')} without file: {told}", "fail")
        if row.marked:
            fact("mark", "~ some text could not be decoded with its declared character set; the bytes are kept", "warn")
        widths = cols.share(SERIES, width)
        items = [Item([cols.heads(SERIES, widths)])]
        for series in self.detail.series:
            cells: Sequence[cols.Cell] = (
                ("*" if series.series in self.picked else "") + safe(series.number, 16),
                safe(series.modality, 16),
                safe(series.description, 128) or ("(no description)", "dim"),
                safe(series.station, 32),
                count(series.instances),
                size(series.bytes),
                safe(series.series, 80),
            )
            items.append(Item([cols.row(SERIES, widths, cells)], series.series))
        return [
            Section(title, [Item(lines)]),
            *self._missing(width),
            Section(self._series_title(), items),
        ]

    def footnote(self) -> Line | None:
        if self.detail is None:
            return None
        keys = "a assign  e edit  m merge  x reject  c list"
        if len(self.detail.series) > 1:
            keys = f"space pick  t split  v move  {keys}"
        return Line(f" {keys} ", "dim")

    def _series_title(self) -> Line:
        assert self.detail is not None
        line = Line("Series  ", "title").add(count(len(self.detail.series)), "strong")
        return line.add(f"  {len(self.chosen)} picked *", "accent") if self.chosen else line

    @property
    def chosen(self) -> list[SeriesRow]:
        """The series that are picked and still there."""
        return [each for each in self.detail.series if each.series in self.picked] if self.detail is not None else []

    def _missing(self, width: int) -> list[Section]:
        """Return which objects have no file, where there are such."""
        if self.detail is None or not self.detail.missing:
            return []
        items = []
        for row in self.missing:
            lines = [Line(safe(row.sop_instance, 64)).cut(width)]
            lines.append(Line("  ").add(f"{safe(row.path, 200)}  {size(row.bytes)}", "dim").cut(width))
            items.append(Item(lines, ("missing", row.sop_instance)))
        more = self.detail.missing - len(self.missing)
        if self.missing and more > 0:
            items.append(Item([Line(f"and {count(more)} more: pacstui storage missing", "dim")]))
        title = Line("Without file  ", "fail").add(count(self.detail.missing), "strong")
        return [Section(title, items or [Item([Line("which: pacstui storage missing", "dim")])])]


class StudyScreen(ConsoleScreen):
    """One study."""

    TITLE_WORDS = "Study"
    ABOUT = (
        "What the index knows of this study and its series. It is fetched again while images arrive, or with r. s "
        "sends the study, or the chosen series, somewhere; D moves it to the trash. p pins the study, so that no rule "
        "purges it, or takes the pin off. a gives it to an order or patient, e edits it, m merges it, x rejects it; "
        "space picks series for e, x, t (split) and v (move). c lists its corrections, u what "
        "the RIS merged into its patient. Each shows first what it does."
    )
    KEYS = (
        keymap.Key("r", "refresh", "Fetch the study anew", "refresh"),
        queue_work.SEND,
        space_work.PIN,
        space_work.DELETE,
        *correction_work.KEYS,
        keymap.Key("space", "pick", "Pick the chosen series, or let it go", "pick", weight=2, shown="space"),
        keymap.Key("c", "its corrections", "List the corrections of this study", "corrected", weight=4),
        merge_work.listed(4),
    )

    def __init__(self, study: str) -> None:
        super().__init__()
        self._study = study
        self._busy = False

    def body(self) -> Iterable[Widget]:
        yield StudyPagePanel()

    def show(self, view: View) -> None:
        page = self.query_one(StudyPagePanel)
        arriving = any(r.study == self._study and r.state == "receiving" for r in view.queue.receiving)
        if page.fault is None and (page.detail is None or arriving):
            self.action_refresh()
        page.redraw()

    def action_refresh(self) -> None:
        """Fetch it."""
        if not self._busy:
            self._busy = True
            self.console_app.keep(self._load())

    def action_send(self) -> None:
        """Send the study, or the chosen series of it, to a destination."""
        page = self.query_one(StudyPagePanel)
        if page.detail is not None:
            chosen = next((each for each in page.detail.series if each.series == page.cursor), None)
            queue_work.send_part(self.console_app, page.detail.row, chosen)

    def action_delete(self) -> None:
        """Move the study, or the chosen series of it, to the trash."""
        page = self.query_one(StudyPagePanel)
        if page.detail is None:
            return
        row = page.detail.row
        chosen = next((each for each in page.detail.series if each.series == page.cursor), None)
        space_work.delete_part(self.console_app, row, chosen, self._deleted)

    def action_pin(self) -> None:
        """Pin the study, or take the pin off."""
        page = self.query_one(StudyPagePanel)
        if page.detail is not None:
            space_work.pin(self.console_app, page.detail.row, self.action_refresh)

    # corrections

    def action_pick(self) -> None:
        """Pick the chosen series, or let it go."""
        page = self.query_one(StudyPagePanel)
        if isinstance(page.cursor, str):
            page.picked ^= {page.cursor}
            page.action_move(1)
            page.redraw()

    def action_assign(self) -> None:
        """Give the study to an order or patient."""
        page = self.query_one(StudyPagePanel)
        if page.detail is not None:
            correction_work.assign(self.console_app, page.detail.row, self._corrected)

    def action_edit(self) -> None:
        """Change what the study, or what is picked of it, says."""
        page = self.query_one(StudyPagePanel)
        if page.detail is not None:
            correction_work.edit(self.console_app, page.detail, page.chosen, self._corrected)

    def action_split(self) -> None:
        """Take what is picked out into a study of its own."""
        page = self.query_one(StudyPagePanel)
        if page.detail is not None:
            correction_work.split(self.console_app, page.detail.row, page.chosen, self._corrected)

    def action_merge(self) -> None:
        """Put the study into another one."""
        page = self.query_one(StudyPagePanel)
        if page.detail is not None:
            correction_work.merge(self.console_app, page.detail.row, self._corrected)

    def action_move_series(self) -> None:
        """Move what is picked into another study."""
        page = self.query_one(StudyPagePanel)
        if page.detail is not None:
            correction_work.move(self.console_app, page.detail.row, page.chosen, self._corrected)

    def action_reject(self) -> None:
        """Reject the study, or what is picked of it."""
        page = self.query_one(StudyPagePanel)
        if page.detail is not None:
            correction_work.reject(self.console_app, page.detail.row, page.chosen, self._corrected)

    def action_corrected(self) -> None:
        """List the corrections of this study."""
        from screens.corrections import CorrectionsScreen

        if self.console_app.allowed("corrections.list_all"):
            self.console_app.go(CorrectionsScreen(self._study))

    def action_merges(self) -> None:
        """List the merges of this study's patient."""
        merge_work.open_list(self.console_app, study=self._study)

    def _corrected(self) -> None:
        page = self.query_one(StudyPagePanel)
        page.picked.clear()
        self._deleted()

    def _deleted(self) -> None:
        """Show what is left of it, which may be nothing."""
        page = self.query_one(StudyPagePanel)
        page.detail, page.missing = None, ()
        self.action_refresh()

    async def _load(self) -> None:
        page = self.query_one(StudyPagePanel)
        app = self.console_app
        try:
            page.detail = await app.client.studies.show(self._study)
            page.fault = None
            row = page.detail.row
            app.privacy.learn((row.patient_name, row.patient_id, row.accession))
            if page.detail.missing:
                page.redraw()
                page.missing = await app.client.storage.missing(limit=LISTED, study=self._study)
        except PacsError as error:
            page.fault = error if page.detail is None else None
        except OSError as error:
            page.fault = PacsError("the node did not answer", str(error)) if page.detail is None else None
        finally:
            self._busy = False
        page.redraw()
