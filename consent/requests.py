"""An organisation's ask: checked as it is pushed, recorded from when a person sees it.

The OAuth form is RAR (RFC 9396) of type `data-sharing-agreement`:

    {"type": "data-sharing-agreement", "template": "<id>", "template_sha256": "<hex>",
     "actions": ["read"], "attributes": [...], "optional_attributes": [...],
     "duration": "P30D", "locations": ["https://vault.example/v1"], "invitation": "<id>"}

`attributes` are among the template's required ones, the rest must be its optional ones: a request
never promotes (P-27).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import exists, insert, select, update
from sqlalchemy.orm import Session

from consent import durations, limits, templates
from consent.asks import Ask
from consent.errors import AskRefusedError
from consent.invitations import links
from consent.lifecycle import MOVES, Act, follow
from consent.limits import Extent, Severity
from consent.models import Agreement, Organisation, Request
from consent.templates import Template
from consent.vocabulary import Action, AgreementState, RequestState, Standing
from pds.catalogue import Wording
from pds.errors import ConflictError, NotFoundError

TYPE = "data-sharing-agreement"
COOLS_FOR = timedelta(days=30)  # CUX-16
_MOST_UNDECIDED = 20
MEMBERS = frozenset(
    {
        "type",
        "template",
        "template_sha256",
        "actions",
        "attributes",
        "optional_attributes",
        "duration",
        "locations",
        "invitation",
    }
)
_REQUIRED = MEMBERS - {"optional_attributes", "locations", "invitation"}


@dataclass(frozen=True, slots=True)
class Asker:
    """The client that asks, as the authorization server knows it."""

    client_id: UUID
    client_name: str
    organisation_id: UUID
    redirect_uri: str
    client_names: Mapping[str, str] = field(default_factory=dict)  # by language


def check(
    session: Session, asker: Asker, details: Mapping[str, Any], *, resource: str, now: datetime
) -> Ask:
    """Check an authorization detail against its template, and return what is asked.

    Args:
        session: a read transaction.
        asker: the authenticated client.
        details: the RAR object.
        resource: the one location that may be named, such as `https://vault.example/v1`.
        now: the instant; data reaches back from its day.

    Raises:
        AskRefusedError: a member is missing, unknown, not covered by the template, or beyond the
            limits of the purpose.
    """
    _check_members(details, resource)
    organisation = session.get(Organisation, asker.organisation_id)
    if organisation is None or organisation.standing != Standing.GOOD:
        raise AskRefusedError("the organisation is not in good standing")
    try:
        template = templates.find(session, details["template_sha256"])
    except NotFoundError as exc:
        raise AskRefusedError("template_sha256: there is no such template version") from exc
    if str(template.id) != details["template"] or template.organisation_id != asker.organisation_id:
        raise AskRefusedError("template: not a template of this organisation with that hash")
    if not templates.is_published(session, template.sha256):
        raise AskRefusedError("template_sha256: this version is no longer offered")
    ask = Ask(
        client_id=asker.client_id,
        client_name=asker.client_name,
        client_names=asker.client_names,
        redirect_uri=asker.redirect_uri,
        template=template,
        actions=_actions(template, details["actions"]),
        required=_attributes(template, details["attributes"]),
        optional=_optional(template, details),
        duration=_duration(template, details["duration"]),
        invitation=_invitation(session, asker, template, details, now),
    )
    return replace(ask, flags=_flags(ask, now.date()))


def merged(
    details: Mapping[str, Any], agreed: Mapping[str, Any], template: Template
) -> dict[str, Any]:
    """Return a detail that asks for what is agreed as well: a merge takes nothing away.

    Args:
        details: of the request, checked.
        agreed: the text of the agreement in force.
        template: the version that the request names; what it no longer has is not asked for.
    """
    shared = agreed["attributes"]
    optional = details.get("optional_attributes", [])
    return {
        **details,
        "actions": _united(details["actions"], agreed["actions"], template.document["actions"]),
        "attributes": _united(details["attributes"], shared, template.required),
        "optional_attributes": _united(optional, shared, template.optional),
    }


def _united(asked: list[str], agreed: list[str], offered: Collection[str]) -> list[str]:
    return [*asked, *(name for name in agreed if name in offered and name not in asked)]


def note_seen(
    session: Session,
    ask: Ask,
    details: Mapping[str, Any],
    *,
    request_id: UUID,
    bucket: int,
    vault_id: UUID,
    pushed_request: UUID,
    now: datetime,
) -> Request:
    """Record that a person sees a request; seeing it again returns the same row.

    Raises:
        ConflictError: it was decided already.
    """
    found = session.scalars(
        select(Request).where(
            Request.bucket == bucket,
            Request.vault_id == vault_id,
            Request.pushed_request == pushed_request,
        )
    ).one_or_none()
    if found is not None:
        return _opened_again(session, found, dict(details))
    values: dict[str, Any] = {
        "bucket": bucket,
        "id": request_id,
        "vault_id": vault_id,
        "organisation_id": ask.template.organisation_id,
        "client_id": ask.client_id,
        "template_id": ask.template.id,
        "template_sha256": ask.template.sha256,
        "pushed_request": pushed_request,
        "asked": dict(details),
        "state": RequestState.SEEN.value,
        "seen_at": now,
    }
    session.execute(insert(Request).values(**values))
    return Request(**values)


def _opened_again(session: Session, request: Request, asked: dict[str, Any]) -> Request:
    """Return a request that is open, or that was put aside and is open from now on.

    What it asks for may have changed, if it is to be merged with what was agreed meanwhile.
    """
    state = RequestState(request.state)
    if state is RequestState.SEEN and request.asked == asked:
        return request
    if state is not RequestState.SEEN:
        state = follow(MOVES[Act.SHOW].request, state)
    reopened = session.scalars(
        update(Request)
        .where(
            Request.bucket == request.bucket,
            Request.id == request.id,
            Request.state == request.state,
        )
        .values(state=state.value, decided_at=None, asked=asked)
        .returning(Request)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if reopened is None:
        raise ConflictError("this request was decided meanwhile")
    return reopened


@dataclass(frozen=True, slots=True)
class Undecided:
    """A request that its person has seen and not decided on."""

    pushed_request: UUID
    organisation_name: Wording
    changes_agreement: bool  # an agreement on the same template stands already


def undecided(session: Session, bucket: int, vault_id: UUID, *, since: datetime) -> list[Undecided]:
    """Return what a person has opened since an instant and not decided on, the latest first."""
    standing = exists().where(
        Agreement.bucket == Request.bucket,
        Agreement.vault_id == Request.vault_id,
        Agreement.template_id == Request.template_id,
        Agreement.state.in_([each.value for each in AgreementState if not each.is_terminal]),
    )
    query = (
        select(Request.pushed_request, Organisation.name_az, Organisation.name_en, standing)
        .join(Organisation, Organisation.id == Request.organisation_id)
        .where(
            Request.bucket == bucket,
            Request.vault_id == vault_id,
            Request.state.in_([RequestState.SEEN.value, RequestState.DEFERRED.value]),
            Request.seen_at >= since,
        )
        .order_by(Request.seen_at.desc(), Request.id)
        .limit(_MOST_UNDECIDED)
    )
    return [
        Undecided(pushed, Wording(az, en), changes)
        for pushed, az, en, changes in session.execute(query)
    ]


def cooling(
    session: Session, ask: Ask, *, bucket: int, vault_id: UUID, now: datetime
) -> datetime | None:
    """Return until when a refused request of this template rests, or None (CM-5, CUX-16)."""
    query = (
        select(Request.cools_until)
        .where(
            Request.bucket == bucket,
            Request.vault_id == vault_id,
            Request.organisation_id == ask.template.organisation_id,
            Request.template_id == ask.template.id,
            Request.cools_until > now,
        )
        .order_by(Request.cools_until.desc())
        .limit(1)
    )
    return session.execute(query).scalar_one_or_none()


def settle(session: Session, request: Request, act: Act, *, now: datetime) -> None:
    """Decide a request or put it aside, once for each time it was opened.

    Raises:
        ConflictError: it was decided already, in another tab or at the same moment.
    """
    step = MOVES[act].request
    if step is None:
        raise ConflictError(f"{act} decides no request")
    decided = session.execute(
        update(Request)
        .where(
            Request.bucket == request.bucket,
            Request.id == request.id,
            Request.state.in_([state.value for state in step.sources if state is not None]),
        )
        .values(
            state=step.target.value,
            decided_at=now,
            cools_until=now + COOLS_FOR if act is Act.REFUSE else None,
        )
        .returning(Request.id)
    ).one_or_none()
    if decided is None:
        raise ConflictError("this request was decided already")


def _check_members(details: Mapping[str, Any], resource: str) -> None:
    unknown = sorted(details.keys() - MEMBERS)
    missing = sorted(_REQUIRED - details.keys())
    if unknown or missing:
        raise AskRefusedError(
            f"{unknown[0]}: unknown member" if unknown else f"{missing[0]}: missing"
        )
    for name in ("template", "template_sha256", "duration", "invitation"):
        if not isinstance(details.get(name, ""), str):
            raise AskRefusedError(f"{name}: not a string")
    for name in ("actions", "attributes", "optional_attributes", "locations"):
        value = details.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise AskRefusedError(f"{name}: not a list of strings")
        if len(set(value)) != len(value):
            raise AskRefusedError(f"{name}: something is named twice")
    if any(location != resource for location in details.get("locations", [])):
        raise AskRefusedError(f"locations: the only location here is {resource}")


def _actions(template: Template, asked: list[str]) -> tuple[str, ...]:
    offered = template.document["actions"]
    if not asked or not set(asked) <= set(offered):
        raise AskRefusedError("actions: not covered by the template")
    return tuple(action.value for action in Action if action in asked)


def _attributes(template: Template, asked: list[str]) -> tuple[str, ...]:
    for name in asked:
        if name not in template.required:
            raise AskRefusedError(f"attributes: {name} is not required by the template")
    return tuple(asked)


def _optional(template: Template, details: Mapping[str, Any]) -> tuple[str, ...]:
    asked = details.get("optional_attributes", [])
    for name in asked:
        if name not in template.optional:
            raise AskRefusedError(f"optional_attributes: {name} is not optional in the template")
    if not asked and not details["attributes"]:
        raise AskRefusedError("attributes: nothing is asked for")
    return tuple(asked)


def _invitation(
    session: Session,
    asker: Asker,
    template: Template,
    details: Mapping[str, Any],
    now: datetime,
) -> UUID | None:
    if "invitation" not in details:
        return None
    try:
        found = links.get(session, asker.organisation_id, UUID(details["invitation"]))
    except (ValueError, NotFoundError):
        found = None
    # One answer for all: an id says nothing of another organisation's invitation.
    if (
        found is None
        or (found.client_id, found.template_id) != (asker.client_id, template.id)
        or not links.is_good(found, now)
    ):
        raise AskRefusedError("invitation: not one of this client and template that is still good")
    return found.id


def _flags(ask: Ask, on: date) -> tuple[str, ...]:
    """Return the limits that an ask is unusually near to; what is beyond one is refused."""
    extent = replace(
        Extent.of_template(ask.template.document, on=on),
        attributes=(*ask.required, *ask.optional),
        duration=durations.parse(ask.duration),
    )
    found = limits.findings(extent)
    for each in found:
        if each.severity is Severity.REFUSED:
            raise AskRefusedError(f"{each.rule}: {each.detail}")
    return tuple(each.rule for each in found)


def _duration(template: Template, asked: str) -> str:
    try:
        wanted = durations.parse(asked)
    except ValueError as exc:
        raise AskRefusedError(f"duration: {exc}") from exc
    if wanted > durations.parse(template.document["max_duration"]):
        raise AskRefusedError(
            f"duration: the template allows at most {template.document['max_duration']}"
        )
    return asked
