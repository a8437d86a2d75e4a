"""A node that is not there: believable, moving, and full of what a bad day brings. Same attributes as ApiClient."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from pacstui.contract import Danger, all_actions, permissions, privacy
from pacstui.contract.accounts import (
    AccountDetail,
    AccountRow,
    DirectoryStep,
    Enrolment,
    ImportLine,
    ImportPlan,
    Me,
    PermissionRow,
    RecoveryCodes,
    Review,
    ReviewRow,
    RoleRow,
    RolesView,
    Secret,
    SessionRow,
    SignedIn,
    TokenRow,
    UseRow,
)
from pacstui.contract.associations import (
    AssociationDetail,
    AssociationRow,
    ContextRow,
    KeyText,
    Moment,
    QueryText,
    RefusalRow,
)
from pacstui.contract.audit import AuditPage, AuditRow, AuditState, Flaw, Verdict
from pacstui.contract.feed import FeedRow
from pacstui.contract.jobs import JobRow, JobsView, KindRow, ParameterRow, PlannedRow, RunLine, RunRow
from pacstui.contract.node import (
    ArchivePart,
    AssociationsPart,
    History,
    HistoryPoint,
    NodePart,
    Problem,
    QueuePart,
    Rates,
    Status,
)
from pacstui.contract.overview import View
from pacstui.contract.queue import QueueView, ReceivingRow
from pacstui.contract.remote import Comparison, PullRow, RemotePage, RemoteStudy
from pacstui.contract.storage import DayUse, MissingRow, QuarantineRow, StorageView
from pacstui.contract.studies import SeriesRow, StudyDetail, StudyPage, StudyRow
from pacstui.errors import BadRequest, CodeNeeded, Denied, NotFound, NotRunning, PacsError, Unconfirmed
from tests.screens.fake_backups import FakeBackups, FakeRuns
from tests.screens.fake_exceptions import FakeCorrections, FakeExceptions
from tests.screens.fake_hl7 import FakeHl7
from tests.screens.fake_maintenance import FakeMaintenance
from tests.screens.fake_merges import FakeMerges
from tests.screens.fake_peers import FakePeers
from tests.screens.fake_queue import FakeQueue, FakeRoutes
from tests.screens.fake_space import FakeSpace
from tests.screens.fake_worklist import FakeWorklist

START = datetime(2026, 11, 25, 14, 3, 22, tzinfo=UTC)

NASTY_NAMES = (
    "[/]^A",
    "[/bold]X",
    "A\x1b[2JB",
    "TEST\x1b]52;c;eA==\x07^OSC",
    "TEST\x1b]0;owned\x07",
    "\x07BELL^TEST",
    "x [b",
    "[link=file:///x]",
    "^^^^",
    "",
    "=\u5c71\u7530^\u592a\u90ce",
    "\ud64d^\uae38\ub3d9",
    "TEST\u202e^ROVER",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 8,
)
NAMES = ("DOE^JANE", "DOE^JOHN", "TEST^ANNA", "SAMPLE^PETER", "M\u00dcSTER^ERIKA", "TEST^MARIA^LUISE", "EXAMPLE^OTTO")
DESCRIPTIONS = ("CT CHEST W CONTRAST", "MR BRAIN", "[00] foo", "US ABDOMEN", "MG SCREENING", "CR HAND LEFT", "CT HEAD")
MODALITIES = ("CT", "MR", "US", "MG", "CR")


def _name(number: int) -> str:
    if number < len(NASTY_NAMES):
        return NASTY_NAMES[number]
    return NAMES[number % len(NAMES)]


def study_row(key: int, total: int) -> StudyRow:
    """Return the study with this key; the newest has the highest."""
    age = total - key
    rng = random.Random(key)
    modality = MODALITIES[age % len(MODALITIES)]
    when = START - timedelta(minutes=7 * age)
    images = rng.choice((1, 2, 24, 118, 412, 1204))
    return StudyRow(
        key=key,
        study=f"1.2.826.0.1.3680043.8.498.{key}",
        patient_name=_name(age),
        patient_id="" if age == 9 else f"P{key:06d}",
        issuer="",
        birth_date="19700101",
        sex="F",
        date=when.strftime("%Y%m%d"),
        time=when.strftime("%H%M%S"),
        modalities=(modality, "SR") if age % 11 == 3 else (modality,),
        description=DESCRIPTIONS[age % len(DESCRIPTIONS)],
        accession=f"A{key:05d}",
        series=rng.randint(1, 9),
        instances=images,
        bytes=images * 524_288,
        received=when,
        marked=age == 4,
        changed=when + timedelta(minutes=2),
        conflict="objects of patient P7 came under a study of P8" if age == 6 else "",
    )


VIEWER = tuple(
    name for name in permissions()
    if name.endswith(".view") and name not in ("patients.view", "accounts.view", "audit.view")
)  # fmt: skip
ROLES = {"viewer": VIEWER, "operator": (*VIEWER, "associations.abort", "peers.echo"), "administrator": permissions()}


def account_row(name: str, role: str = "viewer", **more: object) -> AccountRow:
    """Return an account."""
    row = AccountRow(
        name, "", "", "person", role, "", "active", "set", False, None, None, START - timedelta(days=30),
        START - timedelta(hours=2), 0, "",
    )  # fmt: skip
    return replace(row, **more)  # type: ignore[arg-type]


def account_rows() -> list[AccountRow]:
    """Return the accounts that are there at the beginning."""
    return [
        account_row("[/]\x1b[2J", full_name="[bold]x", os_user="\x07", notes="[/bold]", password="none"),
        account_row("ct1-scanner", kind="service", password="passcode", last_sign_in=None),
        account_row("gone", state="disabled", full_name="Erika Example", last_sign_in=None, password="one-time"),
        account_row("locked", "operator", state="locked", locked_until=START + timedelta(minutes=4)),
        account_row("op1", "administrator", full_name="Otto Example", os_user="root", sessions=2),
        account_row("view1", full_name="Vera Viewer", expires=START + timedelta(days=3)),
    ]


class FakeClient:
    """Serves all nouns. ``speed`` 0 is an idle node; tests move time with :meth:`advance`."""

    def __init__(self, *, studies: int = 10_000, speed: float = 1.0, problems: int = 2, seed: int = 7) -> None:
        self.random = random.Random(seed)
        self.speed = speed
        self.at = START
        self.started = START - timedelta(hours=5)
        self.total = studies
        self.down = False
        self.pid = 4711
        self.calls: list[tuple[str, object]] = []
        self.steps = 0
        self.closed = False
        self.token = ""
        self.os_user = "root"
        self.os_account = "op1"
        self.denied: PacsError | None = None
        self.unconfirmed = False
        self.lock_s = 0.0
        self.people = account_rows()
        self.tokens: list[TokenRow] = []
        self.passwords = {"op1": "right password", "view1": "view1 password"}
        self.must_change: set[str] = set()
        self.must_set_up: set[str] = set()
        self.codes: dict[str, str] = {}
        self.setting_up: set[str] = set()
        self.sign_ins: dict[str, str] = {}
        self.roles = dict(ROLES)
        self.patterns = {name: ("*.view", "!patients.view") if name == "viewer" else ("*",) for name in ROLES}
        self.entries = 450
        self.flaws: tuple[Flaw, ...] = ()
        self._feed: list[FeedRow] = []
        self._rows: list[AssociationRow] = []
        self._ended: list[AssociationRow] = []
        self._next = 8837
        self._instances = [0] * 120
        self._bytes = [0] * 120
        self._today = 18_200_000_000
        self._problems = self._make_problems(problems)
        self._refusals = self._make_refusals() if problems else ()
        self.changed = asyncio.Event()
        self.associations = _Associations(self)
        self.overview = _Overview(self)
        self.node = _Node(self)
        self.storage = _Storage(self)
        self.queue = FakeQueue(self, self.storage._call)
        self.routes = FakeRoutes(self, self.storage._call)
        self.hl7 = FakeHl7(self, self.storage._call)
        self.space = FakeSpace(self, self.storage._call)
        self.maintenance = FakeMaintenance(self, self.storage._call)
        self.worklist = FakeWorklist(self, self.storage._call)
        self.exceptions = FakeExceptions(self, self.storage._call)
        self.corrections = FakeCorrections(self, self.storage._call)
        self.merges = FakeMerges(self, self.storage._call)
        self.peers = FakePeers(self, self.storage._call)
        self.studies = _Studies(self)
        self.feed = _Feed(self)
        self.remote = _Remote(self)
        self.accounts = _Accounts(self)
        self.audit = _Audit(self)
        self.jobs = _Jobs(self)
        self.job_rows: list[JobRow] = job_rows()
        self.job_runs: list[RunRow] = job_runs()
        self.paused = ""
        self.backups = FakeBackups(self)
        self.saved: dict[str, int] = {}
        self.fetching: list[PullRow] = []
        self.missing: list[MissingRow] = []
        self._history()
        if speed:
            for row in (
                ("CT1", "stores", "CT", 41.0),
                ("MR2", "stores", "MR", 12.0),
                ("[/]^A\x1b[2J", "idle", "", 0.0),
            ):
                self._open(*row)
            for _ in range(130):
                self.advance(1.0)

    # the world

    def _make_problems(self, number: int) -> tuple[Problem, ...]:
        known = (
            Problem(
                "refusals",
                'XRAY9 is refused again and again: it calls "PACS", we are "RADNODE1"',
                "set the remote AE title to RADNODE1 on XRAY9",
                self.at - timedelta(hours=2),
                "associations",
            ),
            Problem(
                "quarantine",
                "3 objects were set aside because another content has their UID",
                "compare them with the stored ones: storage",
                self.at - timedelta(minutes=40),
                "storage",
            ),
            Problem(
                "space",
                "the archive's disk is 97 % full [/bold]",
                "add space or move the archive",
                self.at - timedelta(minutes=5),
                "storage",
            ),
        )
        return known[:number]

    def _make_refusals(self) -> tuple[RefusalRow, ...]:
        day = self.at
        return (
            RefusalRow(
                8835,
                "XRAY9",
                "PACS",
                "10.0.4.17:51022",
                'calls "PACS", we are "RADNODE1"',
                "set the remote AE title to RADNODE1 (capitals matter)",
                3,
                day - timedelta(hours=3),
                day - timedelta(minutes=5),
            ),
            RefusalRow(
                8832,
                "[/]\x1b[2J",
                "RADNODE1",
                "10.0.4.99:40001",
                "is no known peer",
                "add it as a peer",
                1,
                day - timedelta(hours=1),
                day - timedelta(hours=1),
            ),
        )

    def _history(self) -> None:
        lines = (
            ("info", "node", "started; 9,812,440 instances in 38,120 studies", "", 0),
            ("warn", "[/]\x1b[2J", "refused: is no known peer", "add it as a peer", 8832),
            ("warn", "XRAY9", 'refused: calls "PACS", we are "RADNODE1"', "set the remote AE title to RADNODE1", 8835),
            (
                "fail",
                "US3",
                "object refused, A900H: data set has no Series Instance UID [/bold]",
                "look at the device's export settings",
                8836,
            ),
            ("warn", "MR2", "duplicate instance with other content, set aside", "see storage", 8836),
            ("info", "peers", "echo to WS-RAD3 ok in 3 ms", "", 0),
        )
        for number, (level, source, text, hint, association) in enumerate(lines):
            self.say(level, source, text, hint, association, at=self.at - timedelta(minutes=40 - 6 * number))
        for row in self._refusals:
            self._ended.append(
                AssociationRow(
                    row.id, "", row.calling, row.called, row.address, "refused", "", "", 0, 0, 0.0, 0, row.last, 0.0
                )
            )
        self._ended.append(
            AssociationRow(
                8836,
                "MR2",
                "MR2",
                "RADNODE1",
                "10.0.4.12:50111",
                "lost",
                "",
                "MR",
                60,
                1,
                0.0,
                31_000_000,
                self.at - timedelta(minutes=30),
                14.0,
            )
        )

    def say(
        self,
        level: str,
        source: str,
        text: str,
        hint: str = "",
        association: int = 0,
        at: datetime | None = None,
    ) -> FeedRow:
        """Add a line to the feed."""
        row = FeedRow(len(self._feed) + 1, at or self.at, level, source, text, hint, association, 1)
        self._feed.append(row)
        return row

    def _open(self, calling: str, doing: str, modality: str, rate: float) -> None:
        self._next += 1
        self._rows.append(
            AssociationRow(
                self._next,
                "" if calling.startswith("[") else calling,
                calling,
                "RADNODE1",
                f"10.0.4.{self._next % 200 + 10}:{50000 + self._next % 1000}",
                "open",
                doing,
                modality,
                0,
                0,
                rate,
                0,
                self.at,
                0.0,
            )
        )

    def advance(self, seconds: float) -> None:
        """Let the world go on."""
        self.at += timedelta(seconds=seconds)
        self.steps += 1
        if not self.speed:
            self.changed.set()
            return
        moved = size = 0
        kept: list[AssociationRow] = []
        for row in self._rows:
            rate = max(0.0, row.rate * self.random.uniform(0.85, 1.15)) if row.doing == "stores" else 0.0
            more = int(rate * seconds * self.speed)
            moved += more
            size += more * 524_288
            new = replace(
                row,
                rate=rate,
                stored=row.stored + more,
                seconds=row.seconds + seconds,
                received_bytes=row.received_bytes + more * 524_288,
            )
            if new.seconds > 60 and self.random.random() < 0.2 and row.doing == "stores":
                self._ended.append(replace(new, state="released", doing="", rate=0.0))
                self.say("info", new.peer, f"{DESCRIPTIONS[new.id % 7]}, {new.stored} images, stored", "", new.id)
            else:
                kept.append(new)
        self._rows = kept
        if len(kept) < 4 and self.random.random() < 0.3:
            self._open(
                self.random.choice(("CT1", "MR2", "US3", "MG4", "CR5")),
                "stores",
                self.random.choice(MODALITIES),
                self.random.uniform(4, 60),
            )
        wave = 0.6 + 0.4 * math.sin(self.steps / 9)
        self._instances = [*self._instances[1:], int(moved * wave)]
        self._bytes = [*self._bytes[1:], int(size * wave)]
        self._today += size
        self.changed.set()

    # views

    def status(self) -> Status:
        """Return the page of truth."""
        return Status(
            health="ok" if not self._problems else "degraded",
            node=NodePart(
                "0.1.0",
                self.pid,
                (self.at - self.started).total_seconds(),
                "RADNODE1",
                "127.0.0.1:11112",
                "/srv/pacs",
                "op1 (operator)",
            ),
            associations=AssociationsPart(len(self._rows), 212, 4, 100),
            archive=ArchivePart(21_004, self.total, 120_400, 9_812_440, 2_130_000_000_000, 1_870_000_000_000, 3),
            queue=QueuePart(
                sum(row.waiting for row in self.queue.destinations),
                0,
                sum(row.failed for row in self.queue.destinations),
                0,
            ),
            jobs={},
            backups=dict(self.saved),
            hl7={},
            alerts=self._problems,
            exceptions=self.exceptions.counts,
            worklist=dict(self.worklist.counts),
        )

    def rates(self) -> Rates:
        """Return what moves."""
        return Rates(
            sum(self._instances[-5:]) / 5, sum(self._bytes[-5:]) / 5, 0.0, tuple(self._instances), tuple(self._bytes)
        )

    def queue_view(self) -> QueueView:
        """Return both directions."""
        rows = []
        for number, row in enumerate(r for r in self._rows if r.doing == "stores"):
            rows.append(
                ReceivingRow(
                    f"1.2.826.0.1.3680043.8.498.{self.total - number}",
                    row.calling,
                    _name(row.id % 5 or 10),
                    f"P{row.id:06d}",
                    row.modality,
                    DESCRIPTIONS[row.id % 7],
                    row.stored,
                    0,
                    row.received_bytes,
                    row.rate,
                    row.opened,
                    self.at,
                    "receiving",
                )
            )
        return QueueView(tuple(rows), tuple(self.queue.destinations), 2 if rows else 0)

    def storage_view(self) -> StorageView:
        """Return the disk."""
        days = tuple(
            DayUse(date(2026, 11, 25) - timedelta(days=13 - n), 30_000 + 900 * n, 12_000_000_000 + 480_000_000 * n)
            for n in range(14)
        )
        return StorageView(
            "/srv/pacs",
            4_000_000_000_000,
            1_870_000_000_000,
            2_130_000_000_000,
            268_435_456,
            self._today,
            18_000_000_000.0,
            date(2027, 3, 3),
            0.8,
            0.4,
            True,
            "",
            days,
        )

    def view(self, after: int = 0) -> View:
        """Return the dashboard."""
        return View(
            self.at,
            self.status(),
            self.rates(),
            tuple(self._rows),
            self._refusals,
            self.queue_view(),
            self.storage_view(),
            tuple(row for row in self._feed if row.id > after),
            tuple(reversed(self._ended[-10:])),
        )

    def check(self) -> None:
        """Raise as a client does whose node is away."""
        if self.down:
            raise NotRunning("no node answers on /srv/pacs/control.sock", "start it with: pacstui serve")

    @property
    def account(self) -> AccountRow | None:
        """The caller's account."""
        name = self.sign_ins.get(self.token, "") if self.token else self.os_account
        row = next((row for row in self.people if row.name == name), None)
        return row if row is not None and row.state not in ("disabled", "expired") else None

    def me(self) -> Me:
        """Return who calls."""
        row = self.account
        if row is None:
            why = "this sign-in has ended" if self.token else f"{self.os_user} has no account on this node"
            return Me("", "", "", (), self.os_user, "", False, False, 0.0, why)
        must = bool(self.token) and row.name in self.must_change
        set_up = bool(self.token) and row.name in self.must_set_up and row.name not in self.codes
        may = () if must or set_up else tuple(sorted(self.roles.get(row.role, ())))
        how = "password" if self.token else "OS user"
        lockable = row.name in self.passwords
        return Me(
            row.name, row.full_name, row.role, may, self.os_user, how, must, lockable, self.lock_s, "",
            row.name in self.codes, set_up and not must, row.origin == "directory",
        )  # fmt: skip

    def see_code(self, name: str, code: str) -> None:
        """Raise as the node does when a code is missing or wrong."""
        if name in self.codes and not code:
            raise CodeNeeded("a code of your second factor is needed too", "the six digits of your device")
        if name in self.codes and code != self.codes[name]:
            raise Denied("the code is wrong", "a recovery code does it too")

    def require(self, permission: str) -> None:
        """Raise as the node does when the caller lacks a permission."""
        me = self.me()
        if self.denied is not None and permission:
            raise self.denied
        if not me.account and permission:
            raise Denied(me.text)
        if permission and permission not in me.permissions:
            raise Denied(f"{me.account} may not do this: it takes the permission {permission}")

    def fit(self, value: Any) -> Any:
        """Return what this caller may see of a value."""
        return value if "patients.view" in self.me().permissions else privacy.masked(value)

    async def stream(self, interval: float) -> AsyncIterator[View]:
        """Yield a view at each interval; time moves as fast as it does outside."""
        seen = 0
        while True:
            self.check()
            self.require("node.view")
            view = self.fit(self.view(seen))
            if view.feed:
                seen = view.feed[-1].id
            yield view
            await asyncio.sleep(interval)
            self.advance(interval)

    async def close(self) -> None:
        """Hang up."""
        self.closed = True


class SteppedClient(FakeClient):
    """Yields a view when a test calls :meth:`step`, and only then."""

    def __init__(self, *, studies: int = 10_000, speed: float = 1.0, problems: int = 2) -> None:
        super().__init__(studies=studies, speed=speed, problems=problems)
        self._go: asyncio.Queue[None] = asyncio.Queue()

    def step(self, seconds: float = 1.0) -> None:
        """Let time pass and send the next view."""
        self.advance(seconds)
        self._go.put_nowait(None)

    def poke(self) -> None:
        """Send a view at the present time."""
        self._go.put_nowait(None)

    async def stream(self, interval: float) -> AsyncIterator[View]:
        seen = 0
        while True:
            self.check()
            self.require("node.view")
            view = self.fit(self.view(seen))
            if view.feed:
                seen = view.feed[-1].id
            yield view
            await self._go.get()


class _Noun:
    def __init__(self, world: FakeClient) -> None:
        self._world = world

    def _call(self, name: str, argument: object = None) -> FakeClient:
        self._world.check()
        action = all_actions()[name]
        self._world.require(action.permission)
        if action.danger is Danger.TYPE_NAME and self._world.unconfirmed:
            raise Unconfirmed(f"{action.noun} {action.verb} takes your password once more")
        self._world.calls.append((name, argument))
        return self._world


class _Overview(_Noun):
    async def show(self, feed_after: int = 0) -> View:
        return self._call("overview.show").view(feed_after)


class _Associations(_Noun):
    async def list(self, ended: bool = False) -> tuple[AssociationRow, ...]:
        world = self._call("associations.list", ended)
        return (*world._ended, *world._rows) if ended else tuple(world._rows)

    async def show(self, id: int) -> AssociationDetail:
        world = self._call("associations.show", id)
        for row in (*world._rows, *world._ended):
            if row.id == id:
                return self._detail(row)
        raise NotFound(f"association {id} is not remembered any more", "the feed keeps its line")

    def _detail(self, row: AssociationRow) -> AssociationDetail:
        refused = row.state == "refused"
        contexts = (
            ContextRow(1, "1.2.840.10008.1.1", "Verification", ("Implicit LE",), "" if refused else "Implicit LE", 0),
            ContextRow(
                3,
                "1.2.840.10008.5.1.4.1.1.2",
                "CT Image Storage",
                ("Explicit LE", "Implicit LE", "[/bold]"),
                "" if refused else "Explicit LE",
                0,
            ),
            ContextRow(5, "1.2.3.4", "unknown \x1b[2J 1.2.3.4", ("JPEG Lossless SV1",), "", 3),
        )
        return AssociationDetail(
            row=row,
            title="Refused: called AE title unknown" if refused else f"{row.state}, {row.doing or 'ended'}",
            answer="A-ASSOCIATE-RJ, permanent, service user, called AE title not recognized (1/1/7)" if refused else "",
            remedies=(
                "on XRAY9: set the remote AE title to RADNODE1 (capitals matter)",
                'or here: add "PACS" to [dicom] aliases in the settings file',
            )
            if refused
            else (),
            implementation="OFFIS_DCMTK_367 1.2.276.0.7230010.3.0.3.6.7",
            max_pdu=16384,
            user="",
            contexts=contexts,
            timeline=(
                Moment(row.opened, "connected"),
                Moment(row.opened + timedelta(milliseconds=4), "A-ASSOCIATE-RQ"),
                Moment(row.opened + timedelta(milliseconds=5), "rejected" if refused else "accepted"),
            ),
            messages={} if refused else {"C-STORE-RQ": row.stored, "C-ECHO-RQ": 1},
            receiving="" if refused or row.state != "open" else "CT 1.2.826.0.1.3680043.8.498.77",
            receiving_bytes=131_072,
            refused_today=3 if refused else 0,
            queries=() if refused else (
                QueryText(row.opened, "Modality Worklist FIND", "", (), 14, 212, "ended with A700H"),
                QueryText(
                    row.opened, "Modality Worklist FIND", "",
                    (KeyText("Modality", "CT [/]\x1b[2J"), KeyText("PatientName", "", "TESTA*")), 12, 0, "done",
                ),
            ),
        )  # fmt: skip

    async def refusals(self) -> tuple[RefusalRow, ...]:
        return self._call("associations.refusals")._refusals

    async def abort(self, id: int) -> None:
        world = self._call("associations.abort", id)
        for row in world._rows:
            if row.id == id:
                world._rows.remove(row)
                world._ended.append(replace(row, state="aborted", doing="", rate=0.0))
                world.say("warn", row.calling, "aborted by op1", "", id)
                return
        raise NotFound(f"association {id} has ended already")


class _Node(_Noun):
    async def status(self) -> Status:
        return self._call("node.status").status()

    async def history(self, minutes: int = 180) -> History:
        world = self._call("node.history", minutes)
        return History(
            tuple(
                HistoryPoint(world.at - timedelta(minutes=minutes - n), 900 + n, (900 + n) * 524_288, 3, 0)
                for n in range(minutes)
            )
        )

    async def stop(self) -> None:
        self._call("node.stop").down = True


class _Storage(_Noun):
    async def show(self) -> StorageView:
        return self._call("storage.show").storage_view()

    async def reindex(self) -> None:
        self._call("storage.reindex")

    async def missing(self, limit: int = 100, study: str = "") -> tuple[MissingRow, ...]:
        world = self._call("storage.missing", (limit, study))
        return tuple(row for row in world.missing if study in ("", row.study))[:limit]

    async def quarantine(self, limit: int = 100) -> tuple[QuarantineRow, ...]:
        world = self._call("storage.quarantine", limit)
        return tuple(
            QuarantineRow(
                n,
                world.at - timedelta(minutes=50 - n),
                f"1.2.3.{n}",
                "MR2",
                "another content under a stored SOP Instance UID [/]",
                f"quarantine/{n}.dcm",
                524_288,
            )
            for n in range(1, 4)
        )


class _Studies(_Noun):
    async def list(
        self, search: str = "", limit: int = 100, before: int | None = None, only: str = "", after: int | None = None
    ) -> StudyPage:
        world = self._call("studies.list", (search, limit, before, *([only] if only else [])))
        if search:
            world.require("patients.view")
        page = self._list(world, search, limit, before, only, after)
        pinned = world.space.pinned
        return world.fit(replace(page, rows=tuple(replace(r, pinned=pinned.get(r.study, "")) for r in page.rows)))

    def _list(
        self, world: FakeClient, search: str, limit: int, before: int | None, only: str, after: int | None
    ) -> StudyPage:
        if after is not None:
            above = range(min(world.total, after + limit), after, -1)
            rows = tuple(study_row(key, world.total) for key in above)
            return StudyPage(rows, after + 1 if after else None, world.total)
        if only:
            rows = tuple(study_row(key, world.total) for key in range(world.total, world.total - 50, -1))
            doubtful = tuple(row for row in rows if row.conflict)
            return StudyPage(doubtful, None, len(doubtful))
        start = world.total if before is None else before - 1
        if not search:
            keys = range(start, max(0, start - limit), -1)
            rows = tuple(study_row(key, world.total) for key in keys)
            return StudyPage(rows, rows[-1].key if rows and rows[-1].key > 1 else None, world.total)
        found = []
        wanted = search.casefold()
        for key in range(start, max(0, start - 2000), -1):
            row = study_row(key, world.total)
            if wanted in f"{row.patient_name} {row.patient_id} {row.accession} {row.description}".casefold():
                found.append(row)
                if len(found) == limit:
                    return StudyPage(tuple(found), key, 1200)
        return StudyPage(tuple(found), None, len(found))

    async def show(self, study: str) -> StudyDetail:
        world = self._call("studies.show", study)
        key = int(study.rpartition(".")[2])
        row = replace(study_row(key, world.total), pinned=world.space.pinned.get(study, ""))
        series = tuple(
            SeriesRow(
                f"{study}.{n}",
                str(n),
                row.modalities[0],
                ("Scout", "AX 5.0", "[/]COR MPR", "")[n % 4],
                "CT1",
                row.instances // row.series + 1,
                row.bytes // row.series,
            )
            for n in range(1, row.series + 1)
        )
        return world.fit(StudyDetail(row, series, ("CT1",), sum(each.study == study for each in world.missing)))


class _Remote(_Noun):
    async def find(self, peer: str, limit: int = 100, **keys: str) -> RemotePage:
        world = self._call("remote.find", (peer, keys))
        rows = tuple(
            RemoteStudy(f"1.2.{n}", ("DOE^JANE", "[/]^A\x1b[2J")[n % 2], f"P{n}", "19700101", "20261125", "101500",
                        ("CT", "SR"), "CHEST", f"A{n}", 2, 40, 40 if n == 0 else 0)
            for n in range(3)
        )  # fmt: skip
        return RemotePage(peer, rows if "nobody" not in keys.values() else (), bool(world.down))

    async def compare(self, peer: str, study: str) -> Comparison:
        self._call("remote.compare", (peer, study))
        return Comparison(peer, study, 2, 40, 1, ("9.9",), tuple(f"1.2.{n}" for n in range(39)))

    async def pull(self, peer: str, study: str) -> PullRow:
        world = self._call("remote.pull", (peer, study))
        world.fetching.append(
            PullRow(len(world.fetching) + 1, peer, study, "C-GET", "running", 40, 7, 0, world.at, 2.0, "", "")
        )
        return world.fetching[-1]

    async def pulls(self) -> tuple[PullRow, ...]:
        return tuple(reversed(self._call("remote.pulls").fetching))

    async def cancel(self, id: int) -> None:
        self._call("remote.cancel", id)


class _Feed(_Noun):
    async def list(self, after: int = 0, limit: int = 200) -> tuple[FeedRow, ...]:
        return tuple(row for row in self._call("feed.list", after)._feed if row.id > after)[-limit:]


def role_permissions(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return what patterns come to."""
    chosen: set[str] = set()
    for pattern in patterns:
        meant = {name for name in permissions() if fnmatchcase(name, pattern.lstrip("!"))}
        chosen = chosen - meant if pattern.startswith("!") else chosen | meant
    return tuple(sorted(chosen))


class _Accounts(_Noun):
    async def me(self) -> Me:
        self._world.check()
        return self._world.me()

    async def sign_in(self, name: str, password: str, code: str = "") -> SignedIn:
        world = self._call("accounts.sign_in", name)
        row = next((row for row in world.people if row.name == name), None)
        if row is None or world.passwords.get(name) != password or row.state == "disabled":
            raise Denied("name or password is wrong", "capitals matter in passwords")
        world.see_code(name, code)
        token = f"token {len(world.sign_ins)}"
        world.sign_ins[token] = name
        before, world.token = world.token, token
        me = world.me()
        world.token = before
        return SignedIn(token, me)

    async def sign_out(self) -> None:
        world = self._call("accounts.sign_out", self._world.sign_ins.get(self._world.token))
        if not world.token:
            raise BadRequest("you are known by your OS user, there is nothing to sign out of")
        world.sign_ins.pop(world.token, None)

    async def confirm(self, password: str, code: str = "") -> None:
        world = self._call("accounts.confirm")
        row = world.account
        if row is None or world.passwords.get(row.name) != password:
            raise Denied("name or password is wrong", "capitals matter in passwords")
        world.see_code(row.name, code)
        world.unconfirmed = False

    async def begin_totp(self) -> Enrolment:
        world = self._call("accounts.begin_totp")
        row = world.account
        assert row is not None
        if world.unconfirmed:
            raise Unconfirmed("to change your second factor takes your password once more", "")
        world.setting_up.add(row.name)
        secret = "ABCD EFGH IJKL MNOP QRST UVWX YZ23 4567"
        uri = f"otpauth://totp/PACSTUI:{row.name}?secret={secret.replace(' ', '')}&issuer=PACSTUI"
        return Enrolment(row.name, secret, uri)

    async def finish_totp(self, code: str) -> RecoveryCodes:
        world = self._call("accounts.finish_totp")
        row = world.account
        assert row is not None
        if row.name not in world.setting_up:
            raise BadRequest("no second factor is being set up, or that was too long ago", "begin again")
        if code != "123456":
            raise Denied("this code is wrong", "is the clock of the device right? The next code may do")
        world.codes[row.name] = code
        return await self.renew_recovery()

    async def renew_recovery(self) -> RecoveryCodes:
        row = self._world.account
        assert row is not None
        codes = tuple(f"aaaa-bbbb-cccc-ddd{number}" for number in range(10))
        return RecoveryCodes(row.name, codes, "each of these stands for a code of the device, once")

    async def stop_totp(self) -> None:
        world = self._call("accounts.stop_totp")
        row = world.account
        assert row is not None
        world.codes.pop(row.name, None)

    async def reset_totp(self, name: str) -> None:
        world = self._call("accounts.reset_totp", name)
        at = self._at(name)
        world.people[at] = replace(world.people[at], second_factor=False)

    async def check_directory(self, name: str = "") -> tuple[DirectoryStep, ...]:
        return (DirectoryStep("connect", "ok", "it answers", ""),)

    async def set_password(self, old: str, new: str, code: str = "") -> None:
        world = self._call("accounts.set_password")
        row = world.account
        if row is None:
            raise Denied(world.me().text)
        if world.passwords.get(row.name, "") != old:
            raise Denied("name or password is wrong", "capitals matter in passwords")
        if len(new) < 12:
            raise BadRequest("a password has at least 12 characters", "several words are easy to remember")
        world.passwords[row.name] = new
        world.must_change.discard(row.name)

    def _at(self, name: str) -> int:
        for at, row in enumerate(self._world.people):
            if row.name == name:
                return at
        raise NotFound(f"there is no account {name}", "pacstui accounts list shows all")

    async def list(self, search: str = "") -> tuple[AccountRow, ...]:
        world = self._call("accounts.list", search)
        return tuple(sorted(world.people, key=lambda row: row.name))

    async def show(self, name: str) -> AccountDetail:
        world = self._call("accounts.show", name)
        row = world.people[self._at(name)]
        sessions = tuple(SessionRow(n, name, "password", "root", 100 + n, START, 4.0) for n in range(row.sessions))
        may = sorted(world.roles.get(row.role, ()))
        uses = tuple(UseRow(p, START if n % 3 == 0 else None, n % 3) for n, p in enumerate(may))
        return AccountDetail(row, sessions, uses, tuple(t for t in world.tokens if t.account == row.name))

    async def create_token(self, name: str, label: str, permissions: tuple[str, ...] = (), expires: str = "") -> Secret:
        world = self._call("accounts.create_token", (name, label, permissions, expires))
        ident = f"token{len(world.tokens)}"
        world.tokens.append(TokenRow(ident, name, label, permissions, "active", START, "op1", None, None, "", 0))
        return Secret(name, f"pacstui_{ident}_{'0' * 40}", None, f"the token {label}; it is told only now")

    async def revoke_token(self, token: str) -> None:
        world = self._call("accounts.revoke_token", token)
        world.tokens = [each for each in world.tokens if each.id != token]

    async def create(
        self, name: str, role: str = "viewer", full_name: str = "", email: str = "", os_user: str = "",
        kind: str = "person", expires: str = "", notes: str = "",
    ) -> Secret:  # fmt: skip
        world = self._call("accounts.create", (name, role, full_name, os_user, kind))
        if not name or " " in name:
            raise BadRequest(f'"{name}" cannot be the name of an account', "letters, digits and . _ @ -")
        world.people.append(account_row(name, role, full_name=full_name, os_user=os_user, kind=kind))
        if os_user:
            return Secret(name, "", None, f"{os_user} is recognised by the machine, without password")
        return Secret(name, "abcd-efgh-jkmn", START + timedelta(days=1), "good for one sign-in; it is told only now")

    async def edit(self, name: str, **more: str | None) -> AccountRow:
        world = self._call("accounts.edit", (name, more))
        at = self._at(name)
        if more.get("os_user") == "nobody-here":
            raise BadRequest("this machine has no user nobody-here", "write the name that id -un prints")
        world.people[at] = replace(world.people[at], role=more.get("role") or world.people[at].role)
        return world.people[at]

    async def reset_password(self, name: str) -> Secret:
        self._call("accounts.reset_password", name)
        return Secret(name, "qrst-uvwx-yz23", START + timedelta(days=1), "good for one sign-in; it is told only now")

    def _state(self, name: str, state: str) -> None:
        at = self._at(name)
        self._world.people[at] = replace(self._world.people[at], state=state)

    async def disable(self, name: str) -> None:
        self._call("accounts.disable", name)
        self._state(name, "disabled")

    async def enable(self, name: str) -> None:
        self._call("accounts.enable", name)
        self._state(name, "active")

    async def unlock(self, name: str) -> None:
        self._call("accounts.unlock", name)
        self._state(name, "active")

    async def delete(self, name: str) -> None:
        world = self._call("accounts.delete", name)
        del world.people[self._at(name)]

    async def end_session(self, id: int) -> None:
        world = self._call("accounts.end_session", id)
        world.people = [replace(row, sessions=max(0, row.sessions - 1)) for row in world.people]

    async def roles(self) -> RolesView:
        world = self._call("accounts.roles")
        actions = list(all_actions().values())
        rows = tuple(
            PermissionRow(name, tuple(a.label for a in actions if a.permission == name) or ("See who patients are",))
            for name in permissions()
        )
        roles = tuple(
            RoleRow(name, f"What {name} is for [/]", name in ROLES, world.patterns[name], tuple(may),
                    sum(row.role == name for row in world.people))
            for name, may in world.roles.items()
        )  # fmt: skip
        return RolesView(rows, roles)

    async def save_role(self, name: str, permissions: tuple[str, ...], label: str = "") -> RoleRow:
        world = self._call("accounts.save_role", (name, permissions, label))
        if not name.isalnum():
            raise BadRequest(f'"{name}" cannot be the name of a role', "letters, digits, blanks and -")
        world.patterns[name] = permissions
        world.roles[name] = role_permissions(permissions)
        return RoleRow(name, label, False, permissions, world.roles[name], 0)

    async def delete_role(self, name: str) -> None:
        world = self._call("accounts.delete_role", name)
        del world.roles[name]

    def _plan(self, csv: str) -> ImportPlan:
        lines = []
        for number, line in enumerate(csv.splitlines()[1:], 2):
            name = line.partition(",")[0]
            bad = "mistake" in name
            text = "its role is none [/]" if bad else "viewer, one-time password"
            lines.append(ImportLine(number, name, "mistake" if bad else "create", text))
        bad_ones = sum(line.what == "mistake" for line in lines)
        return ImportPlan(tuple(lines), bad_ones, len(lines) - bad_ones)

    async def preview_import(self, csv: str) -> ImportPlan:
        self._call("accounts.preview_import")
        if not csv.startswith("name"):
            raise BadRequest("the first line of the file has no column name", "columns are name, role")
        return self._plan(csv)

    async def import_csv(self, csv: str) -> ImportPlan:
        world = self._call("accounts.import_csv")
        plan = self._plan(csv)
        world.people.extend(account_row(line.name) for line in plan.lines)
        secrets = tuple(Secret(line.name, f"once-{line.name}", None, "told only now") for line in plan.lines)
        return replace(plan, secrets=secrets)

    async def export_csv(self) -> str:
        world = self._call("accounts.export_csv")
        return "name,role\r\n" + "".join(f"{row.name},{row.role}\r\n" for row in world.people)

    async def review(self, days: int = 90) -> Review:
        world = self._call("accounts.review", days)
        rows = tuple(
            ReviewRow(row, () if row.name == "op1" else ("never signed in", "its role [/] is gone"), 14, ("a.view",))
            for row in world.people
        )
        return Review(world.at, days, rows)


KINDS = ("action", "sign-in", "denied", "patients seen", "association refused", "action")


def audit_row(id: int) -> AuditRow:
    """Return an entry of the audit trail."""
    kind = KINDS[id % 6]
    outcome = {"denied": "denied", "association refused": "denied"}.get(kind, "failed" if id % 17 == 5 else "ok")
    return AuditRow(
        id, START - timedelta(minutes=500 - id), kind, outcome, ("op1", "view1", "[/]\x1b[2J")[id % 3], "password",
        "root, process 4711", "accounts.create" if kind == "action" else "", f"target {id}",
        "DOE^JANE" if kind == "patients seen" else "", "[/bold] detail \x07" if id % 4 == 0 else "",
    )  # fmt: skip


class _Audit(_Noun):
    async def list(
        self, search: str = "", who: str = "", kind: str = "", since: str = "", until: str = "", limit: int = 100,
        before: int | None = None,
    ) -> AuditPage:  # fmt: skip
        world = self._call("audit.list", (search, who, kind, since, until, limit, before))
        if since and not since[0].isdigit():
            raise BadRequest(f"{since} is no date", "write 2026-01-31")
        found = []
        for id in range(world.entries if before is None else before - 1, 0, -1):
            row = audit_row(id)
            words = f"{row.who} {row.kind} {row.outcome} {row.action} {row.target} {row.patient} {row.detail}".lower()
            fits = all(word in words for word in search.lower().split())
            if fits and who in ("", row.who) and kind in ("", row.kind):
                if len(found) == limit:
                    return world.fit(AuditPage(tuple(found), found[-1].id))
                found.append(row)
        return world.fit(AuditPage(tuple(found), None))

    async def verify(self) -> Verdict:
        world = self._call("audit.verify")
        text = "the chain is broken" if world.flaws else "every entry is as it was written"
        return Verdict(world.entries, 1, world.entries, world.flaws, text)

    async def export_csv(self, since: str = "", until: str = "") -> str:
        world = self._call("audit.export_csv", (since, until))
        return "id,at\r\n" + "".join(f"{id},x\r\n" for id in range(1, world.entries + 1))

    async def state(self) -> AuditState:
        world = self._call("audit.state")
        return AuditState(world.entries, START - timedelta(days=9), 0, "", 0, "")


def run_row(id: int, job: str, state: str = "done", **more: object) -> RunRow:
    """Return a run that ended an hour before `START`, or is under way."""
    began = START - timedelta(hours=1)
    open_ = state in ("running", "waiting")
    row = RunRow(
        id, job, job, state, "schedule", began, began, None if open_ else began + timedelta(minutes=5), 0.0, 1, 0, 0,
        "", 0, 0, 0.0, 0.0, None, 0, "", "" if open_ else "all is well", "",
    )  # fmt: skip
    return replace(row, **more)  # type: ignore[arg-type]


def job_row(name: str, state: str = "idle", **more: object) -> JobRow:
    """Return a job that runs at night."""
    row = JobRow(
        name, name, f"what {name} does", {}, "daily 02:00", "every day at 02:00", "", "", state != "disabled", "", 0,
        300.0, 0.0, "skip", state, START + timedelta(hours=12), 0, None, 0, "", True,
    )  # fmt: skip
    return replace(row, **more)  # type: ignore[arg-type]


def job_runs() -> list[RunRow]:
    """Return runs, oldest first."""
    return [
        run_row(1, "audit-verify", text="9,812 entries as they were written"),
        run_row(2, "database", "failed", text="the database is damaged: [/bold]\x1b[2J", hint="restore it", errors=1),
        run_row(3, "backup-nas", "warning", late_s=14_400.0, text="2 objects could not be read", hint="see its log"),
        run_row(4, "reindex", "interrupted", text="the node ended in the middle of it"),
        run_row(5, "old-one", "cancelled", text="cancelled by op1"),
        run_row(
            6, "integrity", "running", started=START - timedelta(minutes=10), done=8112, total=19_840, unit="objects",
            done_bytes=4_100_000_000, total_bytes=9_900_000_000, bytes_per_s=31_000_000.0, per_s=61.0, left_s=187.0,
            now="objects/1a/1.2.3 [/]\x1b[2J", started_by="op1",
        ),
    ]  # fmt: skip


def job_rows() -> list[JobRow]:
    """Return the jobs that are there at the beginning."""
    runs = {run.job: run for run in job_runs()}
    return [
        job_row("audit-verify", last=runs["audit-verify"], schedule_text="Sunday at 04:00"),
        job_row("backup-nas", last=runs["backup-nas"], missed=3, window="20:00-06:00", zone="Europe/Berlin"),
        job_row("database", last=runs["database"], schedule_text="Sunday at 04:30", label="check the database"),
        job_row("echo-sweep", quiet=True, schedule_text="every 15 minutes"),
        job_row("integrity", "running", running=6, parameters={"percent": "2"}),
        job_row("old-one", "disabled", last=runs["old-one"], builtin=False),
        job_row("reindex", "waiting", last=runs["reindex"], schedule="", schedule_text="by hand", next_run=None,
                waits="its turn: integrity is at it"),
        job_row("[/]\x1b[2J", "broken", problem="there is no kind of job \"[bold]\" (any more)", kind="[bold]",
                label="[bold]x", next_run=None, builtin=False, schedule_text="[/bold]\x07"),
    ]  # fmt: skip


class _Jobs(_Noun):
    async def list(self) -> JobsView:
        world = self._call("jobs.list")
        running = tuple(run for run in world.job_runs if run.state in ("running", "waiting"))
        recent = tuple(run for run in reversed(world.job_runs) if run.state not in ("running", "waiting"))
        planned = tuple(
            PlannedRow(row.name, at)
            for row in world.job_rows
            for at in [row.next_run or START]
            if row.enabled and row.next_run is not None and at < START + timedelta(days=1)
        )
        return JobsView(bool(world.paused), world.paused, tuple(world.job_rows), running, recent, planned)

    async def history(
        self, job: str = "", limit: int = 100, before: int | None = None, state: str = ""
    ) -> tuple[RunRow, ...]:
        world = self._call("jobs.history", (job, limit, before))
        newest = [run for run in reversed(world.job_runs) if job in ("", run.job)]
        return tuple(run for run in newest if before is None or run.id < before)[:limit]

    def _of_backups(self, id: int) -> FakeRuns | None:
        return None if any(run.id == id for run in self._world.job_runs) else FakeRuns(self._world)

    async def run(self, id: int) -> RunRow:
        other = self._of_backups(id)
        if other is not None:
            return await other.run(id)
        return next(run for run in self._call("jobs.run", id).job_runs if run.id == id)

    async def log(self, id: int, after: int = 0, limit: int = 500) -> tuple[RunLine, ...]:
        other = self._of_backups(id)
        if other is not None:
            return await other.log(id, after, limit)
        world = self._call("jobs.log", (id, after))
        texts = (("info", "begins"), ("warn", "[/] \x1b[2Jslow"), ("fail", f"object 1.2.{id} differs"))
        lines = [RunLine(n, world.at, level, text) for n, (level, text) in enumerate(texts, 1)]
        if world.steps:
            lines.append(RunLine(3 + world.steps, world.at, "info", f"step {world.steps}"))
        return tuple(line for line in lines if line.id > after)

    async def kinds(self) -> tuple[KindRow, ...]:
        self._call("jobs.kinds")
        return (
            KindRow("integrity", "read objects back", "Reads objects back.", (
                ParameterRow("percent", "how much [/]", "2"), ParameterRow("depth", "how", "quick", ("quick", "full")),
            )),
            KindRow("database", "check the database", "Looks whether it is sound.", ()),
        )  # fmt: skip

    def _change(self, name: str, **more: object) -> JobRow:
        world = self._world
        at = next(at for at, row in enumerate(world.job_rows) if row.name == name)
        world.job_rows[at] = replace(world.job_rows[at], **more)  # type: ignore[arg-type]
        return world.job_rows[at]

    async def start(self, job: str) -> RunRow:
        world = self._call("jobs.start", job)
        row = next(row for row in world.job_rows if row.name == job)
        if row.state in ("running", "broken"):
            raise BadRequest(f"{job} cannot begin: {row.problem or 'is at it already'}", "change the job")
        run = run_row(len(world.job_runs) + 1, job, "running", started_by="op1", started=world.at)
        world.job_runs.append(run)
        self._change(job, state="running", running=run.id)
        return run

    async def cancel(self, id: int) -> None:
        other = self._of_backups(id)
        if other is not None:
            await other.cancel(id)
            return
        world = self._call("jobs.cancel", id)
        at = next(at for at, run in enumerate(world.job_runs) if run.id == id)
        world.job_runs[at] = replace(world.job_runs[at], state="cancelled", ended=world.at, text="cancelled by op1")
        self._change(world.job_runs[at].job, state="idle", running=0, last=world.job_runs[at])

    async def enable(self, job: str) -> None:
        self._call("jobs.enable", job)
        self._change(job, enabled=True, state="idle")

    async def disable(self, job: str) -> None:
        self._call("jobs.disable", job)
        self._change(job, enabled=False, state="disabled")

    async def pause(self) -> None:
        self._call("jobs.pause").paused = "op1"

    async def resume(self) -> None:
        self._call("jobs.resume").paused = ""

    async def create(self, name: str, kind: str, schedule: str = "", **more: Any) -> JobRow:
        world = self._call("jobs.create", (name, kind, schedule, more))
        if " " in name:
            raise BadRequest(f'"{name}" cannot be the name of a job', "letters, digits and . _ -")
        world.job_rows.append(job_row(name, kind=kind, schedule=schedule, builtin=False))
        return world.job_rows[-1]

    async def edit(self, job: str, **more: Any) -> JobRow:
        self._call("jobs.edit", (job, more))
        return self._change(job, **{name: value for name, value in more.items() if name != "parameters"})

    async def delete(self, job: str) -> None:
        world = self._call("jobs.delete", job)
        world.job_rows = [row for row in world.job_rows if row.name != job]

    async def preview(self, schedule: str, window: str = "", zone: str = "", count: int = 5) -> tuple[datetime, ...]:
        self._call("jobs.preview", (schedule, window, zone))
        if schedule and not schedule[0].isalpha():
            raise BadRequest(f'"{schedule}" is no schedule', "write daily 02:00")
        return tuple(START + timedelta(days=n) for n in range(count)) if schedule else ()
