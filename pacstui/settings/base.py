"""What settings are made of: sections, and values that more than one of them has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


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
