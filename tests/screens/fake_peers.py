"""Equipment that is not there: peers that answer, that are silent, and strangers with nasty names."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from pacstui.contract.peers import (
    FIELDS,
    CallerRow,
    CallersView,
    DayRow,
    EchoResult,
    EchoSample,
    EchoStep,
    EndRow,
    FaultRow,
    Negotiated,
    PeerDetail,
    PeerHistory,
    PeerLine,
    PeerPlan,
    PeerRow,
    Removal,
    TestStep,
    TestView,
)
from pacstui.errors import BadRequest, NotFound

LETTER = "To the administrator of TELERAD\n\nPlease:\n- tell us the TCP port that it listens on; we use 11112"


class FakePeers:
    """The noun; ``rows`` and ``strangers`` are what is there. ``running`` keeps a test from ending."""

    def __init__(self, world: Any, call: Any) -> None:
        self._world, self._call = world, call
        at = world.at
        self.rows = [
            PeerRow(
                "CT1",
                "CT1",
                "10.0.4.11",
                104,
                "Room 3, phone 4711",
                at,
                40_112,
                "ok",
                at - timedelta(minutes=12),
                3.2,
                "",
                called=at - timedelta(minutes=12),
                uptime=1.0,
                rtt_ms=3.1,
            ),
            PeerRow("MR2 [/bold]", "MR2", "10.0.4.12", 104, "", None, 0, "never", None, 0.0, "", configured=False),
            PeerRow(
                "TELERAD",
                "TELERAD",
                "tele.example.org",
                11112,
                "\x1b[2J",
                None,
                0,
                "failed",
                at - timedelta(hours=2),
                0.0,
                "TCP: connection refused",
                configured=False,
                tls="on",
                silent_since=at - timedelta(hours=3),
                uptime=0.874,
                tls_until=at + timedelta(days=12),
                flaws=(
                    "TELERAD has not answered since 11:03: TCP: connection refused",
                    "the certificate of TELERAD is valid for 12 days only, until 2026-12-07",
                ),
            ),
        ]
        self.strangers = [
            CallerRow(
                1,
                "XRAY9",
                "PACS",
                "10.0.4.17",
                "refused",
                'calls "PACS", we are "RADNODE1"',
                "set the called AE title to RADNODE1 at XRAY9",
                3,
                1,
                at - timedelta(hours=3),
                at,
                "SCANNER",
                ("CT Image Storage: Implicit VR Little Endian",),
                "",
                False,
            ),
            CallerRow(
                2,
                "[/]\x1b[2J",
                "RADNODE1",
                "10.0.4.99",
                "let in",
                "is no peer, and was let in",
                "",
                1,
                1,
                at,
                at,
                "\x1b]52;c;eA==\x07",
                ("[/bold]",),
                "",
                False,
            ),
            CallerRow(
                3,
                "(many)",
                "",
                "10.0.4.66",
                "refused",
                "is not known here",
                "",
                812_331,
                812_300,
                at,
                at,
                "",
                (),
                "",
                False,
            ),
        ]
        self.running = False

    def _named(self, name: str) -> PeerRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise NotFound(f"there is no peer {name}")

    async def list(self) -> tuple[PeerRow, ...]:
        self._call("peers.list")
        return tuple(self.rows)

    async def show(self, name: str) -> PeerDetail:
        self._call("peers.show", name)
        row = self._named(name)
        fields = dict.fromkeys(FIELDS, "")
        fields.update(
            name=row.name,
            ae_title=row.ae_title,
            host=row.host,
            port=str(row.port),
            tls=row.tls,
            allow="all",
            probe="yes",
            limit="0",
            notes=row.notes,
            vendor="Example [/]",
            location="Room 3",
        )
        contexts = (
            Negotiated("1.2", "CT Image Storage", ("Implicit VR Little Endian",), ""),
            Negotiated("1.3", "[/bold]", (), "SOP class not supported"),
        )
        ends = (
            EndRow("in", row.seen, 12 if row.seen else 0, row.host, "SCANNER_1", 16384, contexts),
            EndRow("out", row.called, 3 if row.called else 0, row.host, "", 0, contexts),
        )
        faults = (FaultRow(self._world.at, "out", f"C-ECHO: {row.echo_detail}", "", 4),) if row.echo_detail else ()
        return PeerDetail(row, fields, ("the route night sends to it",), ends, faults, "", self._world.at, "op1")

    async def history(self, name: str, days: int = 31) -> PeerHistory:
        self._call("peers.history", name)
        day = DayRow(date(2026, 11, 25), 96, 84, 75_600.0, 10_800.0, 2.9, 3.1, 40.2, 12, 96)
        echoes = tuple(EchoSample(self._world.at - timedelta(minutes=15 * n), n != 1, 3.0 + n, "") for n in range(9))
        return PeerHistory(
            name, (replace(day, day=date(2026, 11, 24)), day), (replace(day, day=date(2026, 11, 1)),), echoes
        )

    async def echo(self, name: str) -> EchoResult:
        self._call("peers.echo", name)
        if name == "TELERAD":
            steps = EchoStep("name", True, 2.0, "192.0.2.7"), EchoStep("TCP", False, 10.0, "connection refused")
            hint = "nothing listens on tele.example.org:11112; ask whether their DICOM service runs"
            return EchoResult(name, False, 12.0, steps, hint)
        told = (("name", 0.1, "10.0.4.11"), ("TCP", 0.4, ""), ("association", 1.2, ""), ("echo", 1.7, ""))
        return EchoResult(name, True, 3.4, tuple(EchoStep(n, True, ms, text) for n, ms, text in told), "")

    def _test(self, name: str, stored: bool) -> TestView:
        steps = [TestStep("name", "ok", 2.0, "192.0.2.7")]
        if self.running:
            return TestView(name, True, self._world.at, (*steps, TestStep("TCP", "runs", 0.0, "")), "", "", "", ())
        if name == "TELERAD":
            steps.append(TestStep("TCP", "fail", 9.0, "nothing listens at tele.example.org port 11112"))
            meaning = "the machine is there, but no program listens on that port"
            return TestView(name, False, self._world.at, tuple(steps), "TCP", meaning, LETTER, ())
        steps.append(TestStep("echo", "ok", 1.0, "answered"))
        if stored:
            steps.append(TestStep("test object", "ok", 4.0, "stored, status 0000H"))
        takes = (Negotiated("1.2", "CT Image Storage", ("Implicit VR Little Endian",), ""),)
        return TestView(name, False, self._world.at, tuple(steps), "", "", "", takes)

    async def test(self, name: str) -> TestView:
        self._call("peers.test", name)
        self.stored = False
        return self._test(name, False)

    async def test_object(self, name: str) -> TestView:
        self._call("peers.test_object", name)
        self.stored = True
        return self._test(name, True)

    async def tested(self, name: str) -> TestView:
        self._call("peers.tested", name)
        return self._test(name, self.stored)

    async def add(self, **given: Any) -> PeerRow:
        self._call("peers.add", given)
        if not given["ae_title"]:
            raise BadRequest("ae title (): an AE title has at least one character", "capitals matter")
        row = PeerRow(
            given["name"], given["ae_title"], given["host"], given["port"], "", None, 0, "never", None, 0.0, ""
        )
        self.rows.append(row)
        return row

    async def edit(self, name: str, **given: Any) -> PeerRow:
        self._call("peers.edit", (name, given))
        return self._named(name)

    async def rename(self, name: str, to: str) -> PeerRow:
        self._call("peers.rename", (name, to))
        at = self.rows.index(self._named(name))
        self.rows[at] = replace(self.rows[at], name=to)
        return self.rows[at]

    async def removal(self, name: str) -> Removal:
        self._call("peers.removal", name)
        return Removal(name, ("the route night sends to it",))

    async def remove(self, name: str) -> None:
        self._call("peers.remove", name)
        self.rows.remove(self._named(name))

    async def preview_import(self, csv: str) -> PeerPlan:
        self._call("peers.preview_import", csv)
        lines = (
            PeerLine(2, "US3", "create", "US3 at 10.0.4.13:104"),
            PeerLine(3, "[/]", "nothing", "is as the file says"),
        )
        return PeerPlan(lines, 0, 1)

    async def import_csv(self, csv: str) -> PeerPlan:
        plan = await self.preview_import(csv)
        self._call("peers.import_csv", csv)
        return plan

    async def export_csv(self) -> str:
        self._call("peers.export_csv")
        return "name\r\nCT1\r\n"

    async def callers(self, ignored: bool = False) -> CallersView:
        self._call("peers.callers", ignored)
        rows = tuple(row for row in self.strangers if ignored or not row.ignored)
        return CallersView(rows, sum(row.ignored for row in self.strangers), 4)

    def _mark(self, ident: int, ignored: bool) -> None:
        self.strangers = [replace(row, ignored=ignored) if row.id == ident else row for row in self.strangers]

    async def ignore(self, id: int) -> None:
        self._call("peers.ignore", id)
        self._mark(id, True)

    async def notice(self, id: int) -> None:
        self._call("peers.notice", id)
        self._mark(id, False)
