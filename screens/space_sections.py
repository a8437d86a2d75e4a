"""The storage page's parts on room, trash and rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pacstui.contract.space import PurgePlan, SpaceView, TrashRow
from pacstui.text import count, plural, safe, size
from screens.privacy import Privacy
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Section, words


def room(view: SpaceView, width: int) -> list[Line]:
    """Return how full the volume is, and what happens next, in words."""
    over = view.used_percent >= view.warn_percent
    told = f"{view.used_percent:.0f}% in use; {safe(view.next_step, 300)}"
    lines = words(told, width, "warn" if over else "text", 11, Line(fit("room", 11), "dim"))
    if view.broken:
        told = f"{plural(view.broken, 'object')} missing or damaged: m gets them from backups and peers"
        lines += words(told, width, "fail", 11, Line(fit("broken", 11), "dim"))
    if view.pinned:
        told = f"{plural(view.pinned, 'study', 'studies')} that no rule purges: pacstui space pins; p at a study"
        lines += words(told, width, "text", 11, Line(fit("pinned", 11), "dim"))
    return lines


def trash(view: SpaceView, rows: Sequence[TrashRow], width: int, privacy: Privacy, now: datetime) -> Section:
    """Return what was deleted and can come back."""
    title = Line("Trash  ", "title").add(count(view.trash_entries), "strong")
    if not view.trash_entries:
        told = (
            "Empty. What is deleted (D at a study) or purged by a rule stays here for "
            f"{plural(view.trash_days, 'day')} and can be brought back."
        )
        return Section(title, [Item(words(told, width, "dim"))])
    title.add(f"  {size(view.trash_bytes)}", "dim")
    items = []
    for row in rows:
        first = Line(f"{row.at.astimezone():%d %b %H:%M} ", "dim")
        first.add(fit(privacy.name(row.patient_name), 16), "strong")
        first.add(" ").add(fit(safe(row.description, 64) or "(no description)", 18)).add(" ")
        first.add(f"{row.level} of {plural(row.instances, 'image')}, {size(row.bytes)}")
        who = f"rule {safe(row.rule, 64)}" if row.rule else f"by {safe(row.by, 64)}"
        why = safe(row.problem, 200) or privacy.sentence(row.why)
        days = max(0, (row.until - now).days)
        second = Line(" " * 13).add(f"{row.id}  {who}{f': {why}' if why else ''}", "warn" if row.problem else "dim")
        second = second.cut(max(1, width - 18))
        second.add(f"; goes in {plural(days, 'day')}", "dim")
        items.append(Item([first.cut(width), second.cut(width)], ("trash", row.id)))
    more = view.trash_entries - len(rows)
    if more > 0:
        items.append(Item([Line(f"and {count(more)} more: pacstui space trash", "dim")]))
    return Section(title, items, Line("u: brings it back", "dim"))


def rules(view: SpaceView, plan: PurgePlan | None, width: int) -> Section:
    """Return the rules, and what they would purge now."""
    title = Line("Rules  ", "title").add(count(len(view.rules)), "strong")
    if not view.rules:
        told = "None: nothing is ever purged by itself. Rules are written as [[space.rules]]: docs/operations.md."
        return Section(title, [Item(words(told, width, "dim"))])
    lines = []
    for rule in view.rules:
        start = Line(f"{safe(rule.name, 64)}: ", "strong")
        lines += words(safe(rule.told, 300), width, "text", 2, start)
    if plan is not None:
        going = f"now {plural(plan.studies, 'study', 'studies')}, {size(plan.bytes)}, would go"
        kept = f"; {count(plan.kept)} stay for another reason" if plan.kept else ""
        lines += words(f"{going}{kept}: v lists them", width, "warn" if plan.studies else "dim")
    if view.purge_last:
        lines += words(f"last: {safe(view.purge_last, 300)}", width, "dim")
    if view.purge_next is not None:
        lines.append(Line(f"next: {view.purge_next.astimezone():%a %d %b %H:%M}", "dim"))
    return Section(title, [Item(lines)], Line("v: what would go", "dim"))


def summary(plan: PurgePlan | None) -> str:
    """Return in a sentence what a purge would do."""
    if plan is None:
        return "What rules let go is moved to the trash."
    return (
        f"{plural(plan.studies, 'study', 'studies')} with {plural(plan.instances, 'image')} ({size(plan.bytes)}) would "
        f"go now, {count(plan.kept)} stay."
    )
