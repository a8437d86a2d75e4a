"""Setting up a second factor: the secret, as a QR code too, a first code, and the recovery codes, told once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.geometry import Size

from pacstui.contract.accounts import Enrolment, RecoveryCodes
from pacstui.errors import PacsError, Unconfirmed
from pacstui.qr import half_blocks
from pacstui.text import safe
from screens.modals.ask import Ask, Choice
from screens.modals.barrier import Barrier, known_as
from screens.modals.form import FormPage, Values
from screens.modals.page import Page
from screens.widgets.form import CODE, Field, FormPanel
from screens.widgets.line import Line
from screens.widgets.panel import Item, Section, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacstui.contract.accounts import Me
    from screens.app import ConsoleApp
    from screens.door import Door

_LEAST = 24
"""Cells beside the QR code that the words need."""


def code_lines(told: RecoveryCodes, width: int) -> list[Line]:
    """Return recovery codes, two in a line, and what they are."""
    codes = [safe(code, 40) for code in told.codes]
    lines = [Line()]
    for one, other in zip(codes[::2], codes[1::2], strict=False):
        lines.append(Line("  ").add(one, "strong").add("   ").add(other, "strong"))
    text = f"{safe(told.text, 200).capitalize()}. Write them down, and keep them apart from the device."
    return [*lines, Line(), *words(text, width, "warn-text")]


class SetUpPanel(FormPanel, inherit_bindings=False):
    """The form beside the QR code; later the recovery codes."""

    def __init__(self, title: str, intro: str, foot: str) -> None:
        super().__init__(title, intro, [], foot)
        self.begun: Enrolment | None = None
        self.told: RecoveryCodes | None = None
        self._picture: list[str] = []
        self.styles.width = 80

    def begin(self, begun: Enrolment) -> None:
        """Show a secret and ask for a code of it."""
        self.begun, self._picture = begun, half_blocks(begun.uri)
        self.ask([Field(CODE, "code")])

    def ask(self, fields: list[Field]) -> None:
        """Ask for other things."""
        self.fields, self.at, self.caret, self.fault = fields, 0, 0, ""
        self.cursor = fields[0].name if fields else None
        self.renew()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return sum(len(item.lines) for item in self._items(max(1, width - 4))) + 2

    def _items(self, width: int) -> list[Item]:
        if self.told is not None:
            return [Item([*words("Your second factor is on.", width), *code_lines(self.told, width)])]
        begun = self.begun
        if begun is None:
            return super()._items(width)
        picture = self._picture if width >= len(self._picture[0]) + 2 + _LEAST and self._tall() else []
        room = width - len(picture[0]) - 2 if picture else width
        text = "with an app for one-time codes (TOTP), or enter the secret:" if picture else "in an app for TOTP:"
        head = words(f"{'Scan this ' if picture else 'Enter the secret '}{text}", room)
        groups = begun.secret.split()
        each = max(1, min(4, (room - 2) // 5))
        secret = [" ".join(groups[at : at + each]) for at in range(0, len(groups), each)]
        head += [Line(), *(Line(f"  {part}", "strong") for part in secret), Line()]
        head += [*words("Then the code that it shows switches it on.", room), Line()]
        form = super()._items(room)
        items = [*form[:1], Item(head), *form[1:]] if self.intro else [Item(head), *form]
        return _beside(picture, items) if picture else items

    def _tall(self) -> bool:
        return self.screen.size.height >= len(self._picture) + 2


def _beside(picture: list[str], items: list[Item]) -> list[Item]:
    rows = [(line, item.id) for item in items for line in item.lines]
    rows += [(Line(), None)] * (len(picture) - len(rows))
    blank = " " * len(picture[0])
    return [
        Item([Line(picture[at], "qr") if at < len(picture) else Line(blank)], ident)
        if not line.width else
        Item([(Line(picture[at], "qr") if at < len(picture) else Line(blank)).add("  ").extend(line)], ident)
        for at, (line, ident) in enumerate(rows)
    ]  # fmt: skip


class _SettingUp(FormPage):
    """What both pages do: begin, where needed after the password, take a code, tell the recovery codes."""

    panel: SetUpPanel

    @property
    def _door(self) -> Door:
        return self.console_app.door

    def on_mount(self) -> None:
        """Ask the node for a secret."""
        self.console_app.keep(self._begin())

    async def _begin(self) -> None:
        self.panel.busy = "asking the node"
        try:
            self.panel.begin(await self._door.accounts.begin_totp())
        except Unconfirmed:
            me = self._door.me
            password = Field("password", "password", secret=True)
            fields = [password] if me is None or me.lockable else [Field(CODE, "code")]
            self.panel.intro = "To change your second factor takes your password once more."
            self.panel.ask(fields)
        except PacsError as error:
            self.panel.tell(safe(f"{error.message}: {error.hint}", 600))
        except (OSError, TimeoutError) as error:
            self.panel.tell(safe(f"the node did not answer: {error}", 300))
        self.panel.busy = ""
        self.panel.renew()

    async def _take(self, values: Values) -> bool:
        if self.panel.begun is None:
            await self._door.accounts.confirm(values.get("password", ""), values.get(CODE, ""))
            self.panel.intro = ""
            await self._begin()
            return False
        try:
            self.panel.told = await self._door.accounts.finish_totp(values[CODE])
        except PacsError:
            self.panel.fields[0].value, self.panel.caret = "", 0
            raise
        self.panel.foot = "esc: noted"
        self.panel.ask([])
        return True

    def done(self, answer: Any) -> None:
        """Stay: the recovery codes are told now."""
        self.panel.renew()


class SetUpForm(_SettingUp):
    """Over a screen, for somebody who wants one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "cancel", show=False)]

    def __init__(self) -> None:
        super().__init__("", "", [], "", self._take)
        self.panel = SetUpPanel("A second factor", "", "Enter switches it on, esc leaves it as it is")

    def action_cancel(self) -> None:
        """Leave; with the codes told the console knows of them."""
        if not self.panel.busy:
            self.console_app.keep(self._door.ask())
            self.dismiss(None)


class SetUp(Barrier, _SettingUp):
    """In place of everything, for somebody who must have one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "leave", show=False)]

    def __init__(self, door: Door, me: Me) -> None:
        super().__init__(door, "", "", [], "", self._take_it)
        intro = f"Welcome, {known_as(me)}. This node asks you for a second factor."
        self.panel = SetUpPanel("A second factor", intro, "Enter switches it on, esc signs out")

    async def _take_it(self, values: Values) -> bool:
        self.holds = self.panel.begun is not None
        try:
            return await self._take(values)
        finally:
            self.holds = self.panel.told is not None

    def done(self, answer: Any) -> None:
        """Stay: the recovery codes are told now."""
        self.panel.renew()

    def action_leave(self) -> None:
        """Go on once it is set up; else be nobody again."""
        if self.panel.busy:
            return
        self.holds = False
        self.console_app.keep(self.door.set_up() if self.panel.told is not None else self.door.sign_out())


class Codes(Page):
    """Recovery codes, told once. Enter, which may be one too many, does not close it."""

    FOOT = "esc: noted"

    def __init__(self, told: RecoveryCodes) -> None:
        super().__init__()
        self._told = told

    def sections(self, width: int) -> Sequence[Section]:
        return [Section(Line("Recovery codes", "focus-title"), [Item(code_lines(self._told, width))])]

    def action_copy(self) -> None:
        """Not this."""
        self.console_app.say("recovery codes are not copied: write them down", "warn")


def second_factor(app: ConsoleApp) -> None:
    """Set one up; where there is one, ask what to do with it."""
    me = app.me
    if me is None or not me.account:
        return
    if not me.second_factor:
        if app.allowed("accounts.finish_totp"):
            app.push_screen(SetUpForm())
        return

    def answered(answer: str | None) -> None:
        if answer == "anew" and app.allowed("accounts.finish_totp"):
            app.push_screen(SetUpForm())
        elif answer == "codes" and app.allowed("accounts.renew_recovery"):
            app.keep(codes())
        elif answer == "off" and app.allowed("accounts.stop_totp"):
            app.keep(off())

    async def codes() -> None:
        told = await app.fetch(app.client.accounts.renew_recovery())
        if told is not None:
            app.push_screen(Codes(cast("RecoveryCodes", told)))

    async def off() -> None:
        try:
            await app.client.accounts.stop_totp()
        except (PacsError, OSError, TimeoutError) as error:
            app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
            return
        app.say("your second factor is off")
        await app.door.ask()

    text = "Set it up anew for another device, make new recovery codes (the former ones are void), or go without."
    choices = [Choice("no", "leave it", safe=True), Choice("anew", "anew"), Choice("codes", "new codes"),
               Choice("off", "switch off")]  # fmt: skip
    app.push_screen(Ask("Your second factor", [text], choices), answered)
