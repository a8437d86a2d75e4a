"""The practice hospital as a process: ``python -m pacstui.practice.hospital --port P --called AE``.

It ends after ``--seconds``, at SIGTERM, or when the process that started it is gone; instances under way are finished
first. Its last act is the ledger, as JSON, in ``--report`` or on standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from pacstui.clock import SYSTEM, Clock
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.service import EchoService, OpenPolicy
from pacstui.errors import PacsError
from pacstui.practice.booked import Booked, ByHand
from pacstui.practice.devices import Device, Site, equipment
from pacstui.practice.ledger import Ledger, write_report
from pacstui.practice.patients import register
from pacstui.practice.receivers import GOOD, WAYS, Receiver
from pacstui.practice.ris import Ris

log = logging.getLogger("pacstui.practice")

FINISH_S = 8.0
"""How long what is under way may take to finish at the end."""

FORWARD_S = 10.0
FORWARD_QUIET_S = 3.0
"""How long the receivers stay at the end until the good one has all that was acknowledged; without news of it, less."""

BUDGET = 2_000_000_000
"""Bytes of new objects after which studies are sent again instead of new ones."""


class Hospital:
    """All devices at work.

    Parameters
    ----------
    host, port, called
        Where the archive listens, and the AE title it answers to.
    pace
        1 is lively but gentle (about 30 instances a second), 10 is ten times that, if the machine can.
    seed
        The same seed gives the same patients and studies in the same order of each device; times differ.
    doors
        Ports at which devices answer C-ECHO, by AE title.
    hl7
        Port at which the archive takes HL7; with it there is a RIS, and modalities work by its orders.
    receivers
        Ports at which the places listen that studies are sent on to, by AE title.
    """

    def __init__(
        self,
        host: str,
        port: int,
        called: str,
        *,
        pace: float = 1.0,
        seed: object = 0,
        budget: int = BUDGET,
        clock: Clock = SYSTEM,
        devices: tuple[Device, ...] | None = None,
        doors: Mapping[str, int] | None = None,
        hl7: int = 0,
        receivers: Mapping[str, int] | None = None,
    ) -> None:
        if pace <= 0:
            raise ValueError("the pace is a number above 0")
        self.ledger = Ledger()
        self._stopping = asyncio.Event()
        self._drawing = ThreadPoolExecutor(2, "drawing")
        today = clock.now().astimezone().date()
        patients = register(random.Random(f"{seed}/patients"), today)
        self._talking = ThreadPoolExecutor(8, "talking")
        self.ris = Ris(host, hl7, seed, clock) if hl7 else None
        self._site = Site(
            host, port, called, pace, budget, patients, self.ledger, clock, self._drawing, self._stopping, self.ris,
            self._talking,
        )  # fmt: skip
        if devices is None:
            devices = (*equipment(seed, Booked, ByHand), self.ris) if self.ris is not None else equipment(seed)
        self._devices = devices
        self._doors = dict(doors or {})
        self._listeners: list[Listener] = []
        self.receivers = {title: Receiver(title, port, WAYS[title]) for title, port in (receivers or {}).items()}
        self._hurry = asyncio.Event()
        self._began: float | None = None
        self._ended: float | None = None

    def stop(self) -> None:
        """Begin to end: nothing new is started."""
        self._stopping.set()

    def hurry(self) -> None:
        """Begin to end, and wait for nothing that is under way elsewhere."""
        self._hurry.set()
        self.stop()

    @property
    def seconds(self) -> float:
        """How long it has worked."""
        if self._began is None:
            return 0.0
        return (self._ended or time.monotonic()) - self._began

    def report(self) -> dict[str, Any]:
        """Return the ledger with what each receiver took, by SOP Instance UID and digest, and what the RIS did."""
        taken = {title: dict(receiver.taken.objects) for title, receiver in self.receivers.items()}
        pixels = {title: dict(receiver.taken.pixels) for title, receiver in self.receivers.items()}
        ris = {"ris": self.ris.account.report()} if self.ris is not None else {}
        return self.ledger.report(self.seconds) | {"received": taken, "received_pixels": pixels} | ris

    async def _open_doors(self) -> None:
        """Let devices answer C-ECHO, so that the archive's administrator can try them."""
        echo = EchoService()
        for title, port in self._doors.items():
            listener = Listener(OpenPolicy(), lambda _, field: echo if field == Field.C_ECHO else None)
            try:
                await listener.start("127.0.0.1", port)
            except PacsError as error:
                log.warning("%s does not answer echoes: %s", title, error)
                continue
            self._listeners.append(listener)

    async def _forwarded(self) -> None:
        """Wait until the good receiver has what was acknowledged, for as long as that makes progress."""
        good = self.receivers.get(GOOD)
        if good is None:
            return
        wanted = self.ledger.instances()
        began = time.monotonic()
        while not self._hurry.is_set() and not wanted <= good.taken.objects.keys():
            now = time.monotonic()
            if now - began > FORWARD_S or now - max(began, good.taken.last) > FORWARD_QUIET_S:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), 0.05)

    async def run(self, seconds: float | None = None) -> None:
        """Work for ``seconds``, or until :meth:`stop`; what is under way then gets :data:`FINISH_S` to finish."""
        self._began = time.monotonic()
        await self._open_doors()
        for receiver in self.receivers.values():
            await receiver.open()
        tasks = [asyncio.create_task(device.work(self._site)) for device in self._devices]
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
        finally:
            self.stop()
            self._ended = time.monotonic()
            _, late = await asyncio.wait(tasks, timeout=FINISH_S)
            for task in late:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            self._drawing.shutdown(wait=False, cancel_futures=True)
            self._talking.shutdown(wait=False, cancel_futures=True)
            await self._forwarded()
            for listener in self._listeners:
                await listener.close()
            for receiver in self.receivers.values():
                await receiver.close()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome


async def _leash(hospital: Hospital, begin: asyncio.Event) -> None:
    """Follow standard input: a line opens the hospital, its end closes it."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while await reader.readline():
            begin.set()
    finally:
        transport.close()
        hospital.stop()
        begin.set()


async def _orphanage(hospital: Hospital) -> None:
    """Close the hospital when its parent process is gone."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells when a parent ends
        await asyncio.sleep(0.5)
    hospital.hurry()


async def _main(options: argparse.Namespace) -> Hospital:
    hospital = Hospital(
        options.host,
        options.port,
        options.called,
        pace=options.pace,
        seed=options.seed if options.seed is not None else random.SystemRandom().randrange(2**32),
        budget=options.budget,
        hl7=options.hl7,
        doors=dict(options.door),
        receivers=dict(options.receiver),
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, hospital.stop)
    begin = asyncio.Event()
    watchers = [asyncio.create_task(_orphanage(hospital))]
    if options.leash:
        watchers.append(asyncio.create_task(_leash(hospital, begin)))
        await begin.wait()
    try:
        await hospital.run(options.seconds)
    finally:
        for watcher in watchers:
            watcher.cancel()
    return hospital


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError("a number above 0 is needed")
    return number


def _door(text: str) -> tuple[str, int]:
    title, _, port = text.rpartition("=")
    if not title or not port.isdecimal():
        raise argparse.ArgumentTypeError("AE title and port are needed, as in CT1=11105")
    return title, int(port)


def _receiver(text: str) -> tuple[str, int]:
    title, port = _door(text)
    if title not in WAYS:
        raise argparse.ArgumentTypeError(f"there are: {', '.join(WAYS)}")
    return title, port


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pacstui.practice.hospital", description="A simulated hospital that sends DICOM to an archive."
    )
    parser.add_argument("--host", default="127.0.0.1", help="where the archive listens")
    parser.add_argument("--port", type=int, required=True, help="its DICOM port")
    parser.add_argument("--called", required=True, help="its AE title")
    parser.add_argument("--pace", type=_positive, default=1.0, help="1 is about 30 instances a second")
    parser.add_argument("--seconds", type=_positive, default=None, help="how long to work; without it until stopped")
    parser.add_argument("--seed", type=int, default=None, help="the same seed gives the same patients and studies")
    parser.add_argument("--report", type=Path, default=None, help="file for the ledger; else standard output")
    parser.add_argument("--budget", type=int, default=BUDGET, help="bytes of new objects; then studies come again")
    parser.add_argument(
        "--door", type=_door, action="append", default=[], metavar="AE=PORT", help="let a device answer C-ECHO there"
    )
    parser.add_argument(
        "--receiver", type=_receiver, action="append", default=[], metavar="AE=PORT",
        help=f"let one of those listen there that studies are sent on to: {', '.join(WAYS)}",
    )  # fmt: skip
    parser.add_argument("--hl7", type=int, default=0, help="its HL7 port; without it there is no RIS")
    parser.add_argument(
        "--leash", action="store_true", help="begin at a line on standard input, end when standard input ends"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the hospital; return the exit code."""
    options = arguments().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s")
    hospital = asyncio.run(_main(options))
    report = hospital.report()
    if options.report is not None:
        write_report(options.report, report)
    else:
        sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
