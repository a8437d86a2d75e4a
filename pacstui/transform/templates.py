"""Values that are made of others: ``{PatientID}-{calling_ae}``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import Final

from pacstui.transform.paths import BadPath, Path, parse
from pacstui.transform.tree import Item, text_of


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a sending: AE titles of who sent the object here and of the node it called, the receiver's name
    and AE title, and the route. ``today`` is a DA, ``now`` a TM."""

    calling_ae: str = ""
    called_ae: str = ""
    peer: str = ""
    peer_ae: str = ""
    route: str = ""
    today: str = ""
    now: str = ""


FIELDS: Final = tuple(Context.__slots__)
_LENGTH = re.compile(r"[1-9]\d{0,4}")


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    field: str = ""
    path: Path | None = None
    longest: int = 0


@dataclass(frozen=True, slots=True)
class Template:
    """Text with fields in it."""

    parts: tuple[_Part, ...]

    @property
    def constant(self) -> str | None:
        """The text, where there are no fields in it."""
        return "".join(part.text for part in self.parts) if all(_fixed(part) for part in self.parts) else None

    def fill(self, root: Item, context: Context) -> str:
        """Return the text for an object; what is absent is empty."""
        return "".join(part.text + self._value(part, root, context) for part in self.parts)

    @staticmethod
    def _value(part: _Part, root: Item, context: Context) -> str:
        if part.path is not None:
            found = next(part.path.places(root), None)
            value = "" if found is None else text_of(found[0], found[0].elements[found[1]])
        else:
            value = getattr(context, part.field) if part.field else ""
        return value[: part.longest] if part.longest else value


def _fixed(part: _Part) -> bool:
    return not part.field and part.path is None


def template(text: str) -> Template:
    """Read a template: ``{Keyword}``, ``{(gggg,eeee)}``, a path, or a word of `Context`; ``{PatientID:16}`` takes 16
    characters of it at most; ``{{`` is a brace.

    Raises
    ------
    BadPath
        Where a field is not known, or braces do not match.
    """
    try:
        found = list(Formatter().parse(text))
    except ValueError:
        raise BadPath("its braces do not match; write {{ and }} for braces that are meant") from None
    return Template(tuple(_part(*each) for each in found))


def _part(text: str, field: str | None, form: str | None, conversion: str | None) -> _Part:
    if field is None:
        return _Part(text)
    if conversion or (form and not _LENGTH.fullmatch(form)):
        raise BadPath(f"{{{field}}}: only a length may follow, as {{{field}:16}}")
    longest = int(form) if form else 0
    if field in FIELDS:
        return _Part(text, field, longest=longest)
    try:
        path = parse(field)
    except BadPath as fault:
        raise BadPath(f"{{{field}}}: {fault}; known besides attributes: {', '.join(FIELDS)}") from None
    if not path.one:
        raise BadPath(f"{{{field}}} stands for more than one attribute")
    return _Part(text, path=path, longest=longest)
