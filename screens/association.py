"""One association: what was negotiated, what went over it, when; if it was refused, why and what mends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from pacstui.contract.associations import AssociationDetail, ContextRow
from pacstui.contract.overview import View
from pacstui.errors import NotFound, PacsError
from pacstui.text import count, duration, plural, safe, size
from screens import keymap
from screens.abort import abort
from screens.base import ConsoleScreen
from screens.widgets.association_cells import moved, rate, state, who
from screens.widgets.footer import FootLine
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.query_lines import asked

RESULTS = {
    0: ("accepted", "good"),
    1: ("x user rejection", "fail"),
    2: ("x no reason", "fail"),
    3: ("x SOP class not supported", "fail"),
    4: ("x transfer syntaxes not supported", "fail"),
}
LABEL = 10


class AssociationPage(Panel):
    """The page."""

    def __init__(self, ident: int) -> None:
        super().__init__(id="page")
        self.ident = ident
        self.detail: AssociationDetail | None = None
        self.fault: PacsError | None = None

    def sections(self, width: int, height: int) -> Sequence[Section]:
        if self.fault is not None:
            return [
                Section(
                    Line(f"Association {self.ident}", "title"),
                    [
                        Item(
                            [
                                *words(f"x {safe(self.fault.message, 300)}", width, "fail", 2),
                                *words(safe(self.fault.hint, 300), width, "dim"),
                            ]
                        )
                    ],
                )
            ]
        detail = self.detail
        if detail is None:
            return [Section(Line(f"Association {self.ident}", "title"), [Item([Line("asking the node", "dim")])])]
        row = detail.row
        refused = row.state in ("refused", "failed")
        title = Line(safe(detail.title, 120) or state(row)[0], "fail" if refused else "title")
        sections = [Section(title, [Item(self._facts(detail, width))], Line(state(row)[0], state(row)[1]))]
        if detail.remedies:
            lines = [
                line
                for text in detail.remedies
                for line in words(safe(text, 500), width, "strong", 2, Line("> ", "accent"))
            ]
            sections.append(Section(Line("What mends it", "title"), [Item(lines)]))
        moments = self._timeline(detail, width)
        contexts = self._contexts(detail.contexts, width, refused)
        word = "proposed" if refused else "negotiated"
        caller = who(row)
        context_section = Section(
            Line(f"What {caller} {word}", "title") if refused else Line("Presentation contexts", "title"),
            [Item(contexts)],
        )
        if row.state != "failed":
            sections.append(context_section)
        if detail.queries:
            title = Line("What it asked for  ", "title").add(count(len(detail.queries)), "strong")
            lines = asked(detail.queries, width, self.console_app.privacy)
            sections.insert(1 + bool(detail.remedies), Section(title, [Item(lines)]))
        sections.append(Section(Line("Timeline", "title"), [Item(moments)]))
        return sections

    def _facts(self, detail: AssociationDetail, width: int) -> list[Line]:
        row = detail.row
        lines: list[Line] = []

        def fact(label: str, text: str, role: str = "text") -> None:
            lines.extend(words(text, width, role, LABEL, Line(fit(label, LABEL), "dim")))

        refused = row.state in ("refused", "failed")
        times = f", refused {detail.refused_today} times today" if detail.refused_today > 1 else ""
        known = f" (known as {safe(row.peer, 64)})" if row.peer and row.peer != row.calling else ""
        if row.outgoing:
            fact("to", f"{safe(row.called, 32)} (known as {safe(row.peer, 64)}) at {safe(row.address, 46)}", "strong")
            fact("as", safe(row.calling, 32))
        else:
            title = safe(row.calling, 32) or "(no AE title)"
            fact("who", f"{title}{known} from {safe(row.address, 46)}{times}", "strong")
            fact("called", safe(row.called, 32))
        if detail.answer:
            fact("answer", safe(detail.answer, 300), "warn" if refused else "text")
        if not refused:
            doing = f"{safe(row.doing, 16)}, {rate(row.rate)}" if row.state == "open" else f"ended: {safe(row.state)}"
            fact("doing", f"{doing}, for {duration(row.seconds)}")
            failed = f", x {count(row.failed)} failed" if row.failed else ""
            fact(
                "sent" if row.outgoing and row.sent_bytes > row.received_bytes else "stored",
                f"{plural(row.stored, 'instance')}, {size(moved(row))}{failed}",
                "fail" if row.failed else "text",
            )
            if detail.receiving:
                sentence = self.console_app.privacy.sentence(detail.receiving)
                fact("now", f"{sentence}, {size(detail.receiving_bytes)} so far")
            if detail.messages:
                fact("messages", ", ".join(f"{safe(k, 24)} {count(v)}" for k, v in detail.messages.items()))
        if row.state == "failed":
            return lines
        implementation = safe(detail.implementation, 120) or "not named"
        fact("software", f"{implementation}; takes PDUs of {size(detail.max_pdu) if detail.max_pdu else 'any size'}")
        if detail.user:
            fact("user", safe(detail.user, 64))
        return lines

    def _contexts(self, contexts: Sequence[ContextRow], width: int, refused: bool) -> list[Line]:
        if not contexts:
            return [Line("not recorded" if refused else "none", "dim")]
        name = max(16, min(46, width * 2 // 5))
        lines = []
        for context in contexts:
            line = Line(f"{context.id:>3}  ", "dim").add(
                fit(safe(context.abstract_name or context.abstract_syntax), name)
            )
            line.add("  ")
            syntaxes = ", ".join(safe(s, 64) for s in context.proposed)
            if refused:
                line.add(syntaxes, "dim")
            elif context.result == 0:
                line.add("accepted  ", "good").add(safe(context.accepted, 64))
                if width > 110 and len(context.proposed) > 1:
                    line.add(f"  of {syntaxes}", "dim")
            else:
                line.add(*RESULTS.get(context.result, (f"x result {context.result}", "fail")))
                line.add(f"  {syntaxes}", "dim")
            lines.append(line.cut(width))
        return lines

    def _timeline(self, detail: AssociationDetail, width: int) -> list[Line]:
        lines: list[Line] = []
        line = Line()
        last = ""
        for moment in detail.timeline:
            local = moment.at.astimezone()
            full = f"{local:%H:%M:%S}"
            stamp = f".{local:%f}"[:4]
            stamp = stamp if full == last else full + stamp
            last = full
            piece = Line(stamp + " ", "dim").add(safe(moment.text, 200))
            if line.width and line.width + 3 + piece.width > width:
                lines.append(line)
                line = Line()
            if line.width:
                line.add("   ")
            line.extend(piece)
        if line.width:
            lines.append(line.cut(width))
        return lines or [Line("nothing recorded", "dim")]


class AssociationScreen(ConsoleScreen):
    """One association."""

    ABOUT = (
        "What this association negotiated and did, kept for a while after it ended; of queries what was asked for, "
        "with which values, and how many answers there were. For a refused one: the answer that the caller got, with "
        "its codes (result/source/reason, PS3.8 9.3.4), and what mends it on either side. p adds a caller that is no "
        "peer as one."
    )
    KEYS = (
        keymap.acts("associations.abort", "abort"),
        keymap.acts("peers.add", "admit", key="p"),
    )

    def __init__(self, ident: int) -> None:
        super().__init__()
        self._ident = ident
        self._busy = False

    def body(self) -> Iterable[Widget]:
        yield AssociationPage(self._ident)

    def show(self, view: View) -> None:
        page = self.query_one(AssociationPage)
        done = page.detail is not None and page.detail.row.state != "open"
        if not self._busy and not done and page.fault is None:
            self._busy = True
            self.console_app.keep(self._load(page))
        page.redraw()

    async def _load(self, page: AssociationPage) -> None:
        app = self.console_app
        try:
            page.detail = await app.client.associations.show(self._ident)
        except NotFound as error:
            page.fault = error
        except (PacsError, OSError) as error:
            if page.detail is None:
                page.fault = error if isinstance(error, PacsError) else PacsError("the node did not answer", str(error))
        finally:
            self._busy = False
        if page.detail is not None and page.detail.row.state != "open":
            self.query_one(FootLine).keys = self.KEYS[1:] if self._stranger(page.detail) else ()
            self.chrome()
        page.redraw()

    @staticmethod
    def _stranger(detail: AssociationDetail) -> bool:
        """Return whether a caller is no peer, and could be made one."""
        row = detail.row
        return not row.peer and not row.outgoing and bool(row.calling)

    def action_admit(self) -> None:
        """Add the caller as a peer, with what is known of it."""
        app, detail = self.console_app, self.query_one(AssociationPage).detail
        if detail is None:
            return
        if not self._stranger(detail):
            app.say(f"{detail.row.peer or 'who called'} is a peer already, or gave no AE title")
            return
        from screens import peer_work

        title, host = safe(detail.row.calling, 32), detail.row.address.rpartition(":")[0].strip("[]")
        peer_work.add(app, lambda name: None, name=title, ae_title=title, host=host)

    def action_abort(self) -> None:
        """Abort it."""
        detail = self.query_one(AssociationPage).detail
        if detail is not None:
            abort(self.console_app, detail.row)
