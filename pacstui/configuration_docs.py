"""``python -m pacstui.configuration_docs [FOLDER]`` writes config.example.toml and docs/configuration.md.

The text is that of the docstrings in the modules of settings; a test holds file and schema equal.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pacstui.configuration import CONFIG_VARIABLE, PREFIX
from pacstui.configuration.words import expectation
from pacstui.settings import Settings

_WIDTH = 100
_LATER: tuple[str, ...] = ()
_EXAMPLES: dict[str, dict[str, Any]] = {
    "peers": {
        "name": "CT1",
        "ae_title": "CT1",
        "host": "ct1.example.org",
        "port": 104,
        "tls": False,
        "allow": ["echo", "store", "find", "move", "get", "worklist", "commitment", "mpps"],
        "notes": "room 2.14, service: extension 4711",
    },
    "directory.roles": {"group": "cn=pacs-admins,ou=groups,dc=example,dc=org", "role": "administrator"},
    "routes": {
        "name": "chests of the night",
        "to": ["WS1"],
        "enabled": True,
        "modality": ["CR", "DX"],
        "calling": [],
        "called": [],
        "description": ["*chest*"],
        "where": ["BodyPartExamined = CHEST"],
        "hours": "20:00-06:00",
        "send": "study",
        "stable_s": 60.0,
        "priority": "high",
        "transform": "",
        "send_back": False,
        "last": False,
    },
    "destinations": {
        "name": "WS1",
        "folder": "",
        "move_from": "",
        "move_to": "",
        "associations": 2,
        "hours": "",
        "max_mb_per_s": 0.0,
        "retries": 8,
        "retry_s": 30.0,
        "retry_most_s": 3600.0,
        "give_up_h": 168.0,
        "linger_s": 2.0,
        "commit": True,
    },
    "transforms": {
        "name": "research",
        "profile": "basic",
        "options": ["retain-modified-dates", "clean-descriptors"],
        "project": "lung 2026",
        "burned_in": "refuse",
        "safe_private": [],
        "words": ["lunge", "schädel"],
    },
    "transforms.change": {
        "attribute": "BodyPartExamined",
        "action": "map",
        "value": "",
        "pattern": "",
        "table": {"THORAX": "CHEST", "SCHAEDEL": "SKULL"},
        "otherwise": "keep",
        "vr": "",
    },
    "backups.targets": {
        "name": "nas",
        "url": "/mnt/nas/pacs",
        "schedule": "daily 02:00",
        "objective_h": 26.0,
        "mounted": True,
        "keep_last": 3,
        "keep_daily": 14,
        "keep_weekly": 8,
        "keep_monthly": 12,
        "keep_yearly": 10,
        "verify_percent": 3.0,
        "drill": "monthly 1 05:00",
        "max_mb_per_s": 0.0,
        "encrypt_to": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
        "identity_file": "",
        "passphrase_file": "",
        "include": ["configuration"],
        "endpoint": "",
        "region": "",
        "access_key": "",
        "secret_key_file": "",
        "key_file": "",
        "known_hosts": "",
        "lock_days": 0.0,
        "lock_mode": "governance",
    },
    "hl7.receivers": {
        "name": "RIS",
        "host": "ris.example.org",
        "port": 2575,
        "enabled": True,
        "application": "RIS",
        "facility": "HOSPITAL",
        "charset": "UNICODE UTF-8",
        "tls": False,
        "ca": "",
        "check_host": True,
        "connect_s": 10.0,
        "answer_s": 30.0,
        "linger_s": 60.0,
        "retries": 8,
        "retry_s": 5.0,
        "retry_most_s": 300.0,
        "retry_on": ["AR", "CR"],
        "give_up_h": 0.0,
        "max_per_second": 0.0,
        "hours": "",
    },
    "hl7.forward": {
        "name": "patients of the ward",
        "to": ["RIS"],
        "enabled": True,
        "sender": ["RIS@HOSPITAL"],
        "kind": ["ADT", "ORM^O01"],
        "patient_class": ["I", "O"],
        "where": ["PID-3.4 = HOSPITAL", "PV1-3.1 != TEST*"],
        "outcome": "accepted",
        "sending_application": "",
        "sending_facility": "",
        "receiving_application": "VIEWER",
        "receiving_facility": "",
    },
    "hl7.notifications": {
        "name": "images are here",
        "on": "study received",
        "to": ["RIS"],
        "enabled": True,
        "message": "ORU^R01",
        "template": "",
        "template_file": "",
        "modality": ["CT", "MR"],
        "calling": [],
        "imported": False,
        "ordered_only": True,
        "status": ["IP", "CM", "DC"],
        "settled_s": 60.0,
        "again": False,
    },
    "hl7.senders": {
        "name": "RIS",
        "hosts": ["10.1.2.3/32"],
        "application": "RIS",
        "facility": "",
        "character_set": "8859/1",
        "silent_min": 30,
    },
    "space.rules": {
        "name": "ultrasound after five years",
        "days": 1826,
        "by": "received",
        "modalities": ["US"],
        "calling": [],
        "description": "",
        "only_if_backed_up": True,
        "copies": 2,
        "only_if_sent_to": [],
        "when": "always",
    },
    "orders.procedures": {
        "code": ["CTTHO", "CTABD*"],
        "scheme": ["LOCAL"],
        "description": [],
        "ordered_modality": [],
        "sender": ["RIS"],
        "also": False,
        "modality": "CT",
        "station_ae": ["CT1", "CT2"],
        "station_name": "",
        "room": "2.14",
        "duration_min": 20,
        "step": "CT body",
        "protocol": ["CTBODY^LOCAL^CT body, standard"],
        "study": "own",
    },
}

_INTRODUCTION = """
Written from `pacstui/settings/` by `python -m pacstui.configuration_docs`; change it there.

Without any configuration everything works: data under the user's data directory, AE title PACSTUI, port 11112 on
127.0.0.1. `pacstui check-config` tells every mistake at once, with file, line and key.

One file is read: the one named with `--config FILE`, else by `PACSTUI_CONFIG`, else `./pacstui.toml`, else
`~/.config/pacstui/pacstui.toml` (under `XDG_CONFIG_HOME`), else `/etc/pacstui/pacstui.toml`. It is TOML in UTF-8.
A relative `data_dir` counts from the file's folder. Unknown keys are mistakes, not ignored.

The environment overrides the file: `PACSTUI_SECTION__KEY`, lists as JSON. Examples: `PACSTUI_DICOM__PORT=11113`,
`PACSTUI_DICOM__ALIASES='["PACS", "ARCHIVE"]'`; `PACSTUI_PEERS` takes a JSON list of objects.

A running node reads the file again on SIGHUP: peers, who may call, limits and log level change at once, the rest at the
next start.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting as it is documented; ``default`` is TOML, empty where the setting is required."""

    key: str
    expected: str
    default: str
    text: str
    variable: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the file; ``many`` tables are written with double brackets, once for each."""

    path: str
    many: bool
    text: str
    entries: tuple[Entry, ...]
    later: bool


def _texts(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring below each field."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(tree, ast.ClassDef)
    texts = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            texts[field.target.id] = " ".join(below.value.value.split())
    return texts


def toml(value: Any) -> str:
    """Return ``value`` as TOML."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{toml(key)} = {toml(each)}" for key, each in value.items())
        return "{ " + pairs + " }" if pairs else "{}"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False)


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return ""
    if name == "data_dir":
        return '"~/.local/share/pacstui"'
    return toml(field.get_default(call_default_factory=True))


def _rows_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model of which ``annotation`` is a list, if it is one."""
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner
    return None


def tables(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[Table]:
    """Yield every table of the schema in the order of the schema."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        rows = _rows_of(annotation)
        below = (*path, name)
        if rows is not None:
            yield _table(rows, below, many=True)
            yield from (table for table in tables(rows, below) if table.many)
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield _table(annotation, below, many=False)
            yield from (table for table in tables(annotation, below) if table.many)


def _table(model: type[BaseModel], path: tuple[str, ...], *, many: bool) -> Table:
    texts = _texts(model)
    entries = tuple(
        Entry(
            name,
            expectation(field.annotation, field.metadata),
            _default(name, field),
            texts.get(name, ""),
            "" if many else PREFIX + "__".join((*path, name)).upper(),
        )
        for name, field in model.model_fields.items()
        if _rows_of(field.annotation) is None
    )
    return Table(".".join(path), many, " ".join((model.__doc__ or "").split()), entries, path[0] in _LATER)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH, break_on_hyphens=False)]


def example() -> str:
    """Return config.example.toml: every setting at its default, and one commented example of each kind of list."""
    lines = [
        *_comment(
            "pacstui: every setting with its default. Copy what you change; all the rest may be left out, as may the"
            f" whole file. Read from --config FILE, else ${CONFIG_VARIABLE}, ./pacstui.toml,"
            " ~/.config/pacstui/pacstui.toml, /etc/pacstui/pacstui.toml."
            " The environment overrides the file, for example PACSTUI_DICOM__PORT=11113."
        ),
    ]
    for table in tables():
        if not table.entries:
            continue
        later = " Checked, not yet acted on by this version." if table.later else ""
        lines += ["", *_comment(table.text + later)]
        head = f"[[{table.path}]]" if table.many else f"[{table.path}]"
        lines.append(f"# {head}" if table.many else head)
        for entry in table.entries:
            lines += ["", *_comment(f"{entry.text} Expects {entry.expected}.")]
            if table.many:
                lines.append(f"# {entry.key} = {toml(_EXAMPLES[table.path][entry.key])}")
            else:
                lines.append(f"{entry.key} = {entry.default}")
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Return docs/configuration.md."""
    lines = ["# Configuration"]
    for paragraph in _INTRODUCTION.strip().split("\n\n"):
        lines += ["", *textwrap.wrap(" ".join(paragraph.split()), 118, break_on_hyphens=False, break_long_words=False)]
    for table in tables():
        if not table.entries:
            continue
        head = f"[[{table.path}]]" if table.many else f"[{table.path}]"
        lines += ["", f"## {head}", "", table.text]
        if table.many:
            lines += ["", "One such table for each."]
        if table.later:
            lines += ["", "Read and checked, not yet acted on by this version."]
        for entry in table.entries:
            default = f"default `{entry.default}`" if entry.default else "required"
            variable = f"; `{entry.variable}`" if entry.variable else ""
            lines += ["", f"### {entry.key}", "", entry.text, "", f"Expects {entry.expected}; {default}{variable}."]
    return "\n".join(lines) + "\n"


def files() -> dict[str, str]:
    """Return what is generated, by path below the project's folder."""
    return {"config.example.toml": example(), "docs/configuration.md": reference()}


def main() -> None:
    """Write the files below the folder that is named, by default the current one."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for name, text in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
