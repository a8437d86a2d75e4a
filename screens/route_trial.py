"""A dry run: which of the studies that came lately a route would have sent, and where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.routes import PlannedSending, RouteTrial
from pacstui.errors import PacsError
from pacstui.text import count, plural, safe, size
from screens import keymap
from screens.base import ConsoleScreen
from screens.job_cells import when
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
SPANS = (1.0, 24.0, 7 * 24.0, 31 * 24.0)
_SPOKEN = {1.0: "the last hour", 24.0: "the last day", 7 * 24.0: "the last 7 days", 31 * 24.0: "the last 31 days"}
COLUMNS = (
    C("received", 11),
    C("patient", 12, grow=3, most=40, role="strong"),
    C("ID", 8, grow=1, rank=5, most=20),
    C("mod", 4),
    C("study", 12, grow=4, most=64),
    C("from", 8, rank=3, most=16),
    C("objects", 13, align=">"),
    C("size", 7, align=">", rank=4),
    C("to", 10, grow=2, most=40),
)


class TrialScreen(ConsoleScreen):
    """What a route would have sent.

    Parameters
    ----------
    name
        The route's, as it is shown.
    call
        Asks the node about so many hours.
    """

    TITLE_WORDS = "Dry run"
    ABOUT = (
        "Nothing is sent. The route is held against what came lately, as if it had been there then: a row for each "
        "study of which it would have sent something, with how many of its objects, and where to. w looks at a longer "
        "time, W at a shorter one. To which of our AE titles something was sent is not remembered, so that condition "
        "counts as fulfilled. Enter shows the study."
    )
    KEYS = (
        keymap.Key("w", "longer", "Look at a longer time", "span(1)", weight=0),
        keymap.Key("W", "shorter", "Look at a shorter time", "span(-1)"),
    )

    def __init__(self, name: str, call: Callable[[float], Awaitable[RouteTrial]]) -> None:
        super().__init__()
        self._name, self._call = name, call
        self._hours = 24.0
        self._turn = 0

    def body(self) -> Iterable[Widget]:
        table: RowTable[PlannedSending] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: (r.study, r.calling),
            lambda r: f"{r.patient_name} {r.patient_id} {r.modalities} {r.description} {r.calling} {' '.join(r.to)}",
            id="trial",
        )
        table.title = Line("Dry run", "title")
        table.empty = ["asking the node"]
        yield table

    def _cells(self, row: PlannedSending) -> Sequence[cols.Cell]:
        privacy, now = self.console_app.privacy, self.console_app.now()
        part = count(row.instances) if row.instances == row.of else f"{count(row.instances)} of {count(row.of)}"
        return (
            when(row.received, now),
            privacy.name(row.patient_name),
            privacy.ident(row.patient_id, "(none)"),
            safe(row.modalities, 12) or "-",
            safe(row.description, 128) or ("(no description)", "dim"),
            safe(row.calling, 16),
            part,
            size(row.bytes),
            ", ".join(safe(to, 64) for to in row.to),
        )

    def on_mount(self) -> None:
        """Ask the node."""
        super().on_mount()
        self._begin()

    def show(self, view: View) -> None:
        """What stands here is of the moment at which it was asked."""

    def _begin(self) -> None:
        self._turn += 1
        table = self.query_one(RowTable)
        table.title = Line("Dry run  ", "title").add(f"looking at {_SPOKEN[self._hours]}", "accent")
        table.redraw()
        self.console_app.keep(self._load(self._turn))

    async def _load(self, turn: int) -> None:
        app = self.console_app
        table = self.query_one(RowTable)
        try:
            found = await self._call(self._hours)
        except (PacsError, OSError, TimeoutError) as error:
            if turn == self._turn and self.is_attached:
                table.title = Line("Dry run", "title")
                hint = error.hint if isinstance(error, PacsError) else ""
                message = error.message if isinstance(error, PacsError) else f"the node did not answer: {error}"
                table.empty = [f"x {safe(message, 300)}", safe(hint, 300)]
                table.show(())
            return
        if turn != self._turn or not self.is_attached:
            return
        app.privacy.learn(text for row in found.rows for text in (row.patient_name, row.patient_id))
        number = sum(row.instances for row in found.rows)
        title = Line(f"{safe(self._name, 24)}  ", "focus-title").add(plural(number, "object"), "strong")
        title.add(f" of {count(len(found.rows))} of the {plural(found.studies, 'study', 'studies')}", "title")
        if found.cut:
            title.add("  ! cut: too much to look at", "warn")
        table.title = title
        table.note = Line(_SPOKEN[self._hours], "dim")
        table.empty = (
            [f"Nothing of {plural(found.studies, 'study', 'studies')}: no condition fits, or they came from there."]
            if found.studies
            else [f"Nothing came in {_SPOKEN[self._hours]}: w looks at a longer time."]
        )
        table.show(found.rows)

    def action_span(self, by: int) -> None:
        """Look at another time."""
        at = SPANS.index(self._hours) + by
        if 0 <= at < len(SPANS):
            self._hours = SPANS[at]
            self._begin()
        else:
            self.console_app.say(f"{_SPOKEN[self._hours]} is the {'longest' if by > 0 else 'shortest'}")

    @on(RowTable.Chosen)
    def _open(self, event: RowTable.Chosen) -> None:
        from screens.study import StudyScreen

        if isinstance(event.id, tuple):
            self.console_app.go(StudyScreen(str(event.id[0])))
