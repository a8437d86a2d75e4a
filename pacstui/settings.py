"""Every setting, once: type, default, limits and, below it, what it means.

The docstrings under the fields are the documentation: config.example.toml and docs/configuration.md are generated from
them. Order of precedence: environment (``PACSTUI_DICOM__PORT=11113``), file, defaults. With no file everything works.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from pacstui.places import default_data_dir


def _ae_title(value: str) -> str:
    title = value.strip(" \0")
    if not title:
        raise ValueError("an AE title has at least one character that is not a blank")
    if len(title) > 16:
        raise ValueError(f"an AE title has at most 16 characters, this one has {len(title)} (PS3.5 6.2, VR AE)")
    if "\\" in title or not (title.isascii() and title.isprintable()):
        raise ValueError("an AE title has printable ASCII characters without backslash (PS3.5 6.2, VR AE)")
    return title


def _host(value: str) -> str:
    host = value.strip()
    if not host or any(c.isspace() or c in "/@" for c in host):
        raise ValueError("a host is a name or an IP address, without blanks, slashes or user name")
    return host


def _data_dir(value: Path) -> Path:
    if value == Path() or "\0" in str(value):
        raise ValueError("the path of a folder is not empty")
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("the home folder that ~ stands for is not known; write the whole path") from None


def _target_url(value: str) -> str:
    url = value.strip()
    scheme = url.partition(":")[0] if ":" in url.partition("/")[0] else ""
    if not url or scheme not in ("", "file", "s3", "sftp"):
        raise ValueError("a backup target is a folder, or an address that begins with file:, s3: or sftp:")
    if scheme == "sftp":
        try:
            parts = urlsplit(url)
            fits = bool(parts.hostname) and parts.port != 0 and parts.path not in ("", "/") and not parts.password
        except ValueError:
            fits = False
        if not fits:
            raise ValueError("an SFTP target is sftp://user@host/folder, or sftp://user@host:22/folder")
    return url


def _syslog_url(value: str) -> str:
    url = value.strip()
    if url:
        kinds = ("syslog+tls", "syslog+tcp", "syslog+udp")
        try:
            parts = urlsplit(url)
            fits = parts.scheme in kinds and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        if not fits or parts.path not in ("", "/") or parts.username is not None or parts.query or parts.fragment:
            raise ValueError(
                "a syslog server is syslog+tls://host:6514, syslog+tcp://host:601 or syslog+udp://host:514"
            )
    return url


def _ldap_url(value: str) -> str:
    url = value.strip()
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("ldap", "ldaps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.path not in ("", "/") or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("an LDAP server is ldaps://host or ldap://host, with :port where it is not the usual one")
    return url


def _name_template(value: str) -> str:
    if value and value.count("{name}") == 0:
        raise ValueError("it has to have {name} where the name goes")
    return value


def _group(value: str) -> str:
    if not re.match(r"\s*[A-Za-z0-9.-]+\s*=\s*\S", value):
        raise ValueError("a group is said by its DN, such as cn=pacs-admins,ou=groups,dc=example,dc=org")
    return value.strip()


@dataclass(frozen=True, slots=True)
class Words:
    """What a kind of value is called in the documentation and in reports of mistakes."""

    text: str


AeTitle = Annotated[str, AfterValidator(_ae_title), Words("an AE title of at most 16 characters")]
Host = Annotated[str, AfterValidator(_host), Words("a host name or an IP address")]
Port = Annotated[int, Field(ge=1, le=65535)]
ListenPort = Annotated[int, Field(ge=0, le=65535)]
PemFile = Annotated[str, AfterValidator(os.path.expanduser), Words("the path of a file")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class Section(BaseModel):
    """A table of the configuration file. Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSettings(Section):
    """The node as a process."""

    data_dir: Annotated[Path, AfterValidator(_data_dir)] = Field(default_factory=default_data_dir)
    """Folder for the archive, its index and the control socket. Made at first start, readable by its owner only."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious log lines that are written to standard error."""

    jobs: bool = True
    """Run jobs by their schedules. Set to false for a restored copy that is only tried out: it would back up too."""

    drain_s: Annotated[float, Field(ge=0, le=9)] = 5.0
    """Seconds that running associations get to finish when the node is stopped, before they are aborted."""


Service = Literal["echo", "store", "find", "move", "get", "worklist", "commitment"]
SERVICES: tuple[Service, ...] = ("echo", "store", "find", "move", "get", "worklist", "commitment")
"""What a caller may be allowed to ask for."""


class DicomSettings(Section):
    """The DICOM listener."""

    ae_title: AeTitle = "PACSTUI"
    """This node's Application Entity title. Capitals matter."""

    aliases: tuple[AeTitle, ...] = ()
    """Further AE titles that this node answers to."""

    host: Host = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface. Off loopback, see unknown_callers."""

    port: ListenPort = 11112
    """TCP port to listen on; 0 takes any free one and logs it."""

    check_called_ae: bool = True
    """Refuse callers that ask for an AE title which is not ours (A-ASSOCIATE-RJ 1/1/7)."""

    unknown_callers: Literal["loopback", "all", "none"] = "loopback"
    """Who may associate without being a peer: programs on this machine, anybody, or nobody."""

    unknown_allow: tuple[Service, ...] = SERVICES
    """What callers may ask for that are no peer and are let in all the same; see allow of [[peers]]."""

    identity: Literal["ignore", "check", "require"] = "ignore"
    """User identity of callers (PS3.7 D.3.3.7): shown, not judged; if one is given it must be name and passcode of a
    service account (pacstui accounts create --kind service); or every caller must give one. It opens no service that
    allow does not."""

    identity_names: bool = False
    """Where an identity is judged: take a user name without passcode (type 1) as well, if a service account has it.
    For devices that cannot send a passcode; it proves nothing."""

    check_peer_host: bool = True
    """Refuse a known peer's AE title when it calls from another address than the one of that peer. Calls from this
    machine itself are not checked."""

    max_associations: Annotated[int, Field(ge=1, le=4096)] = 100
    """Associations at once; a further caller gets a transient rejection (local limit exceeded, 2/3/2)."""

    max_associations_per_host: Annotated[int, Field(ge=0, le=4096)] = 0
    """Associations at once from one address; 0 for no limit of its own."""

    max_pdu: Annotated[int, Field(ge=4096, le=1048576)] = 262144
    """Longest P-DATA-TF PDU that this node offers to receive, in bytes."""

    artim_s: Annotated[float, Field(ge=0.1, le=600)] = 30.0
    """Seconds that a connection may stay silent before its A-ASSOCIATE-RQ, or open after a reject or an abort
    (ARTIM timer, PS3.8 9.1.5)."""

    idle_s: Annotated[float, Field(ge=1, le=86400)] = 600.0
    """Seconds without a message after which an idle association is aborted."""

    message_s: Annotated[float, Field(ge=1, le=86400)] = 60.0
    """Seconds without a byte in the middle of a message, in either direction, after which an association is aborted."""

    unknown_sop_classes: bool = True
    """Accept storage of private and unknown SOP classes too."""


class TlsSettings(Section):
    """DICOM over TLS, for a port of its own and for peers with tls = true."""

    port: ListenPort = 0
    """TCP port that speaks TLS, beside the plain one; 0 for none. 2762 is the usual one."""

    plain: bool = True
    """Listen on [dicom] port without TLS too."""

    certificate: PemFile = ""
    """Our certificate, a PEM file with the chain up to a root."""

    key: PemFile = ""
    """Its private key, a PEM file without passphrase; not needed where it stands in the certificate's file."""

    ca: PemFile = ""
    """Who signs the certificates of peers, a PEM file. Without it those of the system are trusted."""

    client_certificates: bool = True
    """Take only callers with a certificate that ca signed (mutual authentication)."""

    check_host: bool = True
    """Where we call: see that the peer's certificate is for the host that we call."""

    oldest: Literal["1.2", "1.3"] = "1.2"
    """Oldest version of TLS that is spoken."""


class ArchiveSettings(Section):
    """The object store."""

    duplicates: Literal["keep", "overwrite", "reject"] = "keep"
    """When other content comes under a stored SOP Instance UID: keep the first and set the newcomer aside, overwrite
    (the first is set aside), or reject. An identical repeat always succeeds and changes nothing."""

    reserve_bytes: Annotated[int, Field(ge=0)] = 268435456
    """Free space below which objects are answered with A700 (out of resources), so that the disk never fills up."""

    max_object_bytes: Annotated[int, Field(ge=0)] = 0
    """Largest object that is taken, in bytes; 0 for no limit but the disk's."""

    journal_bytes: Annotated[int, Field(ge=0, le=4294967296)] = 67108864
    """Room on the disk for the journal, which makes small objects durable by one write and one sync; 0 to sync each
    file by itself."""


Keyword = Annotated[str, StringConstraints(pattern="^[A-Za-z][A-Za-z0-9]{1,63}$")]


class QuerySettings(Section):
    """Queries (C-FIND)."""

    max_answers: Annotated[int, Field(ge=0)] = 0
    """Most answers to one query; who asks for more gets as many and is told (A700). 0 for no limit."""

    study_attributes: tuple[Keyword, ...] = ()
    """Further attributes of studies that queries match and return, by keyword, such as PatientReligiousPreference.
    Objects that are stored already get them by pacstui storage reindex."""

    series_attributes: tuple[Keyword, ...] = ()
    """The same for series."""

    image_attributes: tuple[Keyword, ...] = ()
    """The same for instances."""

    fuzzy_names: bool = True
    """Offer fuzzy matching of names, without regard to delimiters and width, to callers that negotiate it."""


class RetrieveSettings(Section):
    """Retrievals (C-MOVE and C-GET)."""

    parallel: Annotated[int, Field(ge=1, le=16)] = 1
    """Associations at once to the destination of one C-MOVE."""


class CommitmentSettings(Section):
    """Storage commitment."""

    answer_h: Annotated[float, Field(gt=0, le=8760)] = 24.0
    """Hours that a peer has for the answer when it is asked whether it keeps objects; then it counts as not given, is
    told of, and can be asked for again."""


class DatabaseSettings(Section):
    """The index."""

    busy_s: Annotated[float, Field(ge=0.1, le=120)] = 10.0
    """Seconds to wait for a database that another program has locked, before objects are answered with A700."""


class AccountsSettings(Section):
    """Accounts and signing in."""

    reach: Literal["auto", "owner", "all"] = "auto"
    """Which OS users of this machine reach the control socket: only the node's own (and root), all, or (auto) all as
    soon as an account is bound to another OS user or has a password, or there is a directory. Who has no account may
    only sign in."""

    wrong_passwords: Annotated[int, Field(ge=1, le=100)] = 5
    """Wrong passwords in a row after which an OS user may not try at that account for a while."""

    lock_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """How long that is in seconds; twice as long with each further wrong one, up to an hour."""

    password_min: Annotated[int, Field(ge=8, le=128)] = 12
    """Fewest characters of a password."""

    one_time_h: Annotated[float, Field(ge=0.1, le=720)] = 24.0
    """Hours for which a one-time password is good."""

    session_h: Annotated[float, Field(ge=0.1, le=720)] = 12.0
    """Hours after which a sign-in with a password ends."""

    idle_h: Annotated[float, Field(ge=0.02, le=720)] = 3.0
    """Hours without a key pressed, or a command, after which a sign-in with a password ends. What a console fetches by
    itself does not count."""

    console_lock_s: Annotated[float, Field(ge=0, le=86400)] = 900.0
    """Seconds without a key after which a console of an account with a password locks; 0 for never."""

    second_factor: Literal["optional", "administrators", "everybody"] = "optional"
    """Who must have a second factor (TOTP, RFC 6238) to sign in with a password: who wants one, accounts that can
    manage accounts, or everybody. Who must have one and has none sets it up at the next sign-in, before anything
    else."""

    second_factor_os_users: bool = False
    """Whether that holds for those too whom the machine knows by their OS user: who has or must have a second factor
    signs in with password and code then."""

    key: PemFile = ""
    """File of the key that the secrets of second factors are made from; empty for accounts.key in the data directory.
    Without it the database tells no secret. Read at the start."""


class DirectoryRoleSettings(Section):
    """What a group of the directory gives. The first entry whose group somebody is in counts."""

    group: Annotated[str, AfterValidator(_group), Words("the DN of a group")]
    """DN of the group, such as cn=pacs-admins,ou=groups,dc=example,dc=org. Capitals do not matter."""

    role: Name
    """Role that its members get here: a built-in one, or one of your own."""


class DirectorySettings(Section):
    """Signing in by an LDAP directory or Active Directory."""

    servers: tuple[Annotated[str, AfterValidator(_ldap_url), Words("the address of an LDAP server")], ...] = ()
    """Addresses, tried in turn: ldaps://dc1.example.org, or ldap://host:389. None: no directory."""

    start_tls: bool = False
    """Begin TLS on ldap:// connections (StartTLS, RFC 4511 4.14) before anything else is said."""

    plain: bool = False
    """Speak ldap:// without TLS to servers that are not this machine itself. Passwords can be read on the network
    then."""

    ca: PemFile = ""
    """Who signed the servers' certificates, a PEM file. Without it those of the system are trusted."""

    bind_dn: str = ""
    """Whom the node signs in as to search: a DN, or in Active Directory a user principal name. Empty: it searches
    without signing in, or with user_dn as the one who signs in."""

    password_file: PemFile = ""
    """File with its password, readable by the node's user only. Read again at each use."""

    bind_password: Annotated[SecretStr, Words("text")] = SecretStr("")
    """Its password itself, where no file is wanted. Whoever reads the configuration reads it."""

    user_dn: Annotated[str, AfterValidator(_name_template), Words("text with {name}")] = ""
    """Sign people in without a search before: as uid={name},ou=people,dc=example,dc=org, or in Active Directory as
    {name}@example.org. Empty: the entry is searched for first."""

    base: str = ""
    """DN below which people are searched for, such as ou=people,dc=example,dc=org."""

    filter: Annotated[str, AfterValidator(_name_template), Words("a filter with {name}")] = "(uid={name})"
    """Filter that finds a person by the name that was typed (RFC 4515). Active Directory: (sAMAccountName={name})."""

    full_name: str = "cn"
    """Attribute with a person's full name."""

    email: str = "mail"
    """Attribute with a person's e-mail address."""

    groups: Literal["attribute", "search"] = "attribute"
    """Where groups are told: in an attribute of the person's entry, or to be searched for by their members."""

    group_attribute: str = "memberOf"
    """That attribute; its values are DNs."""

    group_base: str = ""
    """DN below which groups are searched for; empty for base."""

    group_filter: str = "(member={dn})"
    """Filter that finds the groups of a person, with {dn} and {name}. For groups of POSIX: (memberUid={name})."""

    nested_groups: Literal["no", "in-chain", "search"] = "no"
    """Count groups that hold a person's groups: by Active Directory's matching rule in chain, or by further searches
    with group_filter, on any server."""

    timeout_s: Annotated[float, Field(ge=1, le=30)] = 5.0
    """Seconds to wait for a server before the next one is tried."""

    recheck_s: Annotated[float, Field(ge=10, le=86400)] = 300.0
    """Seconds after which those who are signed in are looked up again: sessions end of who is gone, disabled, or has
    another role. It takes a search without their password: bind_dn, or a directory that anybody may search."""

    wrong_passwords: Annotated[int, Field(ge=1, le=100)] = 3
    """Wrong passwords in a row, of all OS users together, after which nothing is tried at the directory for that
    person for a while. Less than the directory itself allows, so that nobody is locked there from here."""

    lock_s: Annotated[float, Field(ge=1, le=3600)] = 900.0
    """How long that is in seconds; twice as long with each further wrong one, up to an hour."""

    roles: tuple[DirectoryRoleSettings, ...] = ()
    """What groups give."""


class AuditSettings(Section):
    """The audit trail."""

    key: PemFile = ""
    """File of the key that seals the entries; empty for audit.key in the data directory. Better kept elsewhere: who can
    write both the database and the key can forge entries."""

    days: Annotated[int, Field(ge=0, le=36500)] = 0
    """Days that entries are kept; 0 for ever. What is removed is stood for by a sealed checkpoint. Entries that the
    syslog server does not have yet are kept 30 days longer."""

    server: Annotated[str, AfterValidator(_syslog_url), Words("the address of a syslog server")] = ""
    """A syslog server that gets all entries as DICOM audit messages (PS3.15 A.5): syslog+tls://host:6514,
    syslog+tcp://host:601 or syslog+udp://host:514; empty for none."""

    server_ca: PemFile = ""
    """Who signed the certificate of a server over TLS, a PEM file. Without it those of the system are trusted. Our own
    certificate is the one of [tls]."""

    source_id: Annotated[str, StringConstraints(max_length=64)] = ""
    """Audit Source ID in those messages; empty for the AE title."""

    seen_s: Annotated[float, Field(ge=0, le=86400)] = 900.0
    """Seconds for which a patient in the same view of the same account, or a study sent to the same peer, stands in one
    entry."""


class ConsoleSettings(Section):
    """The console."""

    refresh_s: Annotated[float, Field(ge=0.2, le=60)] = 1.0
    """Seconds between two refreshes of the live panels."""

    theme: Literal["auto", "terminal", "full"] = "auto"
    """Colours: the terminal's own sixteen, the full theme, or chosen by whether the session came over SSH."""

    read_only: bool = False
    """Begin read-only: R allows actions that change something."""


class PeerSettings(Section):
    """An Application Entity that this node knows. Peers may call when unknown callers may not."""

    name: Name
    """Name that the console shows; unique."""

    ae_title: AeTitle
    """The peer's AE title. Capitals matter."""

    host: Host
    """Host name or address of the peer."""

    port: Port = 104
    """The peer's DICOM port."""

    tls: bool = False
    """Call it over TLS; see [tls]."""

    allow: tuple[Service, ...] = SERVICES
    """What it may ask this node for: echo, store (C-STORE), find (queries), move, get, worklist, commitment. What it is
    sent, and what it answers, does not depend on this; an empty list is for one that only receives."""

    notes: Annotated[str, StringConstraints(max_length=500)] = ""
    """Room, contact, serial number: whatever helps the one who looks it up at night."""


class Hl7Settings(Section):
    """The HL7 v2 listener (MLLP)."""

    host: Host = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""

    port: ListenPort = 2575
    """TCP port to listen on; 0 takes any free one and logs it."""


Pattern = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Schedule = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class RouteSettings(Section):
    """Where received objects are sent on to. All conditions have to hold; without any, everything goes. More routes can
    be made on the Routes screen."""

    name: Name
    """Name that the console shows; unique."""

    to: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of the peers, or of [[destinations]], that get a copy."""

    enabled: bool = True
    """Whether it is in use."""

    modality: tuple[Pattern, ...] = ()
    """Only objects of one of these modalities; empty: all. Here and below * stands for anything, ? for one character,
    and case does not matter."""

    calling: tuple[Pattern, ...] = ()
    """Only what one of these AE titles sent."""

    called: tuple[Pattern, ...] = ()
    """Only what was sent to one of these AE titles of this node."""

    description: tuple[Pattern, ...] = ()
    """Only objects with such a study description."""

    where: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)], ...] = ()
    """Further conditions on attributes that the index holds: "BodyPartExamined = CHEST | ABDOMEN",
    "InstitutionName != Example*", "NumberOfFrames > 1", "AccessionNumber present"."""

    hours: Schedule = ""
    """Only what comes in these hours: 20:00-06:00, or weekdays 07:00-18:00; empty: always."""

    send: Literal["instance", "series", "study"] = "instance"
    """Send each object as it comes, or when its series or its study is complete: when nothing of it came for
    stable_s seconds, or as many objects are here as Number of Study Related Instances says."""

    stable_s: Annotated[float, Field(ge=1, le=86400)] = 60.0
    """Seconds without a further object after which a series or study counts as complete."""

    priority: Literal["high", "medium", "low"] = "medium"
    """What goes first, and the priority that the peer is told (PS3.7 9.1.1.1.6)."""

    transform: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] = ""
    """Name of the [[transforms]] that the copy goes through; empty: sent as it was received."""

    send_back: bool = False
    """Send also to a destination with the AE title that the object came from."""

    last: bool = False
    """Do not look at later routes for what this one is for."""


class DestinationSettings(Section):
    """How objects are sent to a destination. Peers need none of this; it is for what is to be other than usual, and for
    destinations that are no peers."""

    name: Name
    """Name that routes and the console use: that of a peer, or one of its own for a folder."""

    folder: Annotated[str, StringConstraints(strip_whitespace=True)] = ""
    """Write files (PS3.10) to this folder, instead of sending to a peer: in a folder for each study."""

    move_from: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] = ""
    """Instead of sending objects from here, ask the peer of this name to send the study: by C-MOVE, when it is
    complete here."""

    move_to: Annotated[str, StringConstraints(strip_whitespace=True, max_length=16)] = ""
    """AE title that move_from shall send to."""

    associations: Annotated[int, Field(ge=1, le=16)] = 1
    """So many associations at once."""

    hours: Schedule = ""
    """Send only in these hours: 20:00-06:00, or weekdays 18:00-07:00; sat,sun; empty: always."""

    max_mb_per_s: Annotated[float, Field(ge=0)] = 0.0
    """Most megabytes a second, over all its associations; 0 for no limit."""

    retries: Annotated[int, Field(ge=0, le=1000)] = 8
    """How often an object is tried again that the destination refused, before it counts as failed."""

    retry_s: Annotated[float, Field(ge=1, le=86400)] = 30.0
    """Seconds before the first further try, twice as many before each one after that."""

    retry_most_s: Annotated[float, Field(ge=1, le=86400)] = 3600.0
    """Most seconds between two tries."""

    give_up_h: Annotated[float, Field(ge=0, le=8760)] = 168.0
    """Hours after which what could not be sent, because the destination does not answer, counts as failed; 0: never."""

    linger_s: Annotated[float, Field(ge=0, le=60)] = 2.0
    """Seconds that an association is kept for what may come next."""


class RoutingSettings(Section):
    """What is sent on."""

    keep_days: Annotated[int, Field(ge=0, le=3650)] = 30
    """Days that what was sent stays in the list of the queue; what failed or waits stays in any case."""

    waits_h: Annotated[float, Field(gt=0, le=8760)] = 4.0
    """Hours that something may wait before it is shown as a problem."""


class ChangeSettings(Section):
    """A change of one attribute in the outgoing copy. Changes are made in their order, after the profile; they see what
    the profile left."""

    attribute: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=512)]
    """Which one: PatientID, (0010,0020), (60xx,3000), RequestAttributesSequence[0].ScheduledProcedureStepID (without
    the number: in all items), **.StudyID (wherever it stands), (0029,xx10,CREATOR), (0029,xxxx,CREATOR) or private."""

    action: Literal["set", "fill", "replace", "remove", "empty", "map", "regex", "prefix", "suffix", "uid"]
    """What is done: set it; fill (only where it is absent or empty); replace (only where it is there); remove; empty;
    map its values by table; replace what a regex matches; put a prefix or suffix to its values; uid (new UIDs, for the
    same ones the same)."""

    value: Annotated[str, StringConstraints(max_length=10240)] = ""
    """What is set, put before or after, or what a match is replaced by. In all but the last {PatientID}, or any other
    attribute, {calling_ae}, {called_ae}, {peer}, {peer_ae}, {route}, {today} and {now} stand for their values;
    {PatientName:16} for 16 characters of it at most."""

    pattern: Annotated[str, StringConstraints(max_length=512)] = ""
    """The regular expression of regex (Python's). Repetitions inside repetitions are refused: they could run for
    ever."""

    table: Annotated[dict[str, str], Words("a table of texts")] = Field(default_factory=dict)
    """The table of map: value and what it becomes."""

    otherwise: Literal["keep", "empty", "remove", "refuse"] = "keep"
    """What map does with a value that is not in the table; refuse: the object is not sent."""

    vr: Annotated[str, StringConstraints(pattern="^([A-Z]{2})?$"), Words("a VR, two capitals")] = ""
    """VR of what is set, where the dictionary has none: private attributes."""


Option = Literal[
    "retain-uids", "retain-device-identity", "retain-institution-identity", "retain-patient-characteristics",
    "retain-full-dates", "retain-modified-dates", "retain-safe-private", "clean-descriptors",
    "clean-structured-content", "clean-graphics",
]  # fmt: skip
"""Options of the basic profile (PS3.15 E.3) that a program can apply by itself."""


class TransformSettings(Section):
    """How copies are changed that are sent on; routes name it. What is archived stays as it is."""

    name: Name
    """Name by which routes refer to it; unique."""

    profile: Literal["none", "basic"] = "none"
    """De-identify by the Basic Application Level Confidentiality Profile (PS3.15 Annex E), or not."""

    options: tuple[Option, ...] = ()
    """Options of the profile (PS3.15 E.3); see docs/de-identification.md."""

    project: Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)] = ""
    """Pseudonyms of different projects cannot be joined. Empty: the name. Changing it changes all pseudonyms."""

    burned_in: Literal["refuse", "send"] = "refuse"
    """What is done with objects whose pixels or sound may tell who the patient is, as far as attributes say so: a
    person has to look at them. See docs/de-identification.md."""

    safe_private: tuple[
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)], ...
    ] = ()
    """Private attributes that are safe to keep with retain-safe-private, besides those that the standard lists:
    (0019,xx0C,SIEMENS MR HEADER)."""

    words: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=32)], ...] = ()
    """Words that clean-descriptors keeps in descriptions besides its own, which are English."""

    change: tuple[ChangeSettings, ...] = ()
    """Changes of single attributes."""


class TargetSettings(Section):
    """A place that backups are written to. The jobs that do it are made from what stands here; they may be changed on
    the Jobs screen afterwards."""

    name: Name
    """Name that the console shows; unique."""

    url: Annotated[str, AfterValidator(_target_url), Words("a folder or an address")]
    """A folder, or an address that begins with file:, s3: (s3://bucket/folder) or sftp: (sftp://user@host/folder)."""

    schedule: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = "daily 02:00"
    """When it is backed up to: daily 02:00, every 4 h, weekdays 22:30, or cron's five fields; empty: by hand only."""

    objective_h: Annotated[float, Field(gt=0, le=8760)] = 26.0
    """Hours that the newest good snapshot may be old (recovery point objective); older is a problem that is shown."""

    mounted: bool = False
    """Refuse the folder while it is on the archive's own volume: nothing is mounted there then."""

    keep_last: Annotated[int, Field(ge=1, le=10000)] = 3
    """So many of the newest snapshots are kept in any case."""

    keep_daily: Annotated[int, Field(ge=0, le=10000)] = 14
    """The newest snapshot of so many days is kept."""

    keep_weekly: Annotated[int, Field(ge=0, le=10000)] = 8
    """The same for weeks (ISO 8601)."""

    keep_monthly: Annotated[int, Field(ge=0, le=10000)] = 12
    """The same for months."""

    keep_yearly: Annotated[int, Field(ge=0, le=10000)] = 10
    """The same for years."""

    verify_percent: Annotated[float, Field(ge=0, le=100)] = 3.0
    """Share of the packs that is read back and compared after each backup, those first that were not read for longest;
    0 for none."""

    drill: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = "monthly 1 05:00"
    """When a restore is rehearsed; empty for by hand only."""

    max_mb_per_s: Annotated[float, Field(ge=0)] = 0.0
    """Most megabytes a second to and from the target; 0 for no limit."""

    encrypt_to: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], ...] = ()
    """Encrypt for these recipients of age (age1..., or an ssh public key); the node need not have the identity."""

    identity_file: PemFile = ""
    """File of an age identity that opens what is encrypted; drills, restores and verifying contents need it here."""

    passphrase_file: PemFile = ""
    """Instead of encrypt_to: a file with a passphrase that protects a key of the target's own. Keep a copy elsewhere:
    without it nothing can be restored."""

    include: tuple[Literal["configuration", "secrets"], ...] = ("configuration",)
    """What goes along with index and objects: the configuration file; secrets: keys that lie outside the data
    directory (only encrypted)."""

    endpoint: str = ""
    """Address of an S3 server that is not Amazon's, as https://s3.example.org."""

    region: str = ""
    """Region of the bucket."""

    access_key: str = ""
    """Access key of the bucket; without it AWS_ACCESS_KEY_ID and what else the environment has is used."""

    secret_key_file: PemFile = ""
    """File with the secret access key."""

    key_file: PemFile = ""
    """SFTP: file with the private key, without a passphrase."""

    known_hosts: PemFile = ""
    """SFTP: file with the server's host key, as ssh has it; empty for ~/.ssh/known_hosts of the node's user."""

    lock_days: Annotated[float, Field(ge=0, le=36500)] = 0.0
    """Object lock of a bucket: what a snapshot consists of cannot be removed for so many days from the newest snapshot
    that needs it; 0 for none. The bucket must have been made with object lock."""

    lock_mode: Literal["governance", "compliance"] = "governance"
    """Who can remove it all the same: governance, whoever has the permission to bypass it; compliance, nobody."""


class BackupsSettings(Section):
    """Backups."""

    targets: tuple[TargetSettings, ...] = ()
    """Where backups go. Three copies, on two kinds of storage, one of them elsewhere."""


class RuleSettings(Section):
    """A rule by which studies are purged, that is, moved to the trash. All of its conditions have to hold."""

    name: Name
    """Name that the trash and the audit trail show; unique."""

    days: Annotated[int, Field(ge=1, le=36500)]
    """Studies older than so many days."""

    by: Literal["received", "study date"] = "received"
    """What counts for the age: the day on which the last object of a study came, or the study date in the objects
    (studies without one are kept then)."""

    modalities: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16)], ...] = ()
    """Only studies with a series of one of these modalities; empty: all."""

    calling: tuple[AeTitle, ...] = ()
    """Only studies that one of these AE titles sent; empty: all."""

    description: Annotated[str, StringConstraints(max_length=64)] = ""
    """Only studies with such a description; * stands for anything, ? for one character, case does not matter."""

    only_if_backed_up: bool = True
    """Only studies of which every object is in the newest snapshot of a backup target."""

    copies: Annotated[int, Field(ge=1, le=16)] = 1
    """So many targets have to have them."""

    only_if_sent_to: tuple[Name, ...] = ()
    """Only studies of which every object was sent to each of these destinations unchanged, and taken there without a
    warning, since it came."""

    when: Literal["always", "full"] = "always"
    """Purge every night what the rule is for, or only while the volume is fuller than purge_above_percent."""


class SpaceSettings(Section):
    """Room on the archive's volume: when to warn, what to purge, and how long the trash keeps it. Without rules nothing
    is ever purged."""

    warn_percent: Annotated[float, Field(ge=1, le=100)] = 85.0
    """Part of the volume in use from which a problem is shown."""

    purge_above_percent: Annotated[float, Field(ge=1, le=100)] = 90.0
    """Part in use from which the trash is emptied early, oldest first, and rules for a full volume apply."""

    purge_until_percent: Annotated[float, Field(ge=1, le=100)] = 80.0
    """Part in use at which that ends."""

    trash_days: Annotated[int, Field(ge=0, le=3650)] = 14
    """Days that the trash keeps what was deleted or purged."""

    keep_hours: Annotated[int, Field(ge=0, le=87600)] = 24
    """Studies of which an object came in the last so many hours are never purged."""

    schedule: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = "daily 03:30"
    """When the trash is emptied of what is old, and rules are applied."""

    rules: tuple[RuleSettings, ...] = ()
    """Which studies are purged, in this order."""


class ReportsSettings(Section):
    """Reports on usage and operations: what was received, by whom, how it went, how backups stand. No patients."""

    folder: Annotated[str, AfterValidator(os.path.expanduser), Words("the path of a folder")] = ""
    """Folder that they are written to; empty: reports in the data directory."""

    schedule: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = "monthly 1 06:00"
    """When the report of the month that is over is written; empty: by hand only. Others are jobs of the kind report."""

    formats: tuple[Literal["txt", "csv", "json", "html"], ...] = ("html", "csv")
    """As which files the report is written: text, CSV for a spreadsheet, JSON for programs, a page of HTML."""

    keep_days: Annotated[int, Field(ge=0, le=36500)] = 1100
    """Days that written reports are kept; 0 for ever."""


class Settings(Section):
    """All sections."""

    node: NodeSettings = Field(default_factory=NodeSettings)
    dicom: DicomSettings = DicomSettings()
    tls: TlsSettings = TlsSettings()
    archive: ArchiveSettings = ArchiveSettings()
    query: QuerySettings = QuerySettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    commitment: CommitmentSettings = CommitmentSettings()
    database: DatabaseSettings = DatabaseSettings()
    accounts: AccountsSettings = AccountsSettings()
    directory: DirectorySettings = DirectorySettings()
    audit: AuditSettings = AuditSettings()
    console: ConsoleSettings = ConsoleSettings()
    peers: tuple[PeerSettings, ...] = ()
    backups: BackupsSettings = BackupsSettings()
    space: SpaceSettings = SpaceSettings()
    routing: RoutingSettings = RoutingSettings()
    reports: ReportsSettings = ReportsSettings()
    routes: tuple[RouteSettings, ...] = ()
    transforms: tuple[TransformSettings, ...] = ()
    destinations: tuple[DestinationSettings, ...] = ()
    # The section below is checked already; what it asks for comes with a later version.
    hl7: Hl7Settings = Hl7Settings()


def is_loopback(address: str) -> bool:
    """Return whether ``address`` (an IP address, with or without zone) is this machine's loopback."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address == "localhost"
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
