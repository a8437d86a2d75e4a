"""The noun ``peers``: list what is known, and try whether a peer answers."""

from __future__ import annotations

from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.peers import EchoResult, EchoStep, PeerRow
from pacstui.dicom.net.service import Timeouts
from pacstui.dicom.syntaxes import LITTLE
from pacstui.dicom.uids import VERIFICATION
from pacstui.equipment.line import ECHOES, Lines
from pacstui.errors import PacsError
from pacstui.events import PeerEchoed
from pacstui.text import safe

_ECHO_TIMEOUTS = Timeouts(connect=5.0, associate=10.0, response=10.0)


class PeersRoom:
    """Peers and their echoes."""

    def __init__(self, lines: Lines, bus: Bus, clock: Clock) -> None:
        self._lines = lines
        self._bus = bus
        self._clock = clock

    async def list(self) -> tuple[PeerRow, ...]:
        return self._lines.book.rows()

    async def echo(self, name: str, *, quiet: bool = False) -> EchoResult:
        """Try a peer; ``quiet`` where somebody else tells the outcome."""
        peer = self._lines.peer(name)
        began = self._clock.monotonic()
        steps: list[EchoStep] = []

        def step(what: str, ok: bool, milliseconds: float, detail: str) -> None:
            steps.append(EchoStep(what, ok, round(milliseconds, 1), safe(detail)))

        hint = ""
        try:
            async with self._lines.to(
                peer,
                [(VERIFICATION, LITTLE)],
                doing=ECHOES,
                timeouts=_ECHO_TIMEOUTS,
                on_step=step,
            ) as association:
                asked = self._clock.monotonic()
                status = await association.echo()
                took = (self._clock.monotonic() - asked) * 1000
                if status:
                    step("echo", False, took, f"answered with status {status:04X}H")
                    hint = "look at the peer's log"
                else:
                    step("echo", True, took, "")
        except PacsError as fault:
            if not steps or steps[-1].ok:
                step("echo" if steps else "connect", False, (self._clock.monotonic() - began) * 1000, fault.message)
            hint = safe(fault.hint)
        total = (self._clock.monotonic() - began) * 1000
        ok = all(one.ok for one in steps) and bool(steps)
        failed = next((f"{one.name}: {one.detail}" for one in steps if not one.ok), "")
        self._bus.publish(PeerEchoed(self._clock.now(), peer.name, ok, total, failed, quiet))
        return EchoResult(peer.name, ok, round(total, 1), tuple(steps), hint)
