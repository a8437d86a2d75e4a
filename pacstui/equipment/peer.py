"""One peer: what is known of it, from the configuration or from the register, and how it is written as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, ValidationError

from pacstui.contract.peers import BESIDE, FIELDS, ROLES, TLS
from pacstui.errors import BadRequest
from pacstui.settings import SERVICES, PeerSettings, PemFile, with_mpps
from pacstui.text import safe

Role = Literal["modality", "workstation", "archive", "router", "ai", "ris", "printer", "other"]
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]

_YES: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_LISTS: Final = {"roles": ROLES, "allow": SERVICES}


class Peer(PeerSettings):
    """A peer of the register; `configured` ones stand in the configuration, with more beside it here."""

    check: Literal["", "name", "certificate", "nothing"] = ""
    """What is checked of its certificate; empty: as [tls] says."""

    certificate: PemFile = ""
    key: PemFile = ""
    ca: PemFile = ""
    """Ours for it, and who signed its own; empty: those of [tls]."""

    roles: tuple[Role, ...] = ()

    probe: bool = True
    """Whether it is asked now and then by C-ECHO, and missed when it does not answer."""

    limit: Annotated[int, Field(ge=0, le=4096)] = 0
    """Associations at once that it may have with us; 0: as many as anybody."""

    vendor: Words = ""
    model: Words = ""
    software: Words = ""
    serial: Words = ""
    location: Words = ""
    contact: Words = ""
    configured: bool = False

    @property
    def tls_word(self) -> str:
        """How it is called, as one of `TLS`."""
        return (self.check or "on") if self.tls else "off"

    @property
    def own_tls(self) -> tuple[str, str, str, str]:
        """What of its TLS is not as [tls] says."""
        return self.certificate, self.key, self.ca, self.check


def of_settings(settings: PeerSettings, beside: Mapping[str, Any] | None = None) -> Peer:
    """Return a peer of the configuration, with what the register has beside it."""
    more = {name: value for name, value in (beside or {}).items() if name in BESIDE and value not in ("", None)}
    return Peer.model_validate({**settings.model_dump(), **more, "configured": True})


def texts_of(peer: Peer) -> dict[str, str]:
    """Return a peer's values as text, by `FIELDS`."""
    values = {name: getattr(peer, name) for name in FIELDS if name != "tls"}
    texts = {name: value if isinstance(value, str) else str(value) for name, value in values.items()}
    texts["tls"] = peer.tls_word
    texts["roles"] = ", ".join(peer.roles)
    texts["allow"] = "all" if set(peer.allow) == set(SERVICES) else ", ".join(peer.allow) or "nothing"
    texts["probe"] = "yes" if peer.probe else "no"
    return {name: texts[name] for name in FIELDS}


def body_of(peer: Peer) -> dict[str, Any]:
    """Return what is kept of a peer of the register; of one in the configuration, what stands beside it."""
    kept = peer.model_dump(mode="json", exclude={"configured"})
    return {name: value for name, value in kept.items() if name in BESIDE} if peer.configured else kept


def of_body(body: Mapping[str, Any]) -> Peer:
    """Return a peer of the register as it was kept; raises ValueError where that cannot be understood."""
    return Peer.model_validate({name: value for name, value in body.items() if name in Peer.model_fields})


def peer_of(texts: Mapping[str, str], base: Peer | None = None) -> Peer:
    """Return the peer that texts describe, what they leave out being as in ``base``.

    Raises
    ------
    BadRequest
        That names the field and what is wrong with it.
    """
    values: dict[str, Any] = base.model_dump() if base is not None else {}
    for name, text in texts.items():
        values.update(_read(name, text.strip()))
    if base is not None and base.configured:
        _only_beside(base, texts)
    try:
        peer = Peer.model_validate(values)
    except ValidationError as fault:
        first = fault.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "a field"
        told = str(first["msg"]).removeprefix("Value error, ")
        given = "" if first["type"] == "missing" else f" ({safe(values.get(field, ''), 64)})"
        raise BadRequest(f"{field.replace('_', ' ')}{given}: {told}", _HINTS.get(field, "")) from None
    if (peer.certificate or peer.key or peer.ca) and not peer.tls:
        raise BadRequest(f"{safe(peer.name, 64)} has certificates, but is called without TLS", "set tls to on")
    return peer


def _only_beside(base: Peer, texts: Mapping[str, str]) -> None:
    """See that nothing is changed of a configured peer that the configuration says."""
    now = texts_of(base)
    wrong = [
        name
        for name, text in texts.items()
        if name not in BESIDE and {**now, **_canonical(name, text)}.get(name) != now.get(name)
    ]
    if wrong:
        raise BadRequest(
            f"{safe(base.name, 64)} stands in the configuration, which says its {' and '.join(wrong)}",
            f"change it there and reload; here can be changed: {', '.join(BESIDE)}",
        )


def _canonical(name: str, text: str) -> dict[str, str]:
    """Return a text as `texts_of` would write it."""
    text = text.strip()
    if name in _LISTS:
        value = _read(name, text)[name]
        if name == "allow":
            return {name: "all" if set(value) == set(SERVICES) else ", ".join(value) or "nothing"}
        return {name: ", ".join(value)}
    return {name: text.lower() or "off"} if name == "tls" else {name: text}


def _read(name: str, text: str) -> dict[str, Any]:
    """Return the values that the text of one field stands for."""
    if name == "tls":
        word = text.lower() or "off"
        word = {"yes": "on", "no": "off", "true": "on", "false": "off"}.get(word, word)
        if word not in TLS:
            raise BadRequest(f"tls is one of {', '.join(TLS)}: {safe(text, 32)}", _HINTS["tls"])
        return {"tls": word != "off", "check": word if word in TLS[2:] else ""}
    if name in _LISTS:
        return {name: _list(name, text)}
    if name == "probe":
        if text and text.lower() not in _YES:
            raise BadRequest(f"probe is yes or no: {safe(text, 32)}")
        return {name: _YES.get(text.lower(), True)}
    if name in ("port", "limit"):
        if not text:
            return {name: 104 if name == "port" else 0}
        if not (text.isascii() and text.isdigit()) or len(text) > 9:
            raise BadRequest(f"{name} is a whole number: {safe(text, 32)}", _HINTS[name])
        return {name: int(text)}
    return {name: text}


def _list(name: str, text: str) -> tuple[str, ...]:
    known = _LISTS[name]
    if name == "allow" and text.lower() in ("", "all"):
        return SERVICES
    if text.lower() in ("", "nothing", "none"):
        return ()
    given = tuple(dict.fromkeys(word.strip().lower() for word in text.replace(";", ",").split(",") if word.strip()))
    unknown = [word for word in given if word not in known]
    if unknown:
        raise BadRequest(f"{name}: {safe(unknown[0], 32)} is not known", f"known are {', '.join(known)}")
    found = tuple(word for word in known if word in given)
    return with_mpps(found) if name == "allow" else found


_HINTS: Final = {
    "ae_title": "as the peer says it itself; capitals matter",
    "host": "the name or the address that it calls from and is called at",
    "port": "1 to 65535; 104 and 11112 are the usual ones",
    "limit": "0 to 4096; 0 for no limit of its own",
    "tls": "off; on: as [tls] says; name, certificate, nothing: what of its certificate is checked",
    "name": "a name of up to 64 characters, as people here call it",
}
