"""A secret, told once."""

from __future__ import annotations

from collections.abc import Sequence

from pacstui.contract.accounts import Secret
from pacstui.text import plural, safe
from screens.modals.page import Page
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Section, words


class Told(Page):
    """One-time passwords, passcodes and tokens. No password is copied, and none is to be had again; so Enter, which may
    be one too many, does not close it."""

    FOOT = "esc: noted"

    def __init__(self, title: str, secrets: Sequence[Secret], *, copied: bool = False) -> None:
        super().__init__()
        self._copied = copied
        if copied:
            self.FOOT = "y copies it, esc: noted"
        self._title = title
        self._secrets = secrets

    def sections(self, width: int) -> Sequence[Section]:
        first = self._secrets[0]
        items = []
        if len(self._secrets) == 1:
            items.append(Item([Line(), Line("  ").add(safe(first.secret, 80), "strong"), Line()]))
        else:
            longest = min(24, max(len(each.account) for each in self._secrets)) + 2
            for number, each in enumerate(self._secrets):
                line = Line(fit(safe(each.account, 64), longest)).add(safe(each.secret, 80), "strong")
                items.append(Item([line], number))
        told = words(f"{safe(first.text, 300).capitalize()}.", width, "warn-text")
        if first.until is not None:
            told += words(f"Until {first.until.astimezone():%Y-%m-%d %H:%M}.", width, "dim")
        noted = "Put it where it belongs now" if self._copied else "Write it down now"
        told += words(f"{noted}: the node keeps only a digest, and nobody can look it up.", width, "dim")
        many = plural(len(self._secrets), "secret") if len(self._secrets) > 1 else ""
        return [
            Section(Line(safe(self._title, 80), "focus-title"), items),
            Section(Line(many, "title"), [Item(told)]),
        ]

    def action_copy(self) -> None:
        """Copy a token, which nobody could say; not a password."""
        if self._copied:
            self.console_app.copy(self._secrets[0].secret)
            self.console_app.say("the token is copied")  # in the place of the line that shows what was
            return
        self.console_app.say("a password is not copied: write it down, or say it", "warn")
