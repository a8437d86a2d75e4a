"""A test of a peer, live: each step, where it fails, what that means, and what to ask the other side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.timer import Timer
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.peers import TestView
from pacstui.errors import PacsError
from pacstui.text import safe
from screens import keymap
from screens import peer_cells as cells
from screens.base import ConsoleScreen
from screens.modals.ask import Ask, Choice
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words

_EVERY_S = 0.25
_MARKS = {
    "ok": ("ok ", "good"), "warn": ("!  ", "warn"), "fail": ("x  ", "fail"), "runs": (">  ", "accent"),
    "waits": (".  ", "dim"), "skipped": ("-  ", "dim"),
}  # fmt: skip


class TestPanel(Panel):
    """The steps, and what they came to."""

    __test__ = False

    def __init__(self, screen: PeerTestScreen) -> None:
        super().__init__(id="test")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        of, view = self._of, self._of.test
        title = Line("Test of ", "focus-title").add(safe(of.peer, 64), "strong")
        if of.fault:
            return [Section(title, [Item(words(f"x {safe(of.fault, 400)}", width, "fail", 2))])]
        if view is None:
            return [Section(title, [Item([Line("asking the node", "dim")])])]
        if view.running:
            note = Line("running", "accent")
        else:
            note = Line(f"x fails at {view.failed}", "fail") if view.failed else Line("everything went well", "good")
            if not view.failed and any(step.state == "warn" for step in view.steps):
                note = Line("it works; look at the !", "warn-text")
        sections = [Section(title, [Item(self._steps(view, width))], note)]
        if view.failed:
            means = words(safe(view.meaning, 500), width, "strong")
            sections.append(Section(Line("What that means", "title"), [Item(means)]))
            letter = [line for text in view.letter.split("\n") for line in words(safe(text, 1000), width)]
            copy = Line("y copies this text", "key")
            sections.append(Section(Line("What to ask its administrator", "title"), [Item(letter)], copy))
        elif view.takes:
            lines = cells.negotiated(view.takes, width)
            sections.append(Section(Line("What it accepts from us", "title"), [Item(lines)]))
        return sections

    @staticmethod
    def _steps(view: TestView, width: int) -> list[Line]:
        lines = []
        for step in view.steps:
            mark, role = _MARKS.get(step.state, ("?  ", "dim"))
            quiet = step.state in ("waits", "skipped")
            first = Line(mark, role).add(fit(step.name, 17), "dim" if quiet else "text")
            first.add(f"{step.milliseconds:9.1f} ms  " if step.milliseconds else " " * 14, "dim")
            told = safe(step.detail, 300) or ("" if not quiet else step.state)
            lines.extend(words(told, width, {"fail": "fail", "warn": "warn-text"}.get(step.state, "text"), 4, first))
        return lines

    def copied(self) -> str:
        view = self._of.test
        return view.letter if view is not None and view.letter else super().copied()


class PeerTestScreen(ConsoleScreen):
    """A test of one peer."""

    __test__ = False

    TITLE_WORDS = "Test"
    ABOUT = (
        "From the name to what the peer accepts: DNS, TCP, TLS with its certificate, the association, an echo, which "
        "objects and services it takes and in which transfer syntaxes. The first step that fails ends it, with what it "
        "means and a text for the administrator of the other side, which y copies. t tests again. o also stores a test "
        "object there, that says in name, ID and description that it is one."
    )
    KEYS = (
        keymap.acts("peers.test", "test", weight=0),
        keymap.acts("peers.test_object", "store", weight=0),
    )

    def __init__(self, peer: str) -> None:
        super().__init__()
        self.peer = peer
        self.test: TestView | None = None
        self.fault = ""
        self._timer: Timer | None = None
        self._busy = False

    def body(self) -> Iterable[Widget]:
        yield TestPanel(self)

    def on_mount(self) -> None:
        """Begin."""
        super().on_mount()
        self._begin(store=False)

    def show(self, view: View) -> None:
        """What stands here is renewed by the test itself."""

    def _begin(self, *, store: bool) -> None:
        self.fault = ""
        self.test = None
        self.query_one(TestPanel).top = 0
        self.console_app.keep(self._start(store))

    async def _start(self, store: bool) -> None:
        peers = self.console_app.client.peers
        try:
            self.test = await (peers.test_object(self.peer) if store else peers.test(self.peer))
        except PacsError as error:
            self.fault = str(error)
            if error.code == "unavailable":  # it runs already: somebody else began it
                await self._follow()
        except (OSError, TimeoutError) as error:
            self.fault = f"the node did not answer: {error}"
        if not self.is_attached:
            return
        self.query_one(TestPanel).redraw()
        if self.test is not None and self.test.running and self._timer is None:
            self._timer = self.set_interval(_EVERY_S, self._look)

    def _look(self) -> None:
        if not self._busy:
            self._busy = True
            self.console_app.keep(self._follow())

    async def _follow(self) -> None:
        try:
            self.test = await self.console_app.client.peers.tested(self.peer)
            self.fault = ""
        except (PacsError, OSError, TimeoutError) as error:
            self.fault = str(error)
        finally:
            self._busy = False
        if self._timer is not None and (self.test is None or not self.test.running or self.fault):
            self._timer.stop()
            self._timer = None
        if self.is_attached:
            self.query_one(TestPanel).redraw()

    def action_test(self) -> None:
        """Test again."""
        if self.console_app.allowed("peers.test") and not (self.test is not None and self.test.running):
            self._begin(store=False)

    def action_store(self) -> None:
        """Test, and store a test object, after a question."""
        app = self.console_app
        if not app.allowed("peers.test_object") or (self.test is not None and self.test.running):
            return
        text = (
            f"A synthetic image is stored at {safe(self.peer, 64)}: patient TEST^OBJECT, ID PACSTUI-TEST, study "
            '"TEST OBJECT, NO PATIENT, MAY BE DELETED". Somebody has to delete it there; tell them.'
        )

        def answered(answer: str | None) -> None:
            if answer == "yes":
                self._begin(store=True)

        choices = [Choice("no", "store nothing", safe=True), Choice("yes", "store it")]
        app.push_screen(Ask("Store a test object?", [text], choices), answered)
