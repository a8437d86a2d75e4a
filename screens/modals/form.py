"""A form over a screen: what is typed goes to the node, and a mistake that the node finds is told at the form."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from pacstui.errors import CodeNeeded, PacsError
from pacstui.text import safe
from screens.widgets.form import Field, FormPanel

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Values = dict[str, str]
Send = Callable[[Values], Awaitable[Any]]


class FormPage(ModalScreen[Any]):
    """Base of all forms: sends, waits, tells what was wrong.

    Parameters
    ----------
    send
        Takes the values; what it returns is the answer. A `PacsError` from it is told, and the form stays.
    """

    AUTO_FOCUS = "FormPanel"

    def __init__(self, title: str, intro: str, fields: Sequence[Field], foot: str, send: Send) -> None:
        super().__init__()
        self.panel = FormPanel(title, intro, fields, foot)
        self._send = send
        self._answer: tuple[Any] | None = None

    def compose(self) -> ComposeResult:
        yield self.panel

    @property
    def console_app(self) -> ConsoleApp:
        """The application, with its own type."""
        return cast("ConsoleApp", self.app)

    @on(FormPanel.Sent)
    def _sent(self) -> None:
        if not self.panel.busy:
            self.panel.busy = "asking the node"
            self.panel.fault = ""
            self.panel.renew()
            self.console_app.keep(self._ask())

    async def _ask(self) -> None:
        fault: object = ""
        try:
            answer = await self._send(self.panel.values)
        except CodeNeeded:
            self.panel.busy = ""
            self.panel.ask_code()
            return
        except PacsError as error:
            fault = f"{error.message}{': ' if error.hint else ''}{error.hint}"
        except (OSError, TimeoutError) as error:
            fault = f"the node did not answer: {error}"
        self.panel.busy = ""
        if fault:
            self.failed(safe(fault, 600))
        else:
            self.done(answer)

    def failed(self, text: str) -> None:
        """Tell what was wrong; what was typed stays."""
        self.panel.tell(text)

    def done(self, answer: Any) -> None:
        """Close with an answer; as soon as this is in sight again, if something lies over it."""
        self._answer = (answer,)
        if self.is_active:
            self.dismiss(answer)

    def on_screen_resume(self) -> None:
        """Close, if the answer came while this was out of sight."""
        if self._answer is not None:
            self.dismiss(self._answer[0])

    def action_cancel(self) -> None:
        """Answer nothing."""
        if not self.panel.busy:
            self.dismiss(None)


class Form(FormPage):
    """A form that lies over a screen and goes away with escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "cancel", show=False)]

    def __init__(
        self, title: str, fields: Sequence[Field], send: Send, *, intro: str = "",
        foot: str = "Enter does it, tab next field, esc back",
    ) -> None:  # fmt: skip
        super().__init__(title, intro, fields, foot, send)


def type_the_name(title: str, intro: str, name: str, send: Callable[[], Awaitable[Any]]) -> Form:
    """Return a form that does something grave only after ``name`` was typed."""

    async def check(values: Values) -> Any:
        if values["name"].strip() != name:
            raise PacsError(f"type {safe(name, 64)} to do it", "capitals matter; esc leaves everything as it is")
        await send()
        return True

    return Form(title, [Field("name", "its name")], check, intro=intro, foot="Enter does it, esc leaves it as it is")
