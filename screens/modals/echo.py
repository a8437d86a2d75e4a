"""A C-ECHO to a peer, step by step."""

from __future__ import annotations

from collections.abc import Sequence

from pacstui.contract.peers import EchoResult, PeerRow
from pacstui.errors import PacsError
from pacstui.text import safe
from screens.modals.page import Page
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Section, words

STEPS = ("name", "TCP", "association", "echo")


class Echo(Page):
    """Shows each step as done or failed; where it failed, what to ask the other side."""

    FOOT = "y copy, esc back"

    def __init__(self, peer: PeerRow) -> None:
        super().__init__()
        self._peer = peer
        self._result: EchoResult | None = None
        self._fault = ""

    def on_mount(self) -> None:
        """Begin."""
        self.console_app.keep(self._ask())

    async def _ask(self) -> None:
        try:
            self._result = await self.console_app.client.peers.echo(self._peer.name)
        except PacsError as error:
            self._fault = str(error)
        except OSError as error:
            self._fault = f"the node did not answer: {error}"
        if self.is_attached:
            self.renew()

    def sections(self, width: int) -> Sequence[Section]:
        peer, result = self._peer, self._result
        title = Line("Echo ", "focus-title").add(safe(peer.name, 32), "strong")
        where = Line(f"{safe(peer.ae_title, 32)} at {safe(peer.host, 64)}:{peer.port}", "dim")
        if self._fault:
            return [Section(title, [Item([where, *words(f"x {safe(self._fault, 400)}", width, "fail", 2)])])]
        lines = [where, Line()]
        done = {step.name: step for step in result.steps} if result else {}
        names = list(done) if result else list(STEPS)
        for name in names:
            step = done.get(name)
            if step is None:
                lines.append(Line("  ").add(fit(name, 13), "dim").add("asking", "dim"))
                continue
            mark = ("ok ", "good") if step.ok else ("x  ", "fail")
            first = Line(*mark).add(fit(safe(name, 16), 13), "text").add(f"{step.milliseconds:7.1f} ms  ", "dim")
            lines.extend(words(safe(step.detail, 300), width, "text" if step.ok else "fail", first.width, first))
        sections = [Section(title, [Item(lines)])]
        if result is not None:
            word = Line(f"ok in {result.milliseconds:.1f} ms", "good") if result.ok else Line("x failed", "fail")
            items = [word]
            if result.hint:
                items.extend(words(safe(result.hint, 600), width, "strong", 2, Line("> ", "accent")))
            sections.append(Section(Line("Result", "title"), [Item(items)]))
        return sections
