"""Where studies are sent on to, and how copies are changed on their way."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pacstui.settings.base import Name, Section, Words

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

    send: Literal["instance", "series", "study", "performed"] = "instance"
    """Send each object as it comes, or when its series or its study is complete: when nothing of it came for
    stable_s seconds, or as many objects are here as Number of Study Related Instances says. Or when its performed
    procedure step is over and as many objects are here as that names; without that after stable_s seconds, for which
    an hour or two is a good choice then."""

    stable_s: Annotated[float, Field(ge=1, le=86400)] = 60.0
    """Seconds without a further object after which a series or study counts as complete, whatever else it waits for."""

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
