"""The noun ``hl7`` of the node that is not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pacstui.contract.hl7 import (
    FieldText,
    Hl7View,
    MessagePage,
    MessageRow,
    MessageView,
    OutgoingPage,
    OutgoingRow,
    ReceiverRow,
    SegmentText,
    SenderRow,
)
from pacstui.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from tests.screens.fake_client import FakeClient

RAW = (
    "MSH|^~\\&|RIS|HOSPITAL|PACS|HERE|20260101120000||ADT^A08|C1|P|2.5\n"
    "PID|1||P1^^^HOSP||D[/]E^JANE^\x1b[2J||19700199|F\n"
    "OBX|1|ED|PDF||^application^pdf^Base64^" + "JVBERi0x" * 40
)
WHY = "birth date 19700199 is none, of D[/]E \x1b[2J"
HINT = "correct PID-7 and act on it"


class FakeHl7:
    """Answers as the room does; ``rows``, ``out`` and ``receiving`` are what tests put there."""

    def __init__(self, world: FakeClient, call: Any) -> None:
        self._world = world
        self._call = call
        self.view = Hl7View("127.0.0.1:2575", "", 0, 0, 0, 0, 0.0, ())
        self.rows: list[MessageRow] = []
        self.out: list[OutgoingRow] = []
        self.receiving: list[ReceiverRow] = []

    def busy(self, number: int = 30) -> None:
        """Let messages have come, every fifth of which failed, and one receiver be down."""
        at = self._world.at
        self.rows = [self.row(n, "failed" if n % 5 == 0 else "done") for n in range(number, 0, -1)]
        failed = sum(row.state == "failed" for row in self.rows)
        self.view = Hl7View(
            "127.0.0.1:2575", "", number, failed, 2, 1, 3.2,
            (SenderRow("RIS", "HOSPITAL", "10.0.0.1", 1, number - 1, failed, at - timedelta(seconds=3), 12.0),
             SenderRow("[/]\x1b[2J", "", "10.0.0.2", 0, 1, 0, at - timedelta(hours=3, minutes=10), 0.0)),
        )  # fmt: skip
        self.out = [self.outgoing_row(n, ("waiting", "failed", "sent")[n % 3]) for n in range(12, 0, -1)]
        self.receiving = [
            ReceiverRow("EMR", "emr:2575", 4, 4, 100, at - timedelta(minutes=9), "down",
                        "emr:2575 refuses the connection: nothing listens there; tried again in 0:41",
                        "start it, or correct host and port", at - timedelta(minutes=10)),
            ReceiverRow("VIEWER", "viewer:2575", 0, 0, 12, None, "idle", "idle", "", at),
        ]  # fmt: skip

    def row(self, ident: int, state: str = "done", **more: Any) -> MessageRow:
        """Return a message."""
        bad = state == "failed"
        row = MessageRow(
            ident, self._world.at - timedelta(minutes=ident), "RIS", "HOSPITAL", "10.0.0.1", "ADT^A08", f"C{ident}",
            state, "AE" if bad else "AA", WHY if bad else f"patient P{ident} updated", HINT if bad else "", f"P{ident}",
            f"A{ident}", 300,
        )  # fmt: skip
        return replace(row, **more)

    def outgoing_row(self, ident: int, state: str = "waiting", **more: Any) -> OutgoingRow:
        """Return an outgoing message."""
        bad = state == "failed"
        row = OutgoingRow(
            ident, self._world.at - timedelta(minutes=ident), "EMR", "ORU^R01", f"PC{ident}", "study received", state,
            int(bad), None, "AE" if bad else "AA" if state == "sent" else "",
            "it found an error in the message: PID-3: P7 is not known [/]" if bad else "", "mend it" if bad else "",
            f"P{ident}", f"A{ident}",
        )  # fmt: skip
        return replace(row, **more)

    async def show(self) -> Hl7View:
        self._call("hl7.show")
        return self.view

    async def messages(
        self, search: str = "", state: str = "", kind: str = "", before: int = 0, limit: int = 100
    ) -> MessagePage:
        self._call("hl7.messages", (search, state, kind, before))
        found = [
            row for row in self.rows
            if state in ("", row.state) and kind in ("", row.kind) and (not before or row.id < before)
            and search in f"{row.sender} {row.patient_id} {row.text}"
        ]  # fmt: skip
        page: MessagePage = self._world.fit(
            MessagePage(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else 0)
        )
        return page

    async def message(self, id: int) -> MessageView:
        self._call("hl7.message", id)
        row = next((row for row in self.rows if row.id == id), None)
        if row is None:
            raise NotFound(f"there is no message {id}", "it was removed")
        wrong = ("PID-7",) if row.state == "failed" else ()
        segments = (
            SegmentText("MSH", "message header", (FieldText("MSH-9", "message type", "ADT^A08"),)),
            SegmentText(
                "PID", "patient",
                (FieldText("PID-3", "patient identifiers", "P1"), FieldText("PID-5", "patient name", "D[/]E \x1b[2J"),
                 FieldText("PID-7", "birth date", "19700199"), FieldText("PID-8", "sex", '""')), wrong,
            ),
        )  # fmt: skip
        view: MessageView = self._world.fit(
            MessageView(row, RAW, "UNICODE UTF-8", segments, "MSH|^~\\&|PACS\nMSA|AE|C1", 0, (99,) if id == 5 else ())
        )
        return view

    async def replay(self, ids: tuple[int, ...]) -> tuple[MessageRow, ...]:
        self._call("hl7.replay", ids)
        return tuple(self.row(100 + n, "failed" if n == 0 and len(ids) > 1 else "done") for n, _ in enumerate(ids))

    def _acted(self, ident: int, text: str) -> MessageRow:
        if not text.startswith("MSH"):
            raise BadRequest("a message begins with MSH", "leave the first line as it is")
        bad = "19700199" in text
        return self.row(ident, "failed" if bad else "done", id=ident)

    async def trial(self, id: int, text: str) -> MessageRow:
        self._call("hl7.trial", (id, text))
        return self._acted(0, text)

    async def resubmit(self, id: int, text: str) -> MessageRow:
        self._call("hl7.resubmit", (id, text))
        row = self._acted(200, text)
        self.rows = [replace(each, state="resolved", by="op1") if each.id == id else each for each in self.rows]
        return row

    async def ignore(self, ids: tuple[int, ...], why: str) -> int:
        self._call("hl7.ignore", (ids, why))
        self.rows = [replace(each, state="ignored", by="op1") if each.id in ids else each for each in self.rows]
        return len(ids)

    async def receivers(self) -> tuple[ReceiverRow, ...]:
        self._call("hl7.receivers")
        return tuple(self.receiving)

    async def outgoing(
        self, destination: str = "", state: str = "", search: str = "", before: int = 0, limit: int = 100
    ) -> OutgoingPage:
        self._call("hl7.outgoing", (destination, state, search, before))
        found = [
            row for row in self.out
            if destination in ("", row.destination) and state in ("", row.state) and (not before or row.id < before)
        ]  # fmt: skip
        page: OutgoingPage = self._world.fit(
            OutgoingPage(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else 0)
        )
        return page

    async def outgoing_message(self, id: int) -> MessageView:
        self._call("hl7.outgoing_message", id)
        out = next(row for row in self.out if row.id == id)
        row = self.row(id, out.state, kind=out.kind, control=out.control, text=out.text)
        return MessageView(row, RAW, "UNICODE UTF-8", (), "MSA|AE|PC1")

    async def preview(self, notification: str, study: str = "", order: int = 0) -> tuple[Any, ...]:
        self._call("hl7.preview", notification)
        return ()

    def _did(self, name: str, ids: tuple[int, ...], destination: str) -> int:
        self._call(f"hl7.{name}", (ids, destination))
        return len(ids) or 8

    async def send_again(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        return self._did("send_again", ids, destination)

    async def drop(self, ids: tuple[int, ...]) -> int:
        return self._did("drop", ids, "")

    async def hold(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        return self._did("hold", ids, destination)

    async def release(self, ids: tuple[int, ...] = (), destination: str = "") -> int:
        return self._did("release", ids, destination)
