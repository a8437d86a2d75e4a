"""What can happen in a node, as frozen values on the bus.

Text fields hold what the network sent, unchanged: whoever shows or logs them passes them through
:func:`pacstui.text.safe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events; ``at`` is aware, UTC."""

    at: datetime


@dataclass(frozen=True, slots=True)
class NodeStarted(Event):
    """The node listens; ``address`` is host:port of the DICOM listener."""

    ae_title: str
    address: str


@dataclass(frozen=True, slots=True)
class NodeStopping(Event):
    """The node drains its associations and ends; ``reason`` says who asked."""

    reason: str


@dataclass(frozen=True, slots=True)
class AssociationOpened(Event):
    """An association was accepted (or, as requestor, established). ``account`` is the service account that the caller
    proved to be, empty if it did not have to."""

    association: int
    calling: str
    called: str
    address: str
    contexts: int
    account: str = ""


@dataclass(frozen=True, slots=True)
class AssociationClosed(Event):
    """An association ended. ``how`` is released, aborted by peer, aborted, lost or timed out."""

    association: int
    calling: str
    address: str
    how: str
    detail: str
    stored: int
    failed: int
    received_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AssociationRefused(Event):
    """An association was rejected, or a connection was no DICOM at all.

    ``result``, ``source`` and ``reason`` are those of A-ASSOCIATE-RJ (PS3.8 9.3.4), 0 where none was sent.
    ``text`` says in plain words what was wrong, ``hint`` what mends it.
    """

    association: int
    calling: str
    called: str
    address: str
    result: int
    source: int
    reason: int
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class ServiceRefused(Event):
    """A caller was let in, but may not use a service: its presentation contexts were refused (result 1). Once for each
    association and service.

    ``text`` names the rule, ``hint`` what changes it.
    """

    association: int
    calling: str
    address: str
    service: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class InstanceStored(Event):
    """An instance is durable and indexed; success may be sent. ``new`` is false for an identical repeat. ``said`` is
    what it says of its patient and order: name, Patient ID, its issuer, birth date, sex, Accession Number."""

    association: int
    calling: str
    sop_instance: str
    series: str
    study: str
    patient_name: str
    modality: str
    description: str
    size: int
    new: bool
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceQuarantined(Event):
    """Another content came under a known SOP Instance UID and was set aside (or replaced the first)."""

    association: int
    calling: str
    sop_instance: str
    policy: str
    path: str


@dataclass(frozen=True, slots=True)
class InstanceRefused(Event):
    """A C-STORE or an import was answered with a failure status."""

    association: int
    calling: str
    sop_instance: str
    status: int
    comment: str


@dataclass(frozen=True, slots=True)
class Retrieved(Event):
    """A C-MOVE or C-GET ended: how many instances were sent, sent with a warning, failed, and not tried any more.

    ``why`` says in plain words what the first failure was, empty if there was none; ``hint`` what mends it.
    ``subjects`` are the Study Instance UIDs that were asked for, each with its Patient ID.
    """

    association: int
    calling: str
    verb: str
    destination: str
    completed: int
    warning: int
    failed: int
    remaining: int
    why: str
    hint: str
    address: str = ""
    subjects: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StudyFetched(Event):
    """A study that was fetched from a peer is here, or ``why`` it is not, with ``hint`` for what mends that."""

    peer: str
    study: str
    verb: str
    received: int
    failed: int
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class CommitmentTold(Event):
    """A storage commitment was answered: how many objects are committed and how many are not. ``problem`` says why the
    answer could not be delivered, empty if it was; ``hint`` what mends that."""

    calling: str
    transaction: str
    committed: int
    failed: int
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class CommitmentAnswered(Event):
    """A peer that was asked for storage commitment has answered for ``committed`` and against ``failed`` objects, or
    ``problem`` says why there is no answer; ``hint`` what mends it."""

    peer: str
    study: str
    transaction: str
    committed: int
    failed: int
    problem: str
    hint: str


@dataclass(frozen=True, slots=True)
class InstanceUnreadable(Event):
    """An instance could not be read back: its file is gone, damaged, or the disk fails."""

    sop_instance: str
    path: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class StoragePressure(Event):
    """Space or database ran out (``full`` true), or came back (false)."""

    full: bool
    detail: str


@dataclass(frozen=True, slots=True)
class ReconciliationDone(Event):
    """Files and rows were compared at start. Counts of files adopted, rows whose file is missing, temporary
    files removed and files that could not be read."""

    adopted: int
    missing: int
    removed: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class TrashChanged(Event):
    """Something went to the trash (``deleted``), came back (``returned``) or is gone for good (``emptied``). ``by`` is
    an account, or the rule that purged it; ``instances`` and ``bytes`` are those that moved."""

    what: str
    level: str
    study: str
    instances: int
    bytes: int
    by: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PeerEchoed(Event):
    """A C-ECHO to a peer ended; ``detail`` names the step that failed, empty on success. Of ``quiet`` ones somebody
    else tells the outcome."""

    peer: str
    ok: bool
    milliseconds: float
    detail: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class PeersChanged(Event):
    """Peers were added, changed or removed; ``names`` are all of them now."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OperatorActed(Event):
    """A person did something through a contract action that is audited."""

    who: str
    action: str
    target: str


@dataclass(frozen=True, slots=True)
class JobBegan(Event):
    """A run of a job began. ``by`` is an account, ``schedule``, ``restart`` or the job that it follows. Of a ``quiet``
    one nobody needs to hear."""

    job: str
    kind: str
    by: str
    quiet: bool
    by_hand: bool


@dataclass(frozen=True, slots=True)
class JobEnded(Event):
    """A run of a job ended in ``state`` (done, warning, failed, cancelled, interrupted); ``text`` is its outcome,
    ``hint`` what mends it. Of a ``quiet`` one nobody needs to hear: it went well, or ended like the one before."""

    job: str
    kind: str
    state: str
    text: str
    hint: str
    seconds: float
    quiet: bool


@dataclass(frozen=True, slots=True)
class JobTold(Event):
    """Something about a job's runs that is no end of one: it is late, or was left out; ``level`` is info or warn."""

    job: str
    level: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class DestinationDown(Event):
    """A destination does not take what is sent on; ``why`` in plain words, ``hint`` what mends it."""

    destination: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class DestinationUp(Event):
    """A destination that was down takes objects again."""

    destination: str


@dataclass(frozen=True, slots=True)
class SendingEnded(Event):
    """Nothing waits any more of what a destination gets of a study; how many objects were sent, sent with a warning,
    and failed. ``why`` is the last failure. ``route`` is empty for what somebody asked for."""

    destination: str
    route: str
    study: str
    sent: int
    warning: int
    failed: int
    why: str
    hint: str
    sending: int


@dataclass(frozen=True, slots=True)
class StudyCorrected(Event):
    """Studies were corrected, or a correction was undone; ``who`` did it, ``text`` says what, without patients."""

    studies: tuple[str, ...]
    correction: int
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class MaintenanceTold(Event):
    """Maintenance began, is over, or was changed; ``text`` says which, ``who`` whose it is."""

    who: str
    text: str


@dataclass(frozen=True, slots=True)
class ReceiverDown(Event):
    """A receiver of HL7 messages cannot be reached, or answers nothing; what is for it waits."""

    receiver: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class ReceiverUp(Event):
    """A receiver of HL7 messages that was down takes them again."""

    receiver: str


@dataclass(frozen=True, slots=True)
class MessageNotSent(Event):
    """An HL7 message was set aside: its receiver does not take it. ``message`` is its row, ``kind`` as ADT^A08."""

    message: int
    receiver: str
    kind: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class MessageTaken(Event):
    """An HL7 message came in, was acted on and is kept. ``state`` is done or repeated; ``text`` says what it did, and
    may tell who the patient is."""

    id: int
    sender: str
    facility: str
    origin: str
    kind: str
    control: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class MessageFailed(Event):
    """An HL7 message could not be acted on, or not even be kept (``id`` is 0 then). ``code`` is what its sender got;
    ``why`` says what is wrong and where, and tells of no patient; ``text`` says it in full."""

    id: int
    sender: str
    facility: str
    origin: str
    kind: str
    control: str
    code: str
    why: str
    text: str


@dataclass(frozen=True, slots=True)
class Hl7Refused(Event):
    """A connection to the HL7 port was closed by this node: its sender is unknown, it speaks something else, or it kept
    to no time limit."""

    origin: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class PatientChanged(Event):
    """What is known of patients changed; ``persons`` are their rows. ``studies`` is whether studies followed: what
    leaves of them is something else from now on."""

    persons: tuple[int, ...]
    studies: bool = False


@dataclass(frozen=True, slots=True)
class OrderChanged(Event):
    """Orders were made, changed or cancelled; ``orders`` are their rows."""

    orders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StepChanged(Event):
    """Scheduled procedure steps were made or stand elsewhere now; ``steps`` are their numbers."""

    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PerformedChanged(Event):
    """A modality said something of a performed procedure step. ``state`` is its present one, ``steps`` the scheduled
    steps that it is of, none if it was not scheduled; ``studies`` those that it names, ``images`` how many objects."""

    performed: int
    state: str
    calling: str
    steps: tuple[int, ...]
    studies: tuple[str, ...]
    images: int


@dataclass(frozen=True, slots=True)
class StudyMatched(Event):
    """A study was looked at, and how it fits has changed: ``state`` is matched, probable, unmatched, conflicting or not
    expected; ``order`` is its order, 0 for none."""

    study: str
    state: str
    order: int
    score: int
    calling: str
