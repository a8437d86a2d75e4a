"""The DICOM services of the node, and the peers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from pacstui.settings.base import AeTitle, Host, ListenPort, Name, PemFile, Port, Section

Service = Literal["echo", "store", "find", "move", "get", "worklist", "commitment", "mpps"]
SERVICES: tuple[Service, ...] = ("echo", "store", "find", "move", "get", "worklist", "commitment", "mpps")
"""What a caller may be allowed to ask for."""


def with_mpps(services: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return services, with ``mpps`` where ``worklist`` is among them: who is told what to do may say what was done."""
    return (*services, "mpps") if "worklist" in services and "mpps" not in services else services


Services = Annotated[tuple[Service, ...], AfterValidator(with_mpps)]


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

    unknown_allow: Services = SERVICES
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

    allow: Services = SERVICES
    """What it may ask this node for: echo, store (C-STORE), find (queries), move, get, worklist, commitment, mpps
    (performed procedure steps; who may ask for the worklist may tell what was done). What it is sent, and what it
    answers, does not depend on this; an empty list is for one that only receives."""

    notes: Annotated[str, StringConstraints(max_length=500)] = ""
    """Room, contact, serial number: whatever helps the one who looks it up at night."""
