"""Grants: as alive as their agreement, and nothing beyond it (CM-9, P-27)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import and_, func, not_, or_, select

from consent import durations
from consent.formats import canonical
from consent.formats.errors import FormatError
from consent.invariants.agreements import LIVE
from consent.invariants.scope import Broken, Scope, broken, within
from consent.lifecycle import MOVES
from consent.models import Agreement, AgreementVersion, Grant, Request
from consent.templates import Template
from pds.clock import from_rfc3339

# Which states the acts leave agreement and grant in together.
_TOGETHER = {
    (move.agreement.target.value, move.grant.target.value)
    for move in MOVES.values()
    if move.agreement and move.grant
}
_WITH_AGREEMENT = and_(Agreement.bucket == Grant.bucket, Agreement.id == Grant.agreement_id)


_together = or_(
    *(
        and_(Agreement.state == agreement, Grant.state == grant)
        for agreement, grant in sorted(_TOGETHER)
    )
)
_ODD_STATES = (
    select(Grant.id, Grant.state, Agreement.id, Agreement.state)
    .select_from(Grant)
    .join(Agreement, _WITH_AGREEMENT)
    .where(within(Grant.bucket), not_(_together))
)
_grants = func.count(Grant.id)
_NOT_ONE = (
    select(Agreement.id, _grants)
    .select_from(Agreement)
    .outerjoin(Grant, _WITH_AGREEMENT)
    .where(within(Agreement.bucket))
    .group_by(Agreement.bucket, Agreement.id)
    .having(_grants != 1)
)
_STRAYS = (
    select(Grant.id, Grant.agreement_id, Grant.agreement_version)
    .outerjoin(Agreement, _WITH_AGREEMENT)
    .where(
        within(Grant.bucket),
        or_(
            Agreement.id.is_(None),
            Agreement.vault_id != Grant.vault_id,
            Agreement.organisation_id != Grant.organisation_id,
            Agreement.client_id != Grant.client_id,
            Grant.agreement_version > Agreement.version,
            and_(Agreement.state.in_(LIVE), Grant.agreement_version != Agreement.version),
        ),
    )
)
_WINDOWS = (
    select(
        Grant.id,
        Grant.expires_at,
        Agreement.id,
        Agreement.expires_at,
        AgreementVersion.document,
    )
    .select_from(Grant)
    .join(Agreement, _WITH_AGREEMENT)
    .join(
        AgreementVersion,
        and_(
            AgreementVersion.bucket == Agreement.bucket,
            AgreementVersion.agreement_id == Agreement.id,
            AgreementVersion.version == Agreement.version,
        ),
    )
    .where(within(Grant.bucket))
    .execution_options(yield_per=500)
)
_AGREED = (
    select(AgreementVersion, Agreement, Request.asked)
    .select_from(AgreementVersion)
    .join(
        Agreement,
        and_(
            Agreement.bucket == AgreementVersion.bucket,
            Agreement.id == AgreementVersion.agreement_id,
        ),
    )
    .outerjoin(
        Request, and_(Request.bucket == Agreement.bucket, Request.id == Agreement.request_id)
    )
    .where(within(AgreementVersion.bucket))
    .execution_options(yield_per=500)
)


def lives_with_its_agreement(scope: Scope) -> Iterator[Broken]:
    """A grant is in the state that goes with its agreement's: neither outlives the other (CM-9)."""
    for grant_id, state, agreement_id, agreement_state in scope.rows(_ODD_STATES):
        detail = f"it is {state} under an agreement that is {agreement_state}"
        yield broken(detail, grant=grant_id, agreement=agreement_id)


def agreement_has_one(scope: Scope) -> Iterator[Broken]:
    """An agreement has exactly one grant (CM-11)."""
    for agreement_id, found in scope.rows(_NOT_ONE):
        yield broken(f"it has {found} grants", agreement=agreement_id)


def is_of_its_agreement(scope: Scope) -> Iterator[Broken]:
    """A grant is of its agreement's vault, organisation, client and, while alive, version."""
    for grant_id, agreement_id, version in scope.rows(_STRAYS):
        detail = (
            "its agreement is missing, of another vault, organisation or client,"
            f" or of another version than {version}"
        )
        yield broken(detail, grant=grant_id, agreement=agreement_id)


def ends_with_its_agreement(scope: Scope) -> Iterator[Broken]:
    """A grant expires no later than its agreement, and that no later than was signed (P-9)."""
    for grant_id, ends, agreement_id, agreement_ends, text in scope.rows(_WINDOWS):
        try:
            document: Any = canonical.parse(text)
            signed = from_rfc3339(document["expires_at"])
        except (FormatError, KeyError, TypeError, ValueError):
            continue  # what a text must be is another rule's
        if ends > agreement_ends or agreement_ends > signed:
            yield broken(
                f"it expires at {ends}, its agreement at {agreement_ends}; signed was {signed}",
                grant=grant_id,
                agreement=agreement_id,
            )


def agreed_is_within_the_ask(scope: Scope) -> Iterator[Broken]:
    """What is agreed lies within what was asked, and that within the template (P-27).

    Attributes, actions, duration, frequency, data range and purpose; of attributes that are asked
    for in a coarser form, that form. The present version is held to its request, each one to the
    template that it names.
    """
    for text, agreement, asked in scope.rows(_AGREED):
        try:
            document: Any = canonical.parse(text.document)
            objections = [
                *_objections(
                    scope, agreement, document, asked if text.version == agreement.version else None
                )
            ]
        except (FormatError, KeyError, TypeError, ValueError):
            objections = ["text or request cannot be read"]
        for objection in objections:
            yield broken(
                objection,
                agreement=agreement.id,
                version=text.version,
                request=agreement.request_id,
            )


def _objections(
    scope: Scope,
    agreement: Agreement,
    document: Mapping[str, Any],
    asked: Mapping[str, Any] | None,
) -> Iterator[str]:
    template = scope.template(document["template_sha256"])
    if template is None:
        yield "there is no template version of that hash"
        return
    if canonical.sha256_hex(dict(template.document)) != template.sha256:
        yield "the template is not the one of that hash"
    ours = (agreement.template_id, agreement.organisation_id)
    if (template.id, template.organisation_id) != ours:
        yield "the template is another, or another organisation's"
    for what in _beyond_template(document, template):
        yield f"{what} beyond the template"
    for what in _beyond_ask(document, asked, template) if asked is not None else ():
        yield f"{what} beyond what was asked"


def _beyond_ask(
    document: Mapping[str, Any], asked: Mapping[str, Any], template: Template
) -> Iterator[str]:
    required, optional = set(asked["attributes"]), set(asked.get("optional_attributes", ()))
    if not required <= set(template.required) or not optional <= set(template.optional):
        yield "the request has attributes"
    if not required <= set(document["attributes"]) <= required | optional:
        yield "attributes"
    if not set(document["actions"]) <= set(asked["actions"]):
        yield "actions"
    if durations.parse(document["duration"]) > durations.parse(asked["duration"]):
        yield "duration"


def _beyond_template(document: Mapping[str, Any], template: Template) -> Iterator[str]:
    terms, agreed = template.document, set(document["attributes"])
    if not agreed <= {*template.required, *template.optional}:
        yield "attributes"
        return
    if not set(document["actions"]) <= set(terms["actions"]):
        yield "actions"
    if document["purpose"] != terms["purpose"]:
        yield "purpose"
    if durations.parse(document["duration"]) > durations.parse(terms["max_duration"]):
        yield "duration"
    if document["fetches_per_day"] > terms["access"]["fetches_per_day"]:
        yield "frequency"
    reach = document["data_from"]
    if any(reach.get(name, "") < start for name, start in terms["data_from"].items()):
        yield "data range"
    coarse = {name for name in agreed if template.coarsened_to(name)}
    if not coarse <= document["coarsenings"].keys():
        yield "the form of an attribute"
