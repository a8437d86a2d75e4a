"""``pacstui demo``: a node on a scratch archive, the practice hospital around it, and a console or a count.

Nothing stays behind: not after the end, not after Ctrl+C, a hangup or a kill.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pacstui.errors import PacsError, Unavailable
from pacstui.practice.roster import DESTINATIONS
from pacstui.practice.scratch import Scratch
from pacstui.practice.setting import AE_TITLE, configuration, titles
from pacstui.text import count, plural, safe, size

START_S = 30.0
ROOM_BYTES = 200_000_000
"""Free space below which a demo is not begun."""

BUDGET_BYTES = 2_000_000_000
"""What the archive grows to at most; with little space it is a quarter of that."""

_SOCKET = "control.sock"
_OUR_VARIABLES = "PACSTUI_"
_LOOP_VARIABLE = "PACSTUI_LOOP"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a demo came to. ``sent``, ``acknowledged`` and ``found`` count instances and are equal if all is well.

    ``routed`` are instances that routes queued for the good destination, ``arrived`` those that it has, unchanged or
    ``corrected`` to what the RIS told of the patient since.
    ``messages`` are HL7 messages of the RIS that were answered, ``orders`` those that it placed, ``worklist_answers``
    what modalities were told when they asked for work, ``performed`` the steps that they reported; ``..._found`` those
    that the node has as they were answered.
    ``bytes`` are those of acknowledged data sets, ``dropped`` objects that a device cut off in the middle (and sent
    later), ``repeats`` C-STOREs of what was stored already, ``set_aside`` duplicates with other content.
    """

    sent: int
    acknowledged: int
    found: int
    refused_associations: int
    dropped: int
    repeats: int
    set_aside: int
    routed: int
    arrived: int
    corrected: int
    messages: int
    messages_found: int
    orders: int
    orders_found: int
    worklist_queries: int
    worklist_answers: int
    performed: int
    performed_found: int
    studies: int
    bytes: int
    seconds: float
    instances_per_s: float
    differences: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether everything that was sent was acknowledged, and all of that found."""
        return not self.differences and self.sent == self.acknowledged == self.found


class _Ended(BaseException):
    """A signal asks for the end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    _heed()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heed() -> None:
    """Turn signals into an exception in the main thread."""

    def end(number: int, _: FrameType | None) -> None:
        _ignore()
        raise _Ended(number)

    for number in _SIGNALS:
        signal.signal(number, end)


def _ignore() -> None:
    """Let nothing disturb the clean-up, which takes a bounded time."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def run_demo(
    *,
    headless: bool,
    seconds: float | None = None,
    pace: float = 1.0,
    json_output: bool = False,
    seed: int | None = None,
    keep: Path | None = None,
) -> int:
    """Run the demo and return the exit code. Call it from the main thread.

    Parameters
    ----------
    headless
        Without a console: send for ``seconds`` (or until SIGINT or SIGTERM), compare, report.
    pace
        How busy the hospital is; 1 is about 30 instances a second.
    json_output
        With ``headless``: print one JSON object and nothing else.
    seed
        The same seed gives the same patients and studies.
    keep
        An empty or new directory for the archive, its log and the ledger, which then stays.

    Raises
    ------
    PacsError
        When the demo cannot start; what the node said last is on standard error.
    """
    if not headless and not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise PacsError("the demo's console needs a terminal", "without one: pacstui demo --headless --seconds 10")
    code = 0
    with _signals():
        try:
            with Scratch(keep) as scratch:
                try:
                    demo = _Demo(scratch, pace, seed)
                    demo.start(closes_after=None if headless else seconds)
                    code = demo.attend(seconds) if headless else demo.show()
                    outcome = demo.finish()
                    _report(outcome, json_output=json_output and headless)
                    if not outcome.good or demo.node_died:
                        code = 1
                finally:
                    _ignore()
        except _Ended as ended:
            code = 128 + ended.number
    return code


class _Demo:
    """Node and hospital of one run."""

    def __init__(self, scratch: Scratch, pace: float, seed: int | None) -> None:
        self._scratch = scratch
        self._pace = pace
        self._seed = seed
        self._data_dir = scratch.directory / "data"
        self._config = scratch.directory / "pacstui.toml"
        self._node_log = scratch.directory / "node.log"
        self._ledger = scratch.directory / "ledger.json"
        self._node: subprocess.Popen[bytes] | None = None
        self._hospital: subprocess.Popen[bytes] | None = None
        self.node_died = False

    def start(self, closes_after: float | None) -> None:
        """Start node and hospital; the hospital begins when the node's control socket is there.

        It closes by itself ``closes_after`` seconds later, if that is given.
        """
        free = shutil.disk_usage(self._scratch.directory).free
        if free < ROOM_BYTES:
            raise Unavailable(
                f"only {size(free)} free in {self._scratch.directory.parent}", "set TMPDIR to a place with more room"
            )
        known, receivers = titles(), [peer.title for peer in DESTINATIONS]
        hl7, *ports = _free_ports(2 + len(known))
        others = dict(zip(known, ports[1:], strict=True))
        self._config.write_text(configuration(self._data_dir, ports[0], others, hl7))
        self._begin_node()
        command = [sys.executable, "-P", "-m", "pacstui.practice.hospital", "--leash"]
        command += ["--port", str(ports[0]), "--called", AE_TITLE, "--pace", str(self._pace)]
        command += ["--hl7", str(hl7)]
        command += ["--report", str(self._ledger), "--budget", str(min(BUDGET_BYTES, free // 6))]
        if closes_after is not None:
            command += ["--seconds", str(closes_after)]
        if self._seed is not None:
            command += ["--seed", str(self._seed)]
        for title, port in zip(known, ports[1:], strict=True):
            if title in receivers:
                command += ["--receiver", f"{title}={port}"]
            elif title != "OLDCT7":
                command += ["--door", f"{title}={port}"]
        with (self._scratch.directory / "hospital.log").open("ab") as log:
            self._hospital = self._scratch.start(command, log, _environment(), leash=True)
        self._await_node()
        assert self._hospital.stdin is not None
        with contextlib.suppress(OSError):
            self._hospital.stdin.write(b"go\n")
            self._hospital.stdin.flush()

    def _begin_node(self) -> None:
        command = [sys.executable, "-P", "-m", "pacstui", "--config", str(self._config), "serve"]
        with self._node_log.open("ab") as log:
            self._node = self._scratch.start(command, log, _environment())

    def _await_node(self) -> None:
        assert self._node is not None
        end = time.monotonic() + START_S
        while not _answers(self._data_dir / _SOCKET):
            if self._node.poll() is not None:
                raise PacsError(f"the node ended at once:\n{self._last_words()}", "see the lines above")
            if time.monotonic() > end:
                raise PacsError(f"the node does not answer after {START_S:.0f} s:\n{self._last_words()}")
            time.sleep(0.02)

    def _start_again(self) -> None:
        """Start the node after it died; the console offers this."""
        if self._node is not None and self._node.poll() is None:
            self._scratch.end(self._node, 10.0)
        self._begin_node()
        self._await_node()

    def attend(self, seconds: float | None) -> int:
        """Wait without a console; return the exit code so far."""
        end = None if seconds is None else time.monotonic() + seconds
        try:
            while (end is None or time.monotonic() < end) and not self._node_ended():
                if self._hospital is not None and self._hospital.poll() is not None:
                    break
                left = 0.1 if end is None else end - time.monotonic()
                time.sleep(min(0.1, max(0.0, left)))
        except _Ended as ended:
            # Without a time, a signal is how a headless demo ends; with one, it is cut short and says so.
            if ended.number == signal.SIGHUP:
                raise
            return 0 if seconds is None else 128 + ended.number
        return 0

    def show(self) -> int:
        """Open the console; return its exit code."""
        from pacstui.settings import ConsoleSettings
        from screens.launch import run_console

        code = run_console(
            self._data_dir / _SOCKET, start_node=self._start_again, owned=False, settings=ConsoleSettings()
        )
        _heed()
        self._node_ended()
        return code

    def _node_ended(self) -> bool:
        if self._node is None or self._node.poll() is None:
            return False
        self.node_died = True
        _tell(f"the node ended with {self._node.returncode}; its last words:\n{self._last_words()}")
        return True

    def finish(self) -> Outcome:
        """Close the hospital, then the node, and compare what was acknowledged with the archive."""
        from pacstui.practice.proof import prove

        assert self._hospital is not None
        assert self._node is not None
        code = self._scratch.end(self._hospital, 25.0)
        died = self.node_died or self._node.poll() is not None
        stopped = self._scratch.end(self._node, 12.0)
        if code != 0 or not self._ledger.exists():
            words = _tail(self._scratch.directory / "hospital.log")
            raise PacsError(
                f"the hospital ended with {code}:\n{words}", "this is a fault of the demo, please report it"
            )
        report: dict[str, Any] = json.loads(self._ledger.read_text(encoding="utf-8"))
        proof = asyncio.run(prove(self._data_dir, report))
        differences = proof.differences
        if not died and stopped != 0:
            differences += (f"the node did not end cleanly, but with {stopped}",)
            _tell(f"the node's last words:\n{self._last_words()}")
        elapsed = report["seconds"]
        return Outcome(
            sent=report["sent"],
            acknowledged=report["acknowledged"],
            found=proof.found,
            refused_associations=report["refused_associations"],
            dropped=report["dropped"],
            repeats=report["repeats"],
            set_aside=proof.set_aside,
            routed=proof.routed,
            arrived=proof.arrived,
            corrected=proof.corrected,
            messages=len(report["ris"]["messages"]),
            messages_found=proof.messages,
            orders=len(report["ris"]["orders"]),
            orders_found=proof.orders,
            worklist_queries=report["worklist_queries"],
            worklist_answers=report["worklist_answers"],
            performed=len(report["performed"]),
            performed_found=proof.performed,
            studies=report["studies"],
            bytes=report["bytes"],
            seconds=elapsed,
            instances_per_s=round(report["acknowledged"] / elapsed, 1) if elapsed else 0.0,
            differences=differences,
        )

    def _last_words(self) -> str:
        return _tail(self._node_log)


def _report(outcome: Outcome, *, json_output: bool) -> None:
    if json_output:
        _say(json.dumps(asdict(outcome)))
        return
    _say(
        f"{plural(outcome.sent, 'instance')} of {plural(outcome.studies, 'study', 'studies')} sent in "
        f"{outcome.seconds:.0f} s ({size(outcome.bytes)}, {outcome.instances_per_s:g}/s): "
        f"{count(outcome.acknowledged)} acknowledged, {count(outcome.found)} found unchanged in the archive"
    )
    _say(
        f"{plural(outcome.refused_associations, 'association')} refused, "
        f"{plural(outcome.dropped, 'object')} cut off by the sender, {plural(outcome.repeats, 'repeat')}, "
        f"{plural(outcome.set_aside, 'duplicate')} with other content set aside"
    )
    _say(
        f"{plural(outcome.routed, 'instance')} queued for {DESTINATIONS[0].title}, "
        f"{count(outcome.arrived)} of them arrived there"
        + (
            f", {count(outcome.corrected)} as the RIS has corrected their patient"
            if outcome.corrected
            else " unchanged"
        )
    )
    _say(
        f"{plural(outcome.messages, 'HL7 message')} answered, {count(outcome.messages_found)} found; "
        f"{plural(outcome.orders, 'order')} placed, {count(outcome.orders_found)} found; "
        f"{plural(outcome.worklist_queries, 'worklist query', 'worklist queries')} with "
        f"{plural(outcome.worklist_answers, 'answer')}; {plural(outcome.performed, 'performed step')} reported, "
        f"{count(outcome.performed_found)} found"
    )
    for line in outcome.differences[:20]:
        _say(f"different: {line}")
    if len(outcome.differences) > 20:
        _say(f"and {len(outcome.differences) - 20} more")


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
        sys.stdout.write(safe(text, 10_000_000) + "\n")
        sys.stdout.flush()


def _tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write("\n".join(safe(line) for line in text.splitlines()) + "\n")
        sys.stderr.flush()


def _tail(log: Path, lines: int = 15) -> str:
    try:
        text = log.read_bytes()[-8192:].decode(errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(safe(line) for line in text.splitlines()[-lines:]) or "(it left no word)"


def _environment() -> dict[str, str]:
    """Return the environment without our own variables: they would lead to the real archive."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OUR_VARIABLES) or name == _LOOP_VARIABLE
    }
    return kept | {"PYTHONUNBUFFERED": "1"}


def _free_ports(how_many: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(how_many)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _answers(path: Path) -> bool:
    """Return whether something listens on a Unix socket, however long its path is."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            client.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        return False
    finally:
        os.close(folder)
    return True
