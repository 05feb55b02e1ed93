"""Agreements: their connection, their texts, their ends and what is owed after those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import aliased

from consent.formats import canonical, jws
from consent.formats.encoding import b64u_decode
from consent.formats.errors import FormatError
from consent.invariants.scope import Broken, Scope, broken, within
from consent.lifecycle import MOVES
from consent.models import Agreement, AgreementVersion, Connection, ConsentEvent, Obligation
from consent.vocabulary import AgreementState, ObligationKind
from pds import vaults

LIVE = tuple(state.value for state in AgreementState if not state.is_terminal)
_OWING = tuple(act.value for act, move in MOVES.items() if move.owes_deletion)
_TYPE = "pds-agreement"


_IN_NO_CONNECTION = (
    select(Agreement.id, Agreement.connection_id)
    .outerjoin(
        Connection,
        and_(Connection.bucket == Agreement.bucket, Connection.id == Agreement.connection_id),
    )
    .where(
        within(Agreement.bucket),
        or_(
            Connection.id.is_(None),
            Connection.vault_id != Agreement.vault_id,
            Connection.organisation_id != Agreement.organisation_id,
            Connection.template_id != Agreement.template_id,
        ),
    )
)
_NAMING_NONE = (
    select(Connection.id, Connection.agreement_id)
    .outerjoin(
        Agreement,
        and_(Agreement.bucket == Connection.bucket, Agreement.id == Connection.agreement_id),
    )
    .where(
        within(Connection.bucket),
        or_(Agreement.id.is_(None), Agreement.connection_id != Connection.id),
    )
)
_NOT_THE_LATEST = (
    select(Agreement.id, Agreement.state, Connection.id, Connection.agreement_id)
    .select_from(Agreement)
    .join(
        Connection,
        and_(Connection.bucket == Agreement.bucket, Connection.id == Agreement.connection_id),
    )
    .where(
        within(Agreement.bucket),
        Connection.agreement_id != Agreement.id,
        or_(Agreement.state.in_(LIVE), Agreement.supersedes == Connection.agreement_id),
    )
)
_texts, _newest = func.count(AgreementVersion.version), func.max(AgreementVersion.version)
_oldest = func.min(AgreementVersion.version)
_WITHOUT_A_VERSION = (
    select(Agreement.id, Agreement.version, _texts, _newest)
    .select_from(Agreement)
    .outerjoin(
        AgreementVersion,
        and_(
            AgreementVersion.bucket == Agreement.bucket,
            AgreementVersion.agreement_id == Agreement.id,
        ),
    )
    .where(within(Agreement.bucket))
    .group_by(Agreement.bucket, Agreement.id, Agreement.version)
    .having(or_(_texts != Agreement.version, _newest != Agreement.version, _oldest != 1))
)
_TEXTS = (
    select(AgreementVersion, Agreement)
    .select_from(AgreementVersion)
    .outerjoin(
        Agreement,
        and_(
            Agreement.bucket == AgreementVersion.bucket,
            Agreement.id == AgreementVersion.agreement_id,
        ),
    )
    .where(within(AgreementVersion.bucket))
    .execution_options(yield_per=500)
)
_lives = Agreement.state.in_(LIVE)
_ODD_ENDS = select(Agreement.id, Agreement.state).where(
    within(Agreement.bucket),
    or_(
        and_(_lives, or_(Agreement.ended_at.is_not(None), Agreement.ended_by.is_not(None))),
        and_(~_lives, or_(Agreement.ended_at.is_(None), Agreement.ended_by.is_(None))),
    ),
)
_later = aliased(ConsentEvent)
_last_act = and_(
    ConsentEvent.bucket == Agreement.bucket,
    ConsentEvent.agreement_id == Agreement.id,
    ConsentEvent.seq
    == select(func.max(_later.seq))
    .where(_later.bucket == Agreement.bucket, _later.agreement_id == Agreement.id)
    .scalar_subquery(),
)


def _owed(kind: ObligationKind) -> ColumnElement[int]:
    return func.count(case((Obligation.kind == kind.value, Obligation.id)))


_owes = case((ConsentEvent.act.in_(_OWING), 1), else_=0)
_OWING_OTHERWISE = (
    select(Agreement.id, ConsentEvent.act, *(_owed(kind) for kind in ObligationKind))
    .select_from(Agreement)
    .join(ConsentEvent, _last_act)
    .outerjoin(
        Obligation,
        and_(
            Obligation.bucket == Agreement.bucket,
            Obligation.vault_id == Agreement.vault_id,
            Obligation.agreement_id == Agreement.id,
        ),
    )
    .where(within(Agreement.bucket))
    .group_by(Agreement.bucket, Agreement.id, ConsentEvent.act)
    .having(
        or_(
            _owed(ObligationKind.STOP) != _owes,
            _owed(ObligationKind.DELETE) != _owes,
            _owed(ObligationKind.NOTIFY) > _owes,
        )
    )
)
_is_due = Obligation.state == "due"
_ODD_ANSWERS = (
    select(Obligation.id, Obligation.agreement_id, Obligation.state)
    .outerjoin(
        Agreement,
        and_(Agreement.bucket == Obligation.bucket, Agreement.id == Obligation.agreement_id),
    )
    .where(
        within(Obligation.bucket),
        or_(
            Agreement.id.is_(None),
            Agreement.organisation_id != Obligation.organisation_id,
            and_(_is_due, Obligation.answered_at.is_not(None)),
            and_(
                ~_is_due,
                or_(Obligation.answered_at.is_(None), Obligation.evidence.is_(None)),
            ),
        ),
    )
)


def has_its_connection(scope: Scope) -> Iterator[Broken]:
    """An agreement stands in a connection of its vault, organisation and template (P-29)."""
    for agreement_id, connection_id in scope.rows(_IN_NO_CONNECTION):
        detail = "its connection is missing, or is of another vault, organisation or template"
        yield broken(detail, agreement=agreement_id, connection=connection_id)


def connection_names_the_latest(scope: Scope) -> Iterator[Broken]:
    """A connection names its latest agreement, and only that one may live (P-29)."""
    for connection_id, agreement_id in scope.rows(_NAMING_NONE):
        detail = "the agreement that it names is missing, or stands in another connection"
        yield broken(detail, connection=connection_id, agreement=agreement_id)
    for agreement_id, state, connection_id, named in scope.rows(_NOT_THE_LATEST):
        detail = f"it names {named}, and another is {state} or came after that one"
        yield broken(detail, connection=connection_id, agreement=agreement_id)


def has_every_version(scope: Scope) -> Iterator[Broken]:
    """An agreement has a text for each version from 1 to its present one (CM-3)."""
    for agreement_id, version, found, newest in scope.rows(_WITHOUT_A_VERSION):
        detail = f"its version is {version}, and it has {found} texts, the last of version {newest}"
        yield broken(detail, agreement=agreement_id)


def text_is_signed(scope: Scope) -> Iterator[Broken]:
    """A text has the hash that it is known by, says whose it is, and is signed by its vault (P-27).

    The key is the vault's agreement key, whatever key id the signature states.
    """
    keys = vaults.public_keys(scope.session, scope.first, scope.last, purpose="agreement")
    for text, agreement in scope.rows(_TEXTS):
        objection = "there is no such agreement"
        if agreement is not None:
            objection = _objection(text, agreement, keys.get(agreement.vault_id, []))
        if objection:
            yield broken(objection, agreement=text.agreement_id, version=text.version)


def end_is_written_down(scope: Scope) -> Iterator[Broken]:
    """An agreement has an instant and an actor of its end if and only if it ended (CM-12)."""
    for agreement_id, state in scope.rows(_ODD_ENDS):
        yield broken(f"it is {state}, which its end contradicts", agreement=agreement_id)


def end_is_owed_for(scope: Scope) -> Iterator[Broken]:
    """An agreement owes a stop and a deletion after an end that leads to them, else none (CM-7)."""
    for agreement_id, act, *counts in scope.rows(_OWING_OTHERWISE):
        found = ", ".join(
            f"{count} to {kind}" for kind, count in zip(ObligationKind, counts, strict=True)
        )
        yield broken(f"after {act} it has obligations: {found}", agreement=agreement_id)


def answer_is_kept(scope: Scope) -> Iterator[Broken]:
    """An obligation is of an agreement, and has an answer with evidence unless it is due (CM-7)."""
    for obligation_id, agreement_id, state in scope.rows(_ODD_ANSWERS):
        detail = f"it is {state}, which its answer or its agreement contradicts"
        yield broken(detail, obligation=obligation_id, agreement=agreement_id)


def _objection(text: AgreementVersion, agreement: Agreement, keys: list[bytes]) -> str:
    try:
        document: Any = canonical.parse(text.document)
        if canonical.sha256_hex(document) != text.sha256:
            return "its hash is another"
        stated = tuple(document[name] for name in ("id", "version", "organisation", "client"))
    except (FormatError, KeyError, TypeError):
        return "it is no text of an agreement"
    if stated != (
        str(text.agreement_id),
        text.version,
        str(agreement.organisation_id),
        str(agreement.client_id),
    ):
        return "it is of another agreement, version, organisation or client"
    if not any(_verifies(document, text.signature, key) for key in keys):
        return "its vault's key did not sign it"
    return ""


def _verifies(document: dict[str, Any], signature: str, key: bytes) -> bool:
    try:
        header: Any = canonical.parse(b64u_decode(signature.partition(".")[0]))
        signed = {**document, jws.PROOF: {"jws": signature}}
        jws.verify(signed, {header["kid"]: key}, typ=_TYPE)
    except (FormatError, KeyError, TypeError):
        return False
    return True
