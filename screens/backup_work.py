"""What is done about a target, from the list and from its page alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from pacstui.contract.backups import BackupsView, LockRow, PrunePlan, SnapshotRow, TargetRow
from pacstui.contract.jobs import RunRow
from pacstui.errors import PacsError
from pacstui.text import ago, count, plural, safe, size
from screens import backup_words
from screens.modals.ask import Ask, Choice
from screens.modals.choose import Choose, Way
from screens.modals.form import Form, Values
from screens.modals.page import Page
from screens.widgets.form import Field
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Section, words

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Done = Callable[[], None]
BEGINS = "Enter begins it, esc back"


def start(app: ConsoleApp, call: Callable[[], Awaitable[Any]], said: str, done: Done) -> None:
    """Do what was decided; say that it has begun, or why it has not."""

    async def work() -> None:
        answer = await app.fetch(_given(call))
        if answer is not None:
            app.say(said)
            done()

    app.keep(work())


async def _given(call: Callable[[], Awaitable[Any]]) -> Any:
    answer = await call()
    return True if answer is None else answer


def node_time(app: ConsoleApp) -> datetime:
    """Return the node's time, as far as it is known."""
    return app.view.at if app.view is not None else app.now()


def ask(app: ConsoleApp, title: str, text: Sequence[str], no: str, yes: str, do: Callable[[], None]) -> None:
    """Ask, the safe answer first; ``do`` it after a yes."""
    choices = [Choice("no", no, safe=True), Choice("yes", yes)]
    app.push_screen(Ask(title, text, choices), lambda answer: do() if answer == "yes" else None)


def whole(text: str, least: int, most: int, what: str) -> int:
    """Return a whole number that was typed.

    Raises
    ------
    PacsError
        When it is none, or out of bounds.
    """
    try:
        number = int(text.replace(",", "").strip())
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise PacsError(f"{what} is a whole number from {least:,} to {most:,}")
    return number


def back_up(app: ConsoleApp, row: TargetRow, view: BackupsView | None, done: Done) -> None:
    """Back up now; where something runs on the target, say what."""
    name = safe(row.name, 64)
    if row.run:
        run = next((each for each in view.running if each.id == row.run), None) if view is not None else None
        what = "something runs there"
        if run is not None:
            what = f"{backup_words.name_of(run, view)} runs, {backup_words.begun(run, node_time(app))}"
        app.say(f"{name} is busy: {what}; c cancels it", "warn")
        return
    start(app, lambda: app.client.backups.run(target=row.name), f"the backup to {name} has begun: see Running", done)


# verify


def verify(app: ConsoleApp, row: TargetRow, view: BackupsView | None, done: Done) -> None:
    """Let choose how deep, saying what each does and costs."""
    name = safe(row.name, 64)
    rate = view.loss.rate_bytes_per_s if view is not None else 0.0
    held = size(row.bytes)
    long = f"; about {backup_words.about(row.bytes / rate)} at {size(rate)}/s" if rate and row.bytes else ""
    ways = [
        Way("quick", "quick", "Is every object there, and as long as it was? Reads lists, no contents. Cheap: do it "
            "any time. Does not find bytes that went bad."),
        Way("sample", "sample", "quick, and some percent of the objects are read back and their digests compared. "
            "Costs that part of a full one. You are asked how many percent."),
        Way("full", "full", f"Everything is read back and every digest compared: {held}{long}. Loads the target and "
            "the way to it; the only one that proves every byte."),
    ]  # fmt: skip

    def begin(depth: str, percent: float = 5.0) -> Awaitable[RunRow]:
        call: Awaitable[RunRow] = (
            app.client.backups.verify(target=row.name, depth=depth, percent=percent) if depth == "sample"
            else app.client.backups.verify(target=row.name, depth=depth)
        )  # fmt: skip
        return call

    def chosen(depth: str) -> None:
        if depth != "sample":
            start(app, lambda: begin(depth), f"{name} is being verified ({depth}): see Running", done)
            return

        async def send(values: Values) -> bool:
            await begin("sample", float(whole(values["percent"], 1, 100, "the percentage")))
            return True

        def begun(yes: bool | None) -> None:
            if yes:
                app.say(f"{name} is being verified (sample): see Running")
                done()

        field = Field("percent", "percent", "5", note="of all objects; other ones each time")
        app.push_screen(Form(f"Verify a sample of {name}", [field], send, foot=BEGINS), begun)

    app.push_screen(Choose(f"Verify {name}: how deep?", ["Enter begins it; c cancels it again."], ways, chosen))


# drill


def drill(app: ConsoleApp, row: TargetRow, snapshot: SnapshotRow | None, done: Done) -> None:
    """Rehearse a restore of the chosen snapshot, else of the latest."""
    name = safe(row.name, 64)
    which = f"of {snapshot.at.astimezone():%Y-%m-%d %H:%M}" if snapshot is not None else "the latest"
    intro = (
        f"Brings some instances back from {name} (snapshot: {which}) into a scratch folder, compares them with what "
        "was stored, and removes them again. Nothing of the archive is touched. It tells whether a restore would work "
        "and how long one takes."
    )

    async def send(values: Values) -> bool:
        number = whole(values["instances"], 1, 1_000_000, "the number of instances")
        more = {"snapshot": snapshot.id} if snapshot is not None else {}
        await app.client.backups.drill(target=row.name, instances=number, **more)
        return True

    def begun(yes: bool | None) -> None:
        if yes:
            app.say(f"the drill on {name} has begun: see Running")
            done()

    fields = [Field("instances", "instances", "200", note="more of them measure the speed better and take longer")]
    app.push_screen(Form(f"Rehearse a restore from {name}", fields, send, intro=intro, foot=BEGINS), begun)


# cancel


def cancel(app: ConsoleApp, run: RunRow, name: str, done: Done) -> None:
    """Ask whether to cancel a run."""
    part = backup_words.part_done(run)
    far = f", {part * 100:.0f}% done" if part is not None else ""
    consequence = {
        "backup": "There will be no snapshot of it; the target stays as late as it is.",
        "restore": "What was brought back so far stays where it is.",
    }.get(run.kind, "")
    since = backup_words.begun(run, node_time(app))
    text = [f"{since[:1].upper()}{since[1:]}{far}.", "It ends at the next safe point.", consequence]
    said = f"{name} is told to end; it does so at the next safe point"
    call = lambda: app.client.jobs.cancel(id=run.id)  # noqa: E731
    ask(app, f"Cancel {name}?", text, "let it run", "cancel it", lambda: start(app, call, said, done))


# prune


class PrunePage(Page):
    """Which snapshots would go, and which rules keep the others."""

    FOOT = "p removes them, after a question; esc back"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("p", "prune", show=False)]

    def __init__(self, plan: PrunePlan, done: Done) -> None:
        super().__init__()
        self._plan, self._done = plan, done
        if not plan.remove:
            self.FOOT = "esc back"

    def sections(self, width: int) -> Sequence[Section]:
        plan, now = self._plan, node_time(self.console_app)
        title = Line("Prune ", "focus-title").add(safe(plan.target, 64), "strong")
        lines = []
        if plan.remove:
            told = f"{plural(len(plan.remove), 'snapshot')} would go, {size(plan.bytes)} would be free; "
            lines += words(f"{told}{count(len(plan.keep))} stay", width, "strong")
        else:
            lines += words("= Nothing to remove: a rule keeps every snapshot.", width, "good", 2)
        lines += words(f"rules: {safe(plan.rules, 400)}", width, "dim")
        sections = [Section(title, [Item(lines)])]
        for heading, rows, role in (("Would go", plan.remove, "warn"), ("Stay", plan.keep, "strong")):
            if rows:
                items = [Item([self._line(row, now, width)], (heading, row.id)) for row in rows]
                sections.append(Section(Line(f"{heading}  ", "title").add(count(len(rows)), role), items))
        return sections

    def _line(self, row: SnapshotRow, now: datetime, width: int) -> Line:
        line = Line(fit(backup_words.stamp(row.at, now), 14)).add(f"{count(row.instances):>11} instances", "dim")
        line.add(f"{size(row.bytes):>9}  ", "dim").add(fit(safe(row.by, 32), 9), "dim").add("  ")
        return line.add(backup_words.keeps(row) or "no rule", "text" if row.keeps else "warn-text").cut(width)

    def action_prune(self) -> None:
        """Ask, and remove."""
        app, plan = self.console_app, self._plan
        if not plan.remove:
            app.say("there is nothing to remove: a rule keeps every snapshot")
            return
        if not app.allowed("backups.prune"):
            return
        name, number = safe(plan.target, 64), plural(len(plan.remove), "snapshot")
        text = ["What only they have cannot be brought back from here afterwards. The archive is not touched."]

        def do() -> None:
            self.dismiss()
            call = lambda: app.client.backups.prune(target=plan.target)  # noqa: E731
            start(app, call, f"{name} is being pruned: see Running", self._done)

        ask(app, f"Remove {number} from {name}?", text, "keep them", f"remove {number}", do)


def prune(app: ConsoleApp, row: TargetRow, done: Done) -> None:
    """Show the plan first."""

    async def look() -> None:
        plan = await app.fetch(app.client.backups.prune_plan(target=row.name))
        if plan is not None:
            app.push_screen(PrunePage(plan, done))

    app.keep(look())


# lock


def lock_lines(lock: LockRow, now: datetime, width: int) -> list[Line]:
    """Return who holds a target, since when, and whether that one is taken for gone."""
    lines: list[Line] = []

    def fact(label: str, text: str, role: str = "text") -> None:
        lines.extend(words(text, width, role, 10, Line(fit(label, 10), "dim")))

    fact("holder", safe(lock.holder, 200), "strong")
    fact("does", safe(lock.what, 200))
    fact("since", f"{lock.since.astimezone():%Y-%m-%d %H:%M:%S}, {ago(lock.since, now)}")
    fact("seen", f"{lock.seen.astimezone():%Y-%m-%d %H:%M:%S}, {ago(lock.seen, now)}")
    if lock.stale:
        fact("stale", f"! {safe(lock.stale, 400)}", "warn")
    return lines


class LockPage(Page):
    """Who holds a target."""

    FOOT = "u removes a stale lock, after a question; esc back"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("u", "unlock", show=False)]

    def __init__(self, lock: LockRow, done: Done) -> None:
        super().__init__()
        self._lock, self._done = lock, done

    def sections(self, width: int) -> Sequence[Section]:
        lock = self._lock
        lines = lock_lines(lock, node_time(self.console_app), width)
        told = (
            "If you know that nothing works there any more, u removes the lock." if lock.stale
            else "It is at work: let it finish. Its lock is not to be removed."
        )  # fmt: skip
        lines += [Line(), *words(told, width, "strong", 2, Line("> ", "accent"))]
        return [Section(Line("Who works on ", "focus-title").add(safe(lock.target, 64), "strong"), [Item(lines)])]

    def action_unlock(self) -> None:
        """Ask, and remove the lock."""
        app, lock = self.console_app, self._lock
        if not lock.stale:
            app.say("its holder is at work: the lock stays", "warn")
            return
        if not app.allowed("backups.unlock"):
            return
        name = safe(lock.target, 64)
        text = [
            f"{safe(lock.holder, 100)} holds it: {safe(lock.stale, 200)}.",
            "If it works on after all, both write at once, and the target may be damaged.",
        ]

        def do() -> None:
            self.dismiss()
            call = lambda: app.client.backups.unlock(target=lock.target)  # noqa: E731
            start(app, call, f"the lock on {name} is removed: b backs up again", self._done)

        ask(app, f"Remove the lock on {name}?", text, "leave it", "remove the lock", do)


def unlock(app: ConsoleApp, row: TargetRow, done: Done) -> None:
    """Show who holds the target; a stale lock can be removed from there."""

    async def look() -> None:
        try:
            lock = await app.client.backups.lock(target=row.name)
        except (PacsError, OSError, TimeoutError) as error:
            app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
            return
        if lock is None:
            app.say(f"nobody holds {safe(row.name, 64)}: there is no lock to remove")
        else:
            app.push_screen(LockPage(lock, done))

    app.keep(look())
