"""What only makes sense together: names that differ, routes that lead somewhere, servers and their passwords."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pacstui.configuration.lines import Lines
from pacstui.configuration.words import did_you_mean, shown
from pacstui.settings import DirectorySettings, TargetSettings, is_loopback
from pacstui.text import safe

_NAMED = (
    ("peers",), ("destinations",), ("routes",), ("backups", "targets"), ("space", "rules"), ("transforms",),
    ("hl7", "senders"), ("hl7", "receivers"), ("hl7", "forward"), ("hl7", "notifications"),
)  # fmt: skip
"""Lists whose rows have names that differ."""

Wrong = Callable[[tuple[int | str, ...], str], None]
"""Is told the place of a mistake, and what it is."""


def _rows(values: dict[str, Any], *keys: str) -> Iterator[tuple[int, dict[str, Any]]]:
    table: Any = values
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    for index, row in enumerate(table if isinstance(table, list) else ()):
        if isinstance(row, dict):
            yield index, row


def names(values: dict[str, Any], lines: Lines, wrong: Wrong) -> list[str]:
    """Check what holds between rows: names are unique, and routes lead to peers. Return what is only worth a word."""
    notes: list[str] = []
    known: list[str] = []
    for keys in _NAMED:
        first: dict[str, int] = {}
        for index, row in _rows(values, *keys):
            name = row.get("name")
            if not isinstance(name, str) or not name.strip():
                continue
            if name.strip() in first:
                line = lines.of((*keys, first[name.strip()], "name"))
                before = f" (line {line})" if line else f", number {first[name.strip()] + 1}"
                wrong((*keys, index, "name"), f"{shown(name)} is the name of an earlier entry{before} already")
            first.setdefault(name.strip(), index)
        if keys in (("peers",), ("destinations",)):
            known += [name for name in first if name not in known]
    for index, row in _rows(values, "routes"):
        to = row.get("to")
        for name in to if isinstance(to, list) else ():
            if isinstance(name, str) and name.strip() and name.strip() not in known:
                offer = did_you_mean(name, known)
                told = f"{shown(name)} is not the name of a peer or destination{offer}"
                if offer or not known:
                    wrong(("routes", index, "to"), told)
                else:
                    notes.append(f"routes[{index}].to: {told} of this file; one that was added on the console?")

    receivers = [
        row["name"].strip() for _, row in _rows(values, "hl7", "receivers") if isinstance(row.get("name"), str)
    ]
    for section in ("forward", "notifications"):
        for index, row in _rows(values, "hl7", section):
            to = row.get("to")
            for name in to if isinstance(to, list) else ():
                if isinstance(name, str) and name.strip() not in receivers:
                    offer = did_you_mean(name, receivers) or "; there are: " + (", ".join(receivers) or "none")
                    wrong(("hl7", section, index, "to"), f"{shown(name)} is not one of [[hl7.receivers]]{offer}")
    return notes


def directory(settings: DirectorySettings, wrong: Wrong) -> None:
    """Check what of [directory] only makes sense together, or would send passwords in the clear."""
    if not settings.servers:
        return
    for url in settings.servers:
        parts = urlsplit(url)
        secure = parts.scheme == "ldaps" or settings.start_tls
        if not secure and not settings.plain and not is_loopback(parts.hostname or ""):
            clear = (
                "would be told passwords in the clear: write ldaps://, or set start_tls = true; plain = true allows it"
            )
            wrong(("directory", "servers"), f"{safe(url, 100)} {clear}")
        if parts.scheme == "ldaps" and settings.start_tls:
            twice = f"{safe(url, 100)} speaks TLS from the beginning; StartTLS is for ldap://"
            wrong(("directory", "start_tls"), twice)
    given = bool(settings.bind_password.get_secret_value())
    if given and settings.password_file:
        wrong(("directory", "password_file"), "bind_password is there too; one of them is enough")
    if settings.bind_dn and not given and not settings.password_file:
        nobody = "needs password_file: without a password the directory would take it for nobody"
        wrong(("directory", "bind_dn"), nobody)
    if not settings.base and "=" not in settings.user_dn:
        wrong(("directory", "base"), "is missing; expected the DN below which people are searched for")


def targets(settings: Sequence[TargetSettings], data_dir: Path, wrong: Wrong) -> None:
    """Check what of a backup target would protect nothing, or only makes sense together."""
    for index, target in enumerate(settings):
        at = ("backups", "targets", index)
        if not target.url.startswith("s3:"):
            folder = Path(target.url.removeprefix("file://").removeprefix("file:")).expanduser()
            if not folder.is_absolute():
                wrong((*at, "url"), f"{safe(target.url, 100)}: write the whole path, from / on")
            elif folder.is_relative_to(data_dir):
                wrong((*at, "url"), f"{safe(target.url, 100)} lies in the data directory: it would be lost with it")
            elif data_dir.is_relative_to(folder):
                wrong((*at, "url"), f"{safe(target.url, 100)} has the data directory in it: take a folder of its own")
        elif not re.match("s3://[^/]", target.url):
            wrong((*at, "url"), f"{safe(target.url, 100)}: write a bucket as s3://bucket/folder")
        if target.encrypt_to and target.passphrase_file:
            wrong((*at, "passphrase_file"), "encrypt_to is there too; one of them is enough")
        if "secrets" in target.include and not (target.encrypt_to or target.passphrase_file):
            wrong((*at, "include"), "secrets go to encrypted targets only: set encrypt_to or passphrase_file")
