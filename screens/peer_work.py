"""What is done about peers, from the list and from a peer's page alike: forms, questions, files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pacstui.contract.peers import BESIDE, FIELDS, PeerDetail, PeerPlan, PeerRow, Removal
from pacstui.errors import PacsError
from pacstui.text import plural, safe
from screens import files, keymap
from screens.modals.ask import Ask, Choice
from screens.modals.form import Form, Values
from screens.widgets.form import Field

if TYPE_CHECKING:
    from screens.app import ConsoleApp

Done = Callable[[], None]
KEYS = (
    keymap.acts("peers.echo", "echo", weight=0),
    keymap.acts("peers.test", "test", weight=0),
    keymap.acts("peers.edit", "edit"),
    keymap.acts("peers.remove", "remove", weight=3),
)
_ORDER = (
    "name", "ae_title", "host", "port", "tls", "allow", "roles", "probe", "location", "contact", "notes", "vendor",
    "model", "software", "serial", "limit", "certificate", "key", "ca",
)  # fmt: skip
_LABELS = {
    "ae_title": "AE title", "tls": "TLS", "allow": "it may", "roles": "it is", "probe": "asked by echo",
    "software": "software version", "serial": "serial number", "limit": "associations",
    "certificate": "our certificate", "key": "its key", "ca": "its CA",
}  # fmt: skip
_NOTES = {
    "name": "as people here call it",
    "ae_title": "as the peer says it itself; capitals matter",
    "host": "name or IP address, where it calls from and is called",
    "port": "where it listens; 104 and 11112 are the usual ones",
    "allow": "all, nothing, or echo, store, find, move, get, worklist, commitment, mpps",
    "roles": "modality, workstation, archive, router, ai, ris, printer, other",
    "limit": "at once with us; 0: no limit of its own",
    "certificate": "PEM file on the node; empty: that of [tls]",
    "key": "PEM file on the node; empty: it stands with the certificate",
    "ca": "PEM file with who signed the peer's certificate; empty: as [tls] says",
    "contact": "whom to call about it",
}
_CHOICES = {
    "tls": (
        ("off", "plain DICOM"),
        ("on", "as [tls] says"),
        ("name", "its certificate and the name in it are checked"),
        ("certificate", "its certificate is checked, the name in it is not"),
        ("nothing", "nothing is checked: encrypted, but anybody may be there"),
    ),
    "probe": (("yes", "by C-ECHO now and then; missed when silent"), ("no", "it has no listener, or is often off")),
}


def _fields(values: dict[str, str], configured: bool, fresh: bool) -> list[Field]:
    """Return the fields of a peer's form."""
    fields = []
    for name in _ORDER:
        fixed = ""
        if not fresh and name == "name":
            fixed = "its history hangs on the name: remove it and add it anew for another"
        elif configured and name not in BESIDE:
            fixed = "the configuration says it: change it there ([[peers]]), and reload"
        fields.append(
            Field(
                name,
                _LABELS.get(name, name),
                values.get(name, ""),
                choices=() if fixed else _CHOICES.get(name, ()),
                note=_NOTES.get(name, ""),
                fixed=fixed,
            )
        )
    return fields


def _given(values: Values) -> dict[str, Any]:
    """Return a form's values as the node takes them."""
    given: dict[str, Any] = {name: text.strip() for name, text in values.items() if name in FIELDS}
    for name in ("port", "limit"):
        if name in given:
            text = given[name] or ("104" if name == "port" else "0")
            if not (text.isascii() and text.isdigit()):
                raise PacsError(f"{_LABELS.get(name, name)} is a whole number: {safe(text, 20)}", "digits only")
            given[name] = int(text)
    return given


def add(app: ConsoleApp, done: Callable[[str], None], **known: str) -> None:
    """Open the form for a new peer, with what is ``known`` of it already."""
    if not app.allowed("peers.add"):
        return
    usual = {"port": "104", "tls": "off", "allow": "all", "probe": "yes", "limit": "0"}

    async def send(values: Values) -> str:
        row: PeerRow = await app.client.peers.add(**_given(values))
        return row.name

    def added(name: str | None) -> None:
        if name is not None:
            app.say(f"{name} is a peer from now on; t tests it")
            done(name)

    fields = _fields({**usual, **known}, configured=False, fresh=True)
    app.push_screen(Form("Add a peer", fields, send, foot="Enter adds it, tab next field, esc back"), added)


def edit(app: ConsoleApp, detail: PeerDetail, done: Done) -> None:
    """Open the form of a peer; only what was changed is sent."""
    if not app.allowed("peers.edit"):
        return
    name = detail.row.name
    fields = _fields(detail.fields, detail.row.configured, fresh=False)
    before = {field.name: field.value for field in fields}

    async def send(values: Values) -> bool:
        changed = {field: text for field, text in values.items() if field != "name" and text != before.get(field)}
        if changed:
            await app.client.peers.edit(name=name, **_given(changed))
        return bool(changed)

    def changed(any_change: bool | None) -> None:
        if any_change:
            app.say(f"{name} is changed, in effect now")
            done()

    app.push_screen(Form(f"Edit {safe(name, 64)}", fields, send), changed)


async def edit_named(app: ConsoleApp, name: str, done: Done) -> None:
    """Fetch a peer, then open its form."""
    detail = await app.fetch(app.client.peers.show(name))
    if detail is not None:
        edit(app, detail, done)


def remove(app: ConsoleApp, row: PeerRow, done: Done) -> None:
    """Remove a peer after telling what that breaks."""
    if row.configured:
        app.say(f"{row.name} stands in the configuration: remove it there, and reload", "warn")
        return
    if app.allowed("peers.remove"):
        app.keep(_remove(app, row.name, done))


async def _remove(app: ConsoleApp, name: str, done: Done) -> None:
    told: Removal | None = await app.fetch(app.client.peers.removal(name))
    if told is None:
        return
    shown = safe(name, 64)
    text = [f"{shown} may not call any more, nothing is sent to it, and its history goes."]
    if told.breaks:
        text.append(f"That breaks {plural(len(told.breaks), 'thing')}: {safe('; '.join(told.breaks), 600)}.")

    async def go() -> None:
        try:
            await app.client.peers.remove(name)
        except (PacsError, OSError, TimeoutError) as error:
            app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
            return
        app.say(f"{name} is removed")
        done()

    def answered(answer: str | None) -> None:
        if answer == "yes":
            app.keep(go())

    choices = [Choice("no", "keep it", safe=True), Choice("yes", f"remove {shown}")]
    app.push_screen(Ask(f"Remove {shown}?", text, choices), answered)


def export(app: ConsoleApp) -> None:
    """Write all peers to a new file."""
    if not app.allowed("peers.export_csv"):
        return

    async def send(values: Values) -> str:
        path = files.free(values["path"])
        await files.write_new(path, await app.client.peers.export_csv())
        return str(path)

    def written(path: str | None) -> None:
        if path is not None:
            app.say(f"the peers are in {path}")

    note = "a relative path begins where the console was started"
    fields: Sequence[Field] = [Field("path", "new CSV file", "peers.csv", note=note)]
    app.push_screen(Form("Export peers", fields, send, foot="Enter writes it, esc back"), written)


def import_file(app: ConsoleApp, done: Done) -> None:
    """Ask for a file, and open what it would do."""
    if not app.allowed("peers.import_csv"):
        return

    async def send(values: Values) -> tuple[str, PeerPlan]:
        text = await files.read_text(values["path"])
        return text, await app.client.peers.preview_import(csv=text)

    def read(answer: tuple[str, PeerPlan] | None) -> None:
        if answer is not None:
            from screens.peer_import import PeerImportScreen

            app.go(PeerImportScreen(*answer, done))

    intro = (
        f"The first line names the columns: {', '.join(FIELDS)}. Only name is needed for peers that are known. Nothing "
        "is done yet: what it would do is shown first."
    )
    note = "a relative path begins where the console was started"
    app.push_screen(Form("Import peers", [Field("path", "CSV file", note=note)], send, intro=intro), read)
