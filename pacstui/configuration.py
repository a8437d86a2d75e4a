"""The configuration: found, read, checked as a whole, and every mistake told at once.

Order of precedence: the environment (``PACSTUI_DICOM__PORT=11113``), one file, the defaults. The file is the one named
with ``--config``, else by ``PACSTUI_CONFIG``, else ``pacstui.toml`` in the current folder, else the user's, else the
system's. The schema is imported only when a configuration is checked, so that `data_dir` stays quick.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pacstui.errors import SettingsError
from pacstui.places import SYSTEM_CONFIGURATION, default_data_dir, user_configuration
from pacstui.text import safe

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from pacstui.configuration_words import Lines, Mistake
    from pacstui.settings import DirectorySettings, Settings, TargetSettings

PREFIX = "PACSTUI_"
CONFIG_VARIABLE = "PACSTUI_CONFIG"
_SIZE_LIMIT = 1024 * 1024
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_NAMED = (
    ("peers",), ("destinations",), ("routes",), ("backups", "targets"), ("space", "rules"), ("transforms",),
    ("hl7", "senders"),
)  # fmt: skip
"""Lists whose rows have names that differ."""
_MAY = {
    "store": "send objects", "find": "search for patients", "get": "fetch images", "move": "send images to your peers",
    "worklist": "read the worklist",
}  # fmt: skip
HINT = "every setting is explained in docs/configuration.md; config.example.toml has them all"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked configuration, the file it came from (none: defaults and environment), and remarks on it."""

    settings: Settings
    source: Path | None
    notes: list[str]


class ConfigurationError(SettingsError):
    """The configuration has mistakes; ``mistakes`` holds them apart, ``problems`` as lines to show."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        count = len(mistakes)
        message = "the configuration cannot be used: " + (
            str(mistakes[0]) if count == 1 else f"{count} mistakes, the first is {mistakes[0]}"
        )
        super().__init__(message, HINT, tuple(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


def _fail(file: str, text: str, line: int = 0) -> ConfigurationError:
    from pacstui.configuration_words import Mistake

    return ConfigurationError([Mistake(file, line, "", text)])


def locate(path: Path | None = None) -> Path | None:
    """Return the configuration file to read, none if there is none.

    A file that was named, by ``path`` or ``PACSTUI_CONFIG``, is returned whether it exists or not.
    """
    if path is not None:
        return path
    named = os.environ.get(CONFIG_VARIABLE, "")
    if named:
        return Path(named)
    for candidate in (Path("pacstui.toml"), user_configuration(), SYSTEM_CONFIGURATION):
        try:
            if candidate.is_file():
                return candidate
        except OSError:  # a folder that this user may not enter holds no file for this user
            continue
    return None


def _text(file: Path) -> str:
    """Return the file's text; raise `ConfigurationError` that says why it cannot be read."""
    try:
        if file.is_dir():
            raise _fail(str(file), "is a folder, not a file")
        with file.open("rb") as stream:
            raw = stream.read(_SIZE_LIMIT + 1)
    except FileNotFoundError:
        raise _fail(str(file), "there is no such file") from None
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise _fail(str(file), f"cannot be read: {why}") from None
    if len(raw) > _SIZE_LIMIT:
        raise _fail(str(file), "is longer than 1 MiB and thus no configuration")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _fail(str(file), "is written as UTF-16; save it as UTF-8")
    try:
        return raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        raise _fail(str(file), "is not UTF-8; save it as UTF-8", line) from None


def _parse(text: str, file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _fail(str(file), "is nested too deeply") from None
    except ValueError as fault:  # tomllib's own error is one; numbers beyond all measure raise the plain one
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(fault))
        words = str(fault)[: place.start()] if place else str(fault).removesuffix(" (at end of document)")
        line = int(place[1]) if place else 0
        raise _fail(str(file), f"is no valid TOML: {words}", line) from None


def data_dir(path: Path | None = None) -> Path:
    """Return the data directory alone, without checking the rest (commands that only ask a running node use this).

    Raises
    ------
    SettingsError
        The file cannot be read or the data directory is no path.
    """
    given: Any = os.environ.get(f"{PREFIX}NODE__DATA_DIR")
    file = None
    if given is None:
        file = locate(path)
        node = _parse(_text(file), file).get("node") if file is not None else None
        given = node.get("data_dir") if isinstance(node, dict) else None
        if given is None:
            return default_data_dir()
    if not isinstance(given, str) or not given or "\0" in given:
        return load(path).settings.node.data_dir
    try:
        return _beside(Path(given).expanduser(), file)
    except RuntimeError:
        return load(path).settings.node.data_dir


def _beside(folder: Path, file: Path | None) -> Path:
    """Return ``folder`` as an absolute path: beside the configuration file, else in the current folder."""
    return Path(os.path.abspath(file.parent / folder if file is not None else folder))


def load(path: Path | None = None) -> Loaded:
    """Return the settings of the file (see `locate`) and the environment.

    Raises
    ------
    SettingsError
        With every mistake at once in ``problems``: file and line, key, what was expected.
    """
    from pacstui.configuration_words import Lines

    file = locate(path)
    text = _text(file) if file is not None else ""
    values = _parse(text, file) if file is not None else {}
    reading = _Reading(values, file, Lines(text))
    return reading.checked()


class _Reading:
    """One configuration on its way to becoming settings."""

    def __init__(self, values: dict[str, Any], file: Path | None, lines: Lines) -> None:
        from pacstui.settings import Settings

        self.schema: type[BaseModel] = Settings
        self.file = file
        self.lines = lines
        self.mistakes: list[Mistake] = []
        self.notes: list[str] = []
        self.from_environment: dict[tuple[str, ...], str] = {}
        self.values = values
        self._environment(os.environ)

    def checked(self) -> Loaded:
        """Return the settings, or raise with all mistakes."""
        from pydantic import ValidationError

        from pacstui.settings import Settings

        settings: Settings | None = None
        try:
            settings = Settings.model_validate_json(_as_json(self.values), strict=True)
        except ValidationError as fault:
            for error in fault.errors(include_url=False):
                self._explain(error)
        except RecursionError:
            raise _fail(str(self.file), "is nested too deeply") from None
        self._names()
        beside = None if ("node", "data_dir") in self.from_environment else self.file
        if settings is not None:
            self._directory(settings.directory)
            self._targets(settings.backups.targets, _beside(settings.node.data_dir, beside))
        if self.mistakes or settings is None:
            self.mistakes.sort(key=lambda mistake: (mistake.file, mistake.line))
            raise ConfigurationError(self.mistakes)
        node = settings.node.model_copy(update={"data_dir": _beside(settings.node.data_dir, beside)})
        settings = settings.model_copy(update={"node": node})
        self._remarks(settings)
        return Loaded(settings, self.file, self.notes)

    def _add(self, loc: tuple[int | str, ...], text: str) -> None:
        from pacstui.configuration_words import Mistake, key_of

        for length in range(len(loc), 0, -1):
            variable = self.from_environment.get(tuple(str(step) for step in loc[:length]))
            if variable is not None:
                self.mistakes.append(Mistake(variable, 0, key_of(loc), text))
                return
        file = str(self.file) if self.file is not None else "environment"
        self.mistakes.append(Mistake(file, self.lines.of(loc), key_of(loc), text))

    def _explain(self, error: ErrorDetails) -> None:
        """Turn one of pydantic's complaints into a sentence that says what was expected."""
        from pacstui.configuration_words import did_you_mean, expected_at, model_at, shown

        loc, kind, value = error["loc"], error["type"], error.get("input")
        if kind == "extra_forbidden":
            model = model_at(self.schema, loc[:-1])
            known = list(model.model_fields) if model is not None else []
            what = "section" if len(loc) == 1 else "key"
            offer = did_you_mean(str(loc[-1]), known) or f"; known here: {', '.join(known)}"
            self._add(loc, f"unknown {what}{offer}")
            return
        expected = expected_at(self.schema, loc) or "something else"
        if kind == "missing":
            self._add(loc, f"is missing; expected {expected}")
        elif kind == "value_error":
            self._add(loc, f"{shown(value)}: {error['msg'].removeprefix('Value error, ')}")
        elif kind == "literal_error" and isinstance(value, str):
            choices = re.findall(r'"([^"]*)"', expected)
            self._add(loc, f"expected {expected}, not {shown(value)}{did_you_mean(value, choices)}")
        else:
            self._add(loc, f"expected {expected}, not {shown(value)}")

    def _environment(self, environ: Mapping[str, str]) -> None:
        """Lay the environment's overrides over the file's values."""
        from pacstui.configuration_words import Mistake, did_you_mean, field_at

        for variable in sorted(name for name in environ if name.startswith(PREFIX) and name != CONFIG_VARIABLE):
            steps = tuple(variable.removeprefix(PREFIX).lower().split("__"))
            field = field_at(self.schema, steps)
            if field is None:
                if len(steps) > 1:
                    known = [self._variable(loc) for loc in _leaves(self.schema)]
                    offer = did_you_mean(variable, known)
                    self.mistakes.append(Mistake(variable, 0, "", f"there is no such setting{offer}"))
                else:
                    self._nearly(variable)
                continue
            table = self.values
            for step in steps[:-1]:
                inner = table.setdefault(step, {})
                if not isinstance(inner, dict):
                    table[step] = inner = {}
                table = inner
            table[steps[-1]] = _environment_value(environ[variable], field.annotation)
            self.from_environment[steps] = variable

    def _nearly(self, variable: str) -> None:
        for loc in _leaves(self.schema):
            if variable == PREFIX + "_".join(loc).upper():
                self.notes.append(f"{variable} is not read; the setting's variable is {self._variable(loc)}")

    @staticmethod
    def _variable(loc: tuple[str, ...]) -> str:
        return PREFIX + "__".join(loc).upper()

    def _rows(self, *keys: str) -> Iterator[tuple[int, dict[str, Any]]]:
        table: Any = self.values
        for key in keys:
            table = table.get(key) if isinstance(table, dict) else None
        for index, row in enumerate(table if isinstance(table, list) else ()):
            if isinstance(row, dict):
                yield index, row

    def _names(self) -> None:
        """Check what holds between rows: names are unique, and routes lead to peers."""
        from pacstui.configuration_words import did_you_mean, shown

        known: list[str] = []
        for keys in _NAMED:
            first: dict[str, int] = {}
            for index, row in self._rows(*keys):
                name = row.get("name")
                if not isinstance(name, str) or not name.strip():
                    continue
                if name.strip() in first:
                    line = self.lines.of((*keys, first[name.strip()], "name"))
                    before = f" (line {line})" if line else f", number {first[name.strip()] + 1}"
                    self._add((*keys, index, "name"), f"{shown(name)} is the name of an earlier entry{before} already")
                first.setdefault(name.strip(), index)
            if keys in (("peers",), ("destinations",)):
                known += [name for name in first if name not in known]
        for index, row in self._rows("routes"):
            to = row.get("to")
            for name in to if isinstance(to, list) else ():
                if isinstance(name, str) and name.strip() and name.strip() not in known:
                    offer = did_you_mean(name, known)
                    told = f"{shown(name)} is not the name of a peer or destination{offer}"
                    if offer or not known:
                        self._add(("routes", index, "to"), told)
                    else:
                        self.notes.append(
                            f"routes[{index}].to: {told} of this file; one that was added on the console?"
                        )

    def _directory(self, directory: DirectorySettings) -> None:
        """Check what of [directory] only makes sense together, or would send passwords in the clear."""
        from pacstui.settings import is_loopback

        def wrong(key: str, text: str) -> None:
            self._add(("directory", key), text)

        if not directory.servers:
            return
        for url in directory.servers:
            parts = urlsplit(url)
            secure = parts.scheme == "ldaps" or directory.start_tls
            if not secure and not directory.plain and not is_loopback(parts.hostname or ""):
                wrong("servers", f"{safe(url, 100)} would be told passwords in the clear: write ldaps://, or set"
                                 " start_tls = true; plain = true allows it")  # fmt: skip
            if parts.scheme == "ldaps" and directory.start_tls:
                wrong("start_tls", f"{safe(url, 100)} speaks TLS from the beginning; StartTLS is for ldap://")
        given = bool(directory.bind_password.get_secret_value())
        if given and directory.password_file:
            wrong("password_file", "bind_password is there too; one of them is enough")
        if directory.bind_dn and not given and not directory.password_file:
            wrong("bind_dn", "needs password_file: without a password the directory would take it for nobody")
        if not directory.base and "=" not in directory.user_dn:
            wrong("base", "is missing; expected the DN below which people are searched for")

    def _targets(self, targets: Sequence[TargetSettings], data_dir: Path) -> None:
        """Check what of a backup target would protect nothing, or only makes sense together."""
        for index, target in enumerate(targets):

            def wrong(key: str, text: str, index: int = index) -> None:
                self._add(("backups", "targets", index, key), text)

            if not target.url.startswith("s3:"):
                folder = Path(target.url.removeprefix("file://").removeprefix("file:")).expanduser()
                if not folder.is_absolute():
                    wrong("url", f"{safe(target.url, 100)}: write the whole path, from / on")
                elif folder.is_relative_to(data_dir):
                    wrong("url", f"{safe(target.url, 100)} lies in the data directory: it would be lost with it")
                elif data_dir.is_relative_to(folder):
                    wrong("url", f"{safe(target.url, 100)} has the data directory in it: take a folder of its own")
            elif not re.match("s3://[^/]", target.url):
                wrong("url", f"{safe(target.url, 100)}: write a bucket as s3://bucket/folder")
            if target.encrypt_to and target.passphrase_file:
                wrong("passphrase_file", "encrypt_to is there too; one of them is enough")
            if "secrets" in target.include and not (target.encrypt_to or target.passphrase_file):
                wrong("include", "secrets go to encrypted targets only: set encrypt_to or passphrase_file")

    def _remarks(self, settings: Settings) -> None:
        from pacstui.settings import is_loopback

        directory = settings.directory
        if directory.servers and not directory.roles:
            self.notes.append("the directory lets nobody in: there are no [[directory.roles]]")
        if directory.servers and directory.user_dn and not directory.bind_dn:
            self.notes.append("[directory] has no bind_dn: who is signed in is not looked up again")
        if directory.plain and directory.servers:
            self.notes.append("[directory] plain: passwords can be read on the network")
        dicom = settings.dicom
        if not is_loopback(dicom.host):
            if dicom.unknown_callers == "all":
                self.notes.append(_open_to_all(settings))
            elif not settings.peers:
                self.notes.append("only programs on this machine may associate: there are no [[peers]]")
        hl7 = settings.hl7
        if hl7.enabled and not is_loopback(hl7.host):
            if hl7.unknown_senders == "all":
                self.notes.append(
                    f'[hl7] unknown_senders = "all": whoever reaches {safe(hl7.host)} may change patients and orders;'
                    ' name your [[hl7.senders]] and set it to "loopback"'
                )
            elif not hl7.senders:
                self.notes.append("only programs on this machine may send HL7: there are no [[hl7.senders]]")
            if not hl7.tls_port or hl7.plain:
                self.notes.append("[hl7] MLLP without TLS: patients' data can be read and changed on the network")
        if hl7.enabled and hl7.unknown_senders == "none" and not hl7.senders:
            self.notes.append('nobody may send HL7: [hl7] unknown_senders is "none" and there are no [[hl7.senders]]')
        if dicom.unknown_callers == "none" and not settings.peers:
            self.notes.append('nobody may associate: unknown_callers is "none" and there are no [[peers]]')


def _open_to_all(settings: Settings) -> str:
    """Return what it means that whoever calls is let in."""
    dicom, tls = settings.dicom, settings.tls
    who = f"whoever reaches {safe(dicom.host)}"
    if tls.port and not tls.plain and tls.client_certificates:
        who += " with a certificate"
    if dicom.identity == "require":
        who += " as a service account"
    may = ", ".join(text for service, text in _MAY.items() if service in dicom.unknown_allow) or "associate"
    return (
        f'unknown_callers = "all": {who} may {may}; make your devices [[peers]] and set it to "loopback", or allow'
        " less by unknown_allow"
    )


def _leaves(model: type[BaseModel], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the place of each setting that has an environment variable."""
    from pydantic import BaseModel

    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, (*before, name))
        else:
            yield (*before, name)


def _environment_value(text: str, annotation: Any) -> Any:
    """Return an environment variable's text as the TOML value that it stands for."""
    import json
    from typing import Literal, get_origin

    from pydantic import SecretStr

    if annotation in (str, Path, SecretStr) or get_origin(annotation) is Literal:
        return text
    if annotation is bool:
        lower = text.strip().lower()
        return lower in _TRUE if lower in (*_TRUE, *_FALSE) else text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _as_json(values: dict[str, Any]) -> str:
    """Return ``values`` as JSON, which pydantic checks strictly without minding lists for tuples; dates as text."""
    import json

    return json.dumps(values, default=str)
