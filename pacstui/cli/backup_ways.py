"""How the commands about backups get done: by the node, or by themselves where none runs."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacstui.api import plain
from pacstui.cli.doors import Door
from pacstui.cli.out import live
from pacstui.errors import BadRequest, NotFound, NotRunning, PacsError
from pacstui.text import duration, safe, size

if TYPE_CHECKING:
    from pacstui.backups.spec import Spec
    from pacstui.settings import Settings

_PACE_S = 0.3
_ANSWER_S = 70.0


@dataclass(frozen=True, slots=True)
class Where:
    """Which target: one of the settings by name (the only one if empty), or an address with what opens it."""

    target: str = ""
    url: str = ""
    identity_file: str = ""
    passphrase_file: str = ""
    endpoint: str = ""
    signed_by: str = ""


class Ways:
    """One command's way to a target."""

    def __init__(self, door: Door, where: Where) -> None:
        self._door = door
        self._where = where
        self._settings: Settings | None = None

    @property
    def by_address(self) -> bool:
        """Whether the target is none of the settings."""
        return bool(self._where.url)

    @property
    def signers(self) -> tuple[str, ...]:
        """Keys that are named here to be believed."""
        return (self._where.signed_by,) if self._where.signed_by else ()

    @property
    def settings(self) -> Settings:
        """The configuration; read at first use."""
        if self._settings is None:
            from pacstui.configuration import load

            self._settings = load(self._door.config).settings
        return self._settings

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return self._door.data_dir()

    def name(self) -> str:
        """Return the target's name; raises NotFound or BadRequest."""
        if self._where.target:
            return self._where.target
        names = [target.name for target in self.settings.backups.targets]
        if len(names) == 1:
            return names[0]
        if names:
            raise BadRequest(f"there are several targets: {', '.join(names)}", "say which: --target NAME")
        raise NotFound("the settings have no target", "write [[backups.targets]] with name and url, or give --url")

    def spec(self) -> Spec:
        """Return the target as the work takes it."""
        from pacstui.backups.spec import Spec
        from pacstui.backups.standing import spec_of

        where = self._where
        if where.url:
            return Spec(
                "by address",
                where.url,
                (),
                where.identity_file,
                where.passphrase_file,
                endpoint=where.endpoint,
                signers=self.signers,
            )
        name = self.name()
        for target in self.settings.backups.targets:
            if target.name == name:
                spec = spec_of(target)
                return replace(
                    spec, identity_file=where.identity_file or spec.identity_file,
                    passphrase_file=where.passphrase_file or spec.passphrase_file, signers=self.signers,
                )  # fmt: skip
        names = ", ".join(target.name for target in self.settings.backups.targets) or "none"
        raise NotFound(f"there is no target {name}", f"targets are: {names}")

    def ask(self, method: str, op: str, **arguments: Any) -> Any:
        """Ask the node, or the target itself where no node runs or an address is given; return JSON values.

        ``op`` is the operation of `pacstui.backups.ops`, empty for what only a node can answer.
        """
        if not self._where.url:
            try:
                return plain.call(self.data_dir, "backups", method, timeout=_ANSWER_S, target=self.name(), **arguments)
            except NotRunning:
                if not op:
                    raise
        return self.direct(op, **arguments)

    def direct(self, op: str, **arguments: Any) -> dict[str, Any]:
        """Do it in this process, with progress on a terminal."""
        from pacstui.backups.ops import perform
        from pacstui.backups.patience import tend
        from pacstui.backups.request import Request
        from pacstui.backups.watch import Watch

        os.umask(0o077)
        spec = self.spec()
        data_dir = self.data_dir
        there = (data_dir / "index.db").is_file() and not self._where.url
        source = self._configuration()
        with _work(there) as work, live() as show:
            state: dict[str, Any] = {}

            def say(told: dict[str, Any]) -> None:
                if "note" in told:
                    show.line(safe(str(told["note"]), 400))
                else:
                    state.update(told)
                    show.now(progress(state))

            watch = Watch(say, spec.max_mb_per_s * 1e6)
            threading.Thread(target=tend, args=(watch, _give_up), daemon=True).start()
            title = self.settings.dicom.ae_title if not self._where.url else ""
            request = Request(
                op, spec, str(data_dir.absolute()) if there else "", title, _who(), source, work, self._secrets(),
                arguments,
            )  # fmt: skip
            return perform(request, watch)

    def _configuration(self) -> str:
        if self._where.url:
            return ""
        from pacstui.configuration import load

        found = load(self._door.config).source
        return str(found.absolute()) if found is not None else ""

    def _secrets(self) -> tuple[str, ...]:
        if self._where.url:
            return ()
        settings = self.settings
        named = (settings.audit.key, settings.accounts.key, settings.tls.key or settings.tls.certificate)
        return tuple(str(Path(each).absolute()) for each in named if each)

    def begin(self, method: str, op: str, *, wait: bool, **arguments: Any) -> dict[str, Any]:
        """Begin long work at the node and follow it to its end, or do it here where no node runs.

        Returns
        -------
        dict
            ``state`` (done, warning, failed, ...), ``text`` and ``hint``; of the node's run all that it has.
        """
        if not self._where.url:
            try:
                row = plain.call(self.data_dir, "backups", method, timeout=_ANSWER_S, target=self.name(), **arguments)
                return self.follow(row) if wait else row
            except NotRunning:
                pass
        try:
            found = self.direct(op, **arguments)
        except PacsError as error:
            return {"state": "failed", "text": error.message, "hint": error.hint}
        return {"state": "warning" if found.get("warning") else "done", **found}

    def follow(self, row: dict[str, Any]) -> dict[str, Any]:
        """Show a run's progress until it ends; Ctrl+C cancels it."""
        with live() as show:
            try:
                while row["state"] in ("running", "waiting"):
                    time.sleep(_PACE_S)
                    row = plain.call(self.data_dir, "jobs", "run", id=row["id"])
                    show.now(progress(row))
            except KeyboardInterrupt:
                plain.call(self.data_dir, "jobs", "cancel", id=row["id"])
                raise
        return row


def _give_up(error: PacsError) -> None:
    """End, although a thread still waits for a place that does not answer."""
    print(f"\nfailed: {safe(str(error), 600)}", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(1)


def progress(state: dict[str, Any]) -> str:
    """Return how far something is, in one line."""
    parts = []
    done, total = state.get("done", 0), state.get("total", 0)
    if total:
        parts.append(f"{done:,} of {total:,} {state.get('unit', '')}".rstrip())
    if state.get("total_bytes"):
        parts.append(f"{size(state.get('done_bytes', 0))} of {size(state['total_bytes'])}")
    if state.get("bytes_per_s"):
        parts.append(f"{size(state['bytes_per_s'])}/s")
    if state.get("left_s"):
        parts.append(f"{duration(state['left_s'])} left")
    if state.get("errors"):
        parts.append(f"{state['errors']:,} errors")
    if state.get("now"):
        parts.append(safe(str(state["now"]), 60))
    return "  ".join(parts) or "working"


@contextmanager
def _work(there: bool) -> Iterator[str]:
    """Yield a folder for what is kept of a target meanwhile, empty where the archive has one."""
    if there:
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="pacstui-") as folder:
        yield folder


def _who() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def seen(state: str) -> int:
    """Return the exit code of a run's state."""
    return 0 if state in ("done", "running", "waiting") else 1
