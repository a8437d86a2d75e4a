"""The acceptor's answer to an A-ASSOCIATE-RQ (PS3.8 9.3.3, PS3.7 D.3)."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from pacstui.dicom.syntaxes import IMPLICIT
from pacstui.dicom.uids import (
    APPLICATION_CONTEXT,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    valid_uid,
)
from pacstui.dicom.ul.faults import ContextResult, Refusal, RejectSource, Result, UserReason
from pacstui.dicom.ul.items import (
    ContextAnswer,
    ExtendedNegotiation,
    IdentityType,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from pacstui.dicom.ul.pdu import AssociateAccept, AssociateRequest


@dataclass(frozen=True, slots=True)
class Context:
    """A presentation context after negotiation.

    ``result`` is 0 when it was accepted, with ``transfer_syntax``. ``scu`` and ``scp`` say which roles the requestor of
    the association may take on it.
    """

    id: int
    abstract_syntax: str
    transfer_syntax: str
    result: int
    proposed: tuple[str, ...]
    scu: bool = True
    scp: bool = False


class Judge(Protocol):
    """What the acceptor's owner decides; called at once, in the event loop."""

    def accepts(self, abstract_syntax: str, transfer_syntaxes: Sequence[str], rq: AssociateRequest) -> tuple[int, str]:
        """Return the result (0 to 4) for a proposed context and, with 0, the transfer syntax."""
        ...

    def roles(self, sop_class: str, scu: bool, scp: bool, rq: AssociateRequest) -> tuple[bool, bool]:
        """Return which of the roles that the requestor proposes for itself it may take."""
        ...

    def identity(self, identity: UserIdentity, rq: AssociateRequest) -> Refusal | None:
        """Check who the user is."""
        ...

    def extended(self, sop_class: str, information: bytes, rq: AssociateRequest) -> bytes | None:
        """Return the answer to SOP Class Extended Negotiation for an accepted class, none for no answer."""
        ...


@dataclass(frozen=True, slots=True)
class Negotiated:
    """An acceptable association: the PDU that says so, and the contexts in the order of the proposal."""

    accept: AssociateAccept
    contexts: tuple[Context, ...]


def first_supported(supported: Container[str], proposed: Sequence[str]) -> tuple[int, str]:
    """Return result and transfer syntax for a known abstract syntax: the first proposed one that is supported."""
    for syntax in proposed:
        if syntax in supported:
            return ContextResult.ACCEPTED, syntax
    return ContextResult.TRANSFER_SYNTAXES, ""


def answer(rq: AssociateRequest, judge: Judge, max_pdu: int) -> Negotiated | Refusal:
    """Decide on a request.

    Parameters
    ----------
    max_pdu
        Longest P-DATA-TF that is offered to be received, in bytes.
    """
    if rq.application_context != APPLICATION_CONTEXT:
        return Refusal(
            Result.PERMANENT,
            RejectSource.USER,
            UserReason.APPLICATION_CONTEXT,
            f"asks for application context {rq.application_context or '(none)'}",
            f"there is only {APPLICATION_CONTEXT}; the caller is no usual DICOM system",
        )
    identity = rq.user.identity
    if identity is not None:
        refusal = judge.identity(identity, rq)
        if refusal is not None:
            return refusal
    contexts = [_context(proposed, judge, rq) for proposed in rq.contexts]
    contexts, roles = _roles(contexts, judge, rq)
    user = UserInformation(
        max_length=max_pdu,
        implementation_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION_NAME,
        async_operations=None if rq.user.async_operations is None else (1, 1),
        roles=roles,
        extended=_extended(contexts, judge, rq),
        identity_response=_identity_response(identity),
    )
    accept = AssociateAccept(
        called=rq.called,
        calling=rq.calling,
        contexts=tuple(
            ContextAnswer(c.id, c.result, c.transfer_syntax or next(iter(c.proposed), IMPLICIT)) for c in contexts
        ),
        user=user,
        called_field=rq.called_field,
        calling_field=rq.calling_field,
        reserved=rq.reserved,
    )
    return Negotiated(accept, tuple(contexts))


def _identity_response(identity: UserIdentity | None) -> bytes | None:
    """Return the server response of an identity that was not refused: an empty one for a user name if it is asked for.

    Others would need a ticket or an assertion in it (PS3.7 D.3.3.7.2), so that they get none, and their requestor knows
    that nobody looked at theirs.
    """
    if identity is None or not identity.response_requested:
        return None
    return b"" if identity.type in (IdentityType.USERNAME, IdentityType.USERNAME_PASSCODE) else None


def _context(proposed: ProposedContext, judge: Judge, rq: AssociateRequest) -> Context:
    usable = [syntax for syntax in proposed.transfer_syntaxes if valid_uid(syntax)]
    if not valid_uid(proposed.abstract_syntax):
        result, syntax = int(ContextResult.ABSTRACT_SYNTAX), ""
    elif not usable:
        result, syntax = int(ContextResult.TRANSFER_SYNTAXES), ""
    else:
        result, syntax = judge.accepts(proposed.abstract_syntax, usable, rq)
        if result == ContextResult.ACCEPTED and syntax not in usable:
            result = int(ContextResult.TRANSFER_SYNTAXES)
        if result != ContextResult.ACCEPTED:
            syntax = ""
    return Context(proposed.id, proposed.abstract_syntax, syntax, result, proposed.transfer_syntaxes)


def _roles(
    contexts: list[Context], judge: Judge, rq: AssociateRequest
) -> tuple[list[Context], tuple[RoleSelection, ...]]:
    """Answer the role selection items whose SOP class has an accepted context, each class once (PS3.7 D.3.3.4)."""
    if not rq.user.roles:
        return contexts, ()
    accepted = {context.abstract_syntax for context in contexts if context.result == 0}
    answers: dict[str, RoleSelection] = {}
    for role in rq.user.roles:
        if role.sop_class in accepted and role.sop_class not in answers:
            scu, scp = judge.roles(role.sop_class, role.scu, role.scp, rq)
            answers[role.sop_class] = RoleSelection(role.sop_class, scu and role.scu, scp and role.scp)
    settled: list[Context] = []
    for c in contexts:
        chosen = answers.get(c.abstract_syntax)
        if chosen is not None:
            c = Context(c.id, c.abstract_syntax, c.transfer_syntax, c.result, c.proposed, chosen.scu, chosen.scp)
        settled.append(c)
    return settled, tuple(answers.values())


def _extended(contexts: list[Context], judge: Judge, rq: AssociateRequest) -> tuple[ExtendedNegotiation, ...]:
    """Answer the extended negotiation of classes that have an accepted context, each once (PS3.7 D.3.3.5)."""
    accepted = {context.abstract_syntax for context in contexts if context.result == 0}
    answers: dict[str, ExtendedNegotiation] = {}
    for item in rq.user.extended:
        if item.sop_class in accepted and item.sop_class not in answers:
            told = judge.extended(item.sop_class, item.information, rq)
            if told is not None:
                answers[item.sop_class] = ExtendedNegotiation(item.sop_class, told)
    return tuple(answers.values())


def agreed(rq: AssociateRequest, accept: AssociateAccept) -> tuple[Context, ...]:
    """Return the contexts as the requestor sees them after an A-ASSOCIATE-AC.

    A context without an answer, or accepted with a transfer syntax that was not proposed, counts as refused (result 2).
    """
    answers = {context.id: context for context in accept.contexts}
    roles = {role.sop_class: role for role in accept.user.roles}
    proposed_roles = {role.sop_class for role in rq.user.roles}
    contexts: list[Context] = []
    for proposed in rq.contexts:
        got = answers.get(proposed.id)
        result = int(ContextResult.NO_REASON) if got is None else got.result
        syntax = got.transfer_syntax if got is not None and result == 0 else ""
        if result == 0 and syntax not in proposed.transfer_syntaxes:
            result, syntax = int(ContextResult.NO_REASON), ""
        role = roles.get(proposed.abstract_syntax) if proposed.abstract_syntax in proposed_roles else None
        scu, scp = (role.scu, role.scp) if role is not None else (True, False)
        contexts.append(
            Context(proposed.id, proposed.abstract_syntax, syntax, result, proposed.transfer_syntaxes, scu, scp)
        )
    return tuple(contexts)
