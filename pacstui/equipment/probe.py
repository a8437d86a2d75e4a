"""A test of a peer, step by step: name, TCP, TLS, association, echo, what it accepts, and a test object if wanted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from pacstui.apart import TooManyHang
from pacstui.clock import Clock
from pacstui.contract.peers import Negotiated, TestStep, TestView
from pacstui.dicom.net import certificates
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.names import look_up
from pacstui.dicom.net.service import Timeouts
from pacstui.dicom.net.tls import explain
from pacstui.dicom.syntaxes import LITTLE
from pacstui.dicom.uids import VERIFICATION, name_of
from pacstui.equipment import asking
from pacstui.equipment.ends import negotiated
from pacstui.equipment.line import ECHOES, Lines
from pacstui.equipment.peer import Peer
from pacstui.equipment.specimen import PATIENT_ID, SECONDARY_CAPTURE, encoded, specimen
from pacstui.errors import PacsError
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.equipment")

TIMEOUTS: Final = Timeouts(connect=5.0, associate=10.0, response=15.0)
SOON_DAYS: Final = 30

_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
_LEAVES: Final = (
    "2 4 7 1 1.1 1.2 6.1 20 128 12.1 3.1 1.3 2.1 2.2 4.1 4.3 11.1 12.2 12.1.1 13.1.1 13.1.3 77.1.1 77.1.2 77.1.4 "
    "77.1.5.1 77.1.6 7.2 7.4 66 66.4 66.5 88.11 88.22 88.33 88.59 88.67 104.1 104.2 130 481.1 481.2 481.3 481.5 4.2"
)
_CLASSES: Final = tuple(_ROOT + leaf for leaf in _LEAVES.split())
"""Storage SOP classes that are asked for (PS3.4 B.5), those of which compressed encodings are asked for first."""
_SERVICES: Final = (
    "1.2.840.10008.5.1.4.1.2.2.1",
    "1.2.840.10008.5.1.4.1.2.2.2",
    "1.2.840.10008.5.1.4.1.2.2.3",
    "1.2.840.10008.5.1.4.1.2.1.1",
    "1.2.840.10008.5.1.4.31",
    "1.2.840.10008.3.1.2.3.3",
    "1.2.840.10008.1.20.1",
)
_DEEP: Final = 11
_ENCODINGS: Final = " .1 .4.50 .4.51 .4.70 .4.80 .4.90 .4.91 .4.201 .5 .1.99"
_SYNTAXES: Final = tuple("1.2.840.10008.1.2" + leaf for leaf in _ENCODINGS.split(" "))
"""Transfer syntaxes that are asked for one by one; with `_DEEP` classes 121 contexts of the 128 that there may be."""

OnSecured = Callable[[str, datetime | None, str], None]


class _Failed(Exception):
    """A step failed: what was seen, what it means, what to ask for."""

    def __init__(self, seen: str, meaning: str, asks: Sequence[str]) -> None:
        super().__init__(seen)
        self.seen, self.meaning, self.asks = seen, meaning, asks


class Probe:
    """One test. `view` tells how far it is.

    Parameters
    ----------
    secured
        Told version, end of validity and subject of the certificate that the peer shows.
    store
        Whether a test object is stored at the end.
    """

    def __init__(
        self, peer: Peer, lines: Lines, clock: Clock, *, store: bool = False, secured: OnSecured = lambda *_: None
    ) -> None:
        self._peer, self._lines, self._clock = peer, lines, clock
        self._calling, self._secured = lines.ae_title, secured
        names = ["name", "TCP", *(["TLS"] if peer.tls else []), "association", "echo", "services", "transfer syntaxes"]
        self._steps = {name: TestStep(name, "waits", 0.0, "") for name in [*names, *(["test object"] if store else [])]}
        self._started = clock.now()
        self._address = ""
        self._ours = ""
        self._failed = self._meaning = self._letter = ""
        self._takes: tuple[Negotiated, ...] = ()
        self.running = True

    @property
    def view(self) -> TestView:
        """How far it is."""
        return TestView(
            self._peer.name,
            self.running,
            self._started,
            tuple(self._steps.values()),
            self._failed,
            self._meaning,
            self._letter,
            self._takes,
        )

    async def run(self) -> None:
        """Go through all steps, or up to the one that fails."""
        name = ""
        try:
            for name, work in (
                ("name", self._look_up),
                ("TCP", self._connect),
                ("TLS", self._handshake),
                ("association", self._talk),
                ("services", self._services),
                ("transfer syntaxes", self._syntaxes),
                ("test object", self._object),
            ):
                if name in self._steps:
                    await self._step(name, work)
        except _Failed:
            pass
        except Exception:  # a fault of ours is told as that, and blamed on nobody
            log.exception("the test of %s failed", self._peer.name)
            self._set(name, "fail", "this node failed at the test; its log says why")
            self._failed, self._meaning = name, "nothing is known of the peer by that"
        finally:
            self.running = False
            for each in self._steps.values():
                if each.state in ("waits", "runs"):
                    self._steps[each.name] = TestStep(each.name, "skipped", 0.0, "")

    async def _step(self, name: str, work: Callable[[], object]) -> None:
        self._set(name, "runs")
        began = time.perf_counter()
        try:
            state, detail = await work()  # type: ignore[misc]
        except _Failed as fault:
            name = next((s.name for s in self._steps.values() if s.state == "runs"), name)
            self._set(name, "fail", fault.seen, began)
            who = asking.Asker(self._calling, self._ours, self._started)
            self._failed, self._meaning = name, safe(fault.meaning, 500)
            self._letter = asking.letter(self._peer, who, name, fault.seen, fault.asks)
            raise
        if self._steps[name].state == "runs":
            self._set(name, state, detail, began)

    def _set(self, name: str, state: str, detail: str = "", began: float | None = None) -> None:
        took = (time.perf_counter() - began) * 1000 if began is not None else 0.0
        self._steps[name] = TestStep(name, state, round(took, 1), safe(detail, 400))

    @property
    def _who(self) -> asking.Asker:
        return asking.Asker(self._calling, self._ours, self._started)

    def _unreachable(self, kind: str, seen: str) -> _Failed:
        return _Failed(seen, *asking.to_connect(kind, self._peer, self._who))

    def _tls(self, check: bool) -> ssl.SSLContext | None:
        return self._lines.book.look_at(self._peer, check)

    # steps

    async def _look_up(self) -> tuple[str, str]:
        host = self._peer.host
        try:
            async with asyncio.timeout(TIMEOUTS.connect):
                addresses = await look_up(host)
        except (TimeoutError, TooManyHang):
            raise self._unreachable("dns", f"the name {host} could not be looked up in time") from None
        except (OSError, UnicodeError):
            raise self._unreachable("dns", f"the name {host} is unknown") from None
        self._address = addresses[0]
        self._ours = our_address(self._address)
        return "ok", ", ".join(addresses)

    async def _connect(self) -> tuple[str, str]:
        where = f"{self._address} port {self._peer.port}"
        try:
            async with asyncio.timeout(TIMEOUTS.connect):
                _, writer = await asyncio.open_connection(self._address, self._peer.port)
        except TimeoutError:
            raise self._unreachable("timeout", f"nothing answers at {where} within {TIMEOUTS.connect:g} s") from None
        except ConnectionRefusedError:
            raise self._unreachable("refused", f"nothing listens at {where}") from None
        except OSError as error:
            raise self._unreachable("network", f"{where} cannot be reached: {error.strerror or error}") from None
        self._ours = str(writer.get_extra_info("sockname")[0])
        await _close(writer)
        return "ok", f"{where}, from {self._ours}"

    async def _shake(self, context: ssl.SSLContext | None) -> tuple[str, bytes, bool]:
        """Return TLS version, certificate, and whether the other side ended it right after the handshake."""
        async with asyncio.timeout(2 * TIMEOUTS.connect):
            reader, writer = await asyncio.open_connection(
                self._address, self._peer.port, ssl=context, server_hostname=self._peer.host
            )
            try:
                tls = writer.get_extra_info("ssl_object")
                version, der, ended = str(tls.version()), tls.getpeercert(True) or b"", False
                with contextlib.suppress(TimeoutError):  # TLS 1.3 refuses a client's certificate only afterwards
                    async with asyncio.timeout(0.3):
                        try:
                            ended = not await reader.read(1)
                        except OSError:
                            ended = True
                return version, der, ended
            finally:
                await _close(writer)

    async def _handshake(self) -> tuple[str, str]:
        try:
            version, der, ended = await self._shake(self._tls(True))
        except PacsError as fault:
            raise _Failed(fault.message, "our own certificates cannot be used", [fault.hint]) from None
        except (ssl.SSLError, ConnectionError) as error:
            seen = explain(error)[0]
            raise _Failed(seen, *asking.to_trust(seen, await self._shown(), self._peer)) from None
        except (OSError, TimeoutError):
            seen = "the TLS handshake does not come to its end"
            raise _Failed(seen, *asking.to_trust("does not speak TLS", (), self._peer)) from None
        if ended:
            seen = "it ends the connection after the handshake: it asks for a certificate of ours that it trusts"
            raise _Failed(seen, *asking.to_trust("asks for a certificate", (), self._peer))
        try:
            told = certificates.read(der)
        except ValueError as fault:
            self._secured(version, None, "")
            return "warn", f"{version}; its certificate cannot be read: {fault}"
        self._secured(version, told.ends, told.subject)
        days = (told.ends - datetime.now(UTC)).days
        names = f" for {', '.join(told.names[:3])}" if told.names else ""
        detail = f"{version}; {told.subject or 'certificate'}{names}, by {told.issuer or '-'}"
        until = f"valid until {told.ends:%Y-%m-%d} ({plural(max(0, days), 'day')})"
        return ("warn" if days < SOON_DAYS else "ok"), f"{detail}, {until}"

    async def _shown(self) -> Sequence[str]:
        """Return for which names the certificate is that could not be trusted."""
        try:
            _, der, _ = await self._shake(self._tls(False))
            told = certificates.read(der)
        except (OSError, TimeoutError, ValueError, PacsError):
            return ()
        self._secured("", told.ends, told.subject)
        return told.names or ((told.subject,) if told.subject else ())

    def _associate(
        self, contexts: Sequence[tuple[str, Sequence[str]]]
    ) -> contextlib.AbstractAsyncContextManager[Association]:
        return self._lines.to(self._peer, contexts, doing=ECHOES, why="test", timeouts=TIMEOUTS)

    async def _talk(self) -> tuple[str, str]:
        """Associate, and echo: two steps on one association."""
        began = time.perf_counter()
        status = -1
        try:
            async with self._associate([(VERIFICATION, LITTLE)]) as association:
                software = safe(association.implementation[0].strip(), 32) or "not named"
                size = association.max_pdu_send
                told = f"software {software}, takes PDUs of {f'{size:,} bytes' if size else 'any size'}"
                self._set("association", "ok", told, began)
                began = time.perf_counter()
                self._set("echo", "runs")
                status = await association.echo()
        except PacsError as error:
            if self._steps["association"].state == "ok":
                if status == 0:
                    self._set("echo", "warn", f"answered; the release failed: {error.message}", began)
                    return "ok", ""
                raise _Failed(
                    error.message,
                    "the association stands, but C-ECHO gets no answer",
                    [
                        "allow Verification (C-ECHO, 1.2.840.10008.1.1) for us, and look at the log for the reason",
                    ],
                ) from None
            tls = not self._peer.tls and await self._speaks_tls()
            raise _Failed(error.message, *asking.to_associate(error, self._peer, self._who, tls)) from None
        if status:
            raise _Failed(
                f"answered with status {status:04X}H",
                "C-ECHO is refused, which hardly any system does",
                ["allow Verification (C-ECHO, 1.2.840.10008.1.1) for us"],
            )
        self._set("echo", "ok", "answered", began)
        return "ok", ""

    async def _speaks_tls(self) -> bool:
        """Return whether a port that takes no plain association speaks TLS."""
        try:
            await self._shake(self._tls(False))
        except (OSError, TimeoutError, PacsError):
            return False
        return True

    async def _services(self) -> tuple[str, str]:
        wanted = [(uid, LITTLE) for uid in (*_CLASSES, *_SERVICES)]
        try:
            async with self._associate(wanted) as association:
                self._takes = negotiated(association.contexts)
        except PacsError as error:
            return "warn", f"it takes no association with {len(wanted)} contexts: {error.message}"
        stores = sum(bool(each.accepted) for each in self._takes if each.abstract_syntax in _CLASSES)
        others = [each.name for each in self._takes if each.accepted and each.abstract_syntax in _SERVICES]
        told = f"stores {stores} of {len(_CLASSES)} kinds of objects"
        told += f"; {', '.join(others)}" if others else "; no queries, retrievals or worklist"
        return ("ok" if stores else "warn"), told

    async def _syntaxes(self) -> tuple[str, str]:
        taken = {each.abstract_syntax for each in self._takes if each.accepted}
        deep = [uid for uid in _CLASSES if uid in taken][:_DEEP]
        if not deep:
            return "skipped", "it stores nothing that was asked for"
        try:
            async with self._associate([(uid, (syntax,)) for uid in deep for syntax in _SYNTAXES]) as association:
                fresh = {each.abstract_syntax: each for each in negotiated(association.contexts)}
        except PacsError as error:
            return "warn", error.message
        self._takes = tuple(
            more if (more := fresh.get(each.abstract_syntax)) is not None and more.accepted else each
            for each in self._takes
        )
        everywhere = [
            name_of(syntax)
            for syntax in _SYNTAXES
            if all(name_of(syntax) in fresh[uid].accepted for uid in deep if uid in fresh)
        ]
        return "ok", f"of {plural(len(deep), 'kind')}, each takes {', '.join(everywhere) or 'other ones'}"

    async def _object(self) -> tuple[str, str]:
        instance, data = specimen(self._calling, self._clock.now())
        try:
            async with self._associate([(SECONDARY_CAPTURE, LITTLE)]) as association:
                context = association.context_for(SECONDARY_CAPTURE)
                answer = await association.store(
                    context, instance, context.transfer_syntax, encoded(data, context.transfer_syntax)
                )
        except PacsError as error:
            raise _Failed(
                error.message,
                "the object was not stored",
                [
                    "allow Secondary Capture Image Storage for us, and look at the log for the reason",
                ],
            ) from None
        if not answer.ok:
            comment = f": {safe(answer.comment, 64)}" if answer.comment else ""
            raise _Failed(
                f"C-STORE was answered with {answer.status:04X}H{comment}",
                "the object was not stored",
                [
                    "look at your system's log for the reason of that status (PS3.4 B.2.3)",
                ],
            )
        return "ok", f"stored, status {answer.status:04X}H, Patient ID {PATIENT_ID}; delete it there"


def our_address(theirs: str) -> str:
    """Return the address that this machine calls another from, empty if it has no way there; nothing is sent."""
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET6 if ":" in theirs else socket.AF_INET, socket.SOCK_DGRAM) as probe,
    ):
        probe.connect((theirs, 9))
        return str(probe.getsockname()[0])
    return ""


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection at once: a TLS shutdown would wait for the other side, which waits for a request meanwhile."""
    writer.transport.abort()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await writer.wait_closed()
