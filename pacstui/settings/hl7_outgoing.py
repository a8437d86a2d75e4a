"""To whom HL7 v2 messages are sent, which of those that came in, and what is told by messages of our own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pacstui.settings.base import Host, Name, PemFile, Port, Section

_Pattern = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
_Condition = Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=300)]
_Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=180)]
_Hours = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]


class Hl7ReceiverSettings(Section):
    """Somebody that HL7 messages are sent to, over one connection, in the order in which they were queued."""

    name: Name
    """Name that the console and [[hl7.forward]] use; unique."""

    host: Host
    """Host name or IP address."""

    port: Port
    """TCP port that it listens on."""

    enabled: bool = True
    """Whether anything is sent; without, what is for it waits."""

    application: _Text = ""
    """Its name, as it stands in MSH-5 of notifications; HL7's HD with ^ between its components."""

    facility: _Text = ""
    """Its facility, as it stands in MSH-6 of notifications."""

    charset: Literal["UNICODE UTF-8", "8859/1", "ASCII"] = "UNICODE UTF-8"
    """Character set of notifications (MSH-18). A character that it does not have becomes a question mark."""

    tls: bool = False
    """Speak MLLP over TLS; our own certificate, if it asks for one, is that of [tls]."""

    ca: PemFile = ""
    """PEM file with who signs its certificate; empty: [tls] ca, or whom the system trusts."""

    check_host: bool = True
    """With TLS: its certificate has to name the host."""

    connect_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """Seconds for a connection to come about."""

    answer_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds that it may take to answer a message."""

    linger_s: Annotated[float, Field(ge=0, le=86400)] = 60.0
    """Seconds that a connection is kept without a message; 0: for as long as the other side keeps it."""

    retries: Annotated[int, Field(ge=0, le=1000)] = 8
    """How often a message is tried again that was not accepted, before it is set aside as failed and the next one goes.
    A receiver that cannot be reached costs no message a try: all wait for it."""

    retry_s: Annotated[float, Field(gt=0, le=86400)] = 5.0
    """Seconds before the first further try, twice as many before each one after that."""

    retry_most_s: Annotated[float, Field(gt=0, le=86400)] = 300.0
    """Most seconds between two tries."""

    retry_on: tuple[Literal["AE", "AR", "CE", "CR"], ...] = ("AR", "CR")
    """Answers after which the same message is tried again; after others it has failed at once. AR says that the
    receiver could not (HL7 v2.5 2.9.2.2), AE that the content is wrong, which does not get better by itself."""

    give_up_h: Annotated[float, Field(ge=0, le=8760)] = 0.0
    """Hours after which what waits for a receiver that cannot be reached counts as failed; 0: never."""

    max_per_second: Annotated[float, Field(ge=0, le=10000)] = 0.0
    """Most messages a second; 0 for no limit."""

    hours: _Hours = ""
    """Send only in these hours: 20:00-06:00, or weekdays 07:00-18:00; empty: always."""


class Hl7ForwardSettings(Section):
    """Which messages that came in are sent on, to whom. All conditions have to hold; without any, every message goes.
    It is queued in the transaction that keeps the message."""

    name: Name
    """Name that the console shows; unique."""

    to: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of [[hl7.receivers]]."""

    enabled: bool = True
    """Whether it is in use."""

    sender: tuple[_Pattern, ...] = ()
    """Only from one of these sending applications (MSH-3), or application@facility. Here and below * stands for
    anything, ? for one character, and case does not matter."""

    kind: tuple[_Pattern, ...] = ()
    """Only one of these: ADT (each trigger event), ADT^A08, ORM^O*."""

    patient_class: tuple[_Pattern, ...] = ()
    """Only with one of these in PV1-2: I, O, E."""

    where: tuple[_Condition, ...] = ()
    """Further conditions on any field: "PID-3.4 = HOSPITAL", "OBR-24 = CT | MR", "PV1-3.1 != TEST*", "ZDS-1 present",
    "PID-30 absent". It is enough that one segment of that name, and one repetition, has the value."""

    outcome: Literal["accepted", "all"] = "accepted"
    """Only messages that were acted on, or also those that were answered with an error. One that was seen before is
    not sent again."""

    sending_application: _Text = ""
    """What MSH-3 becomes; empty: as it came. With ^ between the components of HL7's HD."""

    sending_facility: _Text = ""
    """What MSH-4 becomes."""

    receiving_application: _Text = ""
    """What MSH-5 becomes."""

    receiving_facility: _Text = ""
    """What MSH-6 becomes."""


class Hl7NotificationSettings(Section):
    """A message of our own that tells others what happened here."""

    name: Name
    """Name that the console shows; unique."""

    on: Literal["study received", "order status"]
    """What it tells: a study is here (nothing more of it came for settled_s seconds), or an order's procedure began,
    was completed or was discontinued, as modalities say by MPPS."""

    to: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Names of [[hl7.receivers]]."""

    enabled: bool = True
    """Whether it is in use."""

    message: Literal["ORU^R01", "ORM^O01", "OMG^O19"] = "ORU^R01"
    """Which of the built-in templates is used; docs/hl7.md shows them. ORU^R01 is for studies only."""

    template: Annotated[str, StringConstraints(max_length=20000)] = ""
    """A template of your own: a segment on each line, {patient_id} and the like for values, which are escaped. A
    segment that begins with ? is left out if all its values are empty. docs/hl7.md lists the values."""

    template_file: PemFile = ""
    """The same in a file, UTF-8."""

    modality: tuple[_Pattern, ...] = ()
    """Only studies, or orders, of one of these modalities."""

    calling: tuple[_Pattern, ...] = ()
    """Only studies that one of these AE titles sent."""

    imported: bool = False
    """Tell of studies too that came by pacstui import, and not from a modality: an old archive has many."""

    ordered_only: bool = False
    """Only studies that belong to an order."""

    status: tuple[Literal["IP", "CM", "DC"], ...] = ("IP", "CM", "DC")
    """Order status (ORC-5) that is told: in progress, completed, discontinued."""

    settled_s: Annotated[float, Field(ge=1, le=86400)] = 60.0
    """Seconds without a further object after which a study is told."""

    again: bool = False
    """Tell a study again when more of it came later."""
