"""What an organisation token reaches: the organisation's own affairs, and no personal data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from api import problems
from api.oauth import clients
from api.resources.authentication import organisation_token
from api.resources.parsing import StrictBlueprint, cursor_id, json_body
from api.resources.repeating import REPEATABLE, Asked
from api.schemas.organisations import (
    AgreementStateSchema,
    ChangesQuerySchema,
    ChangesSchema,
    ConnectionsSchema,
    FreezeSchema,
    FrozenSchema,
    LogEntriesQuerySchema,
    LogEntriesSchema,
    ObligationSchema,
    ObligationsQuerySchema,
    ObligationsSchema,
    OrganisationSchema,
    PageQuerySchema,
    TemplateSchema,
    TemplatesSchema,
    TemplateVersionsSchema,
    TerminationSchema,
)
from api.wiring import wiring
from consent import feeds, obligations, organisations, templates
from consent.log import evidence
from consent.models import Obligation
from consent.organisations import pairwise_subject
from consent.templates import Template
from consent.vocabulary import EventName, FreezeReason, TerminationReason
from pds.clock import rfc3339
from pds.errors import Issue, ValidationFailedError

blueprint = StrictBlueprint(
    "organisations",
    __name__,
    url_prefix="/v1",
    description="The organisation's own affairs: an organisation token",
)
_SECURITY: list[dict[str, list[str]]] = [{"organisationToken": []}]


@blueprint.route("/organisation")
class TheOrganisation(MethodView):
    """Who the token speaks for."""

    @blueprint.doc(security=_SECURITY, summary="Read your own entry")
    @blueprint.response(200, OrganisationSchema)
    def get(self) -> dict[str, Any]:
        """Return the organisation and client of the token."""
        client = organisation_token()
        with wiring().uow.read() as session:
            found = organisations.get(session, client.organisation_id)
        return {
            "id": found.id,
            "name": {"az": found.name_az, "en": found.name_en},
            "standing": found.standing,
            "client": {"id": str(client.id), "name": client.name},
        }


@blueprint.route("/organisation/freeze")
class Freeze(MethodView):
    """The organisation's own alarm."""

    @blueprint.doc(security=_SECURITY, summary="Report your keys stolen: everything stops at once")
    @blueprint.arguments(FreezeSchema)
    @blueprint.response(200, FrozenSchema)
    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Freeze the organisation, with every key that it has here; nothing ends.

        A thief may call it as well: that only stops what they could do. This token has ended by
        the time the answer arrives; new keys are the operator's to confirm.
        """
        client, services = organisation_token(owes=True), wiring()
        services.freezing.freeze(client.organisation_id, reason=FreezeReason(body["reason"]))
        with services.uow.read() as session:
            found = organisations.get(session, client.organisation_id)
        at = rfc3339(found.frozen_at) if found.frozen_at else ""
        return {"id": found.id, "frozen": found.is_frozen, "frozen_at": at}


@blueprint.route("/connections")
class Connections(MethodView):
    """Everyone who shares with the organisation, by pairwise pseudonym."""

    @blueprint.doc(security=_SECURITY, summary="List connections")
    @blueprint.arguments(PageQuerySchema, location="query", as_kwargs=True)
    @blueprint.response(200, ConnectionsSchema)
    def get(self, limit: int, cursor: str | None = None) -> dict[str, Any]:
        """Return a page of connections, ended ones included."""
        client, services = organisation_token(), wiring()
        after = cursor_id(cursor) if cursor else None
        with services.uow.read() as session:
            rows = feeds.connections(session, client.organisation_id, after=after, limit=limit + 1)
        page = rows[:limit]
        return {
            "connections": [
                {
                    "id": row.id,
                    "sub": pairwise_subject(
                        services.keys.pairwise, client.organisation_id, row.vault_id
                    ),
                    "agreement": {
                        "id": str(row.agreement_id),
                        "version": row.agreement_version,
                        "sha256": row.agreement_sha256,
                    },
                    "template": {"id": str(row.template_id), "sha256": row.template_sha256},
                    "state": row.state,
                    "frozen": row.is_frozen,
                    "grant_id": row.grant_id,
                    "expires_at": rfc3339(row.expires_at),
                    "feed": row.feed,
                }
                for row in page
            ],
            "next_cursor": str(page[-1].id) if len(rows) > limit else None,
            "has_more": len(rows) > limit,
        }


@blueprint.route("/agreements/<uuid:agreement_id>/termination")
class Termination(MethodView):
    """The end of an agreement, by its organisation."""

    @blueprint.doc(security=_SECURITY, summary="End an agreement", parameters=REPEATABLE)
    @blueprint.arguments(TerminationSchema)
    @blueprint.response(200, AgreementStateSchema)
    def post(self, body: dict[str, Any], agreement_id: UUID) -> dict[str, Any]:
        """End an agreement with a reason; repeating it changes nothing.

        It names the agreement, not the connection: a request that comes late ends no newer one.
        """
        client, services = organisation_token(), wiring()
        state = services.endings.terminate(
            agreement_id,
            organisation_id=client.organisation_id,
            reason=TerminationReason(body["reason"]),
            also=Asked.by(client, services.clock.now()).hold,
        )
        return {"id": agreement_id, "state": state.value}


@blueprint.route("/changes")
class Changes(MethodView):
    """Which connections changed."""

    @blueprint.doc(security=_SECURITY, summary="Follow the organisation's feed")
    @blueprint.arguments(ChangesQuerySchema, location="query", as_kwargs=True)
    @blueprint.response(200, ChangesSchema)
    def get(self, after: int, limit: int) -> dict[str, Any] | Response:
        """Return what happened after a number: who, never what."""
        client = organisation_token()
        with wiring().uow.read() as session:
            last = feeds.last_number(session, client.organisation_id)
            rows = feeds.changes(session, client.organisation_id, after=after, limit=limit + 1)
        if after > last:
            # A number that was never given: the reader's state is of another time.
            return problems.problem("cursor-expired")
        page = rows[:limit]
        return {
            "changes": [
                {
                    "feed": row.number,
                    "connection": row.connection_id,
                    "kind": row.event.kind,
                    "event": row.event.value,
                    "obligation": row.obligation_id,
                    "at": rfc3339(row.at),
                    "state": row.state,
                }
                for row in page
            ],
            "last": page[-1].number if page else after,
            "has_more": len(rows) > limit,
        }


@blueprint.route("/templates")
class Templates(MethodView):
    """The organisation's agreement templates."""

    @blueprint.doc(security=_SECURITY, summary="List published templates")
    @blueprint.response(200, TemplatesSchema)
    def get(self) -> dict[str, Any]:
        """Return the published template versions."""
        client = organisation_token()
        with wiring().uow.read() as session:
            found = templates.of_organisation(session, client.organisation_id)
        return {"templates": [_template(template) for template in found]}

    @blueprint.doc(
        security=_SECURITY, summary="Publish a signed template version", parameters=REPEATABLE
    )
    @blueprint.response(201, TemplateSchema)
    def post(self) -> dict[str, Any]:
        """Publish a template that the organisation signed; the same bytes again change nothing."""
        client, services = organisation_token(), wiring()
        signed, now = json_body(), services.clock.now()
        asked = Asked.by(client, now)
        if not isinstance(signed, dict) or signed.get("organisation") != str(
            client.organisation_id
        ):
            raise ValidationFailedError(
                [Issue("/organisation", "mismatch", "name your own organisation's id")]
            )

        def job(session: Session) -> Template:
            asked.hold(session)
            keys = clients.signing_keys(session, client.organisation_id, now=services.clock.now())
            before = len(templates.of_organisation(session, client.organisation_id))
            template = templates.publish(session, signed, keys=keys, now=now)
            if len(templates.of_organisation(session, client.organisation_id)) != before:
                services.log.append_deployment(session, EventName.TEMPLATE_PUBLISHED, at=now)
            return template

        return _template(services.uow.write(job))


@blueprint.route("/templates/<uuid:template_id>/versions")
class TemplateVersions(MethodView):
    """The history of one template."""

    @blueprint.doc(security=_SECURITY, summary="List a template's versions with what differs")
    @blueprint.response(200, TemplateVersionsSchema)
    def get(self, template_id: UUID) -> dict[str, Any]:
        """Return every version, each with its differences from the one before."""
        client = organisation_token()
        with wiring().uow.read() as session:
            found = templates.versions(session, template_id, client.organisation_id)
        return {
            "versions": [
                _template(each.template)
                | {
                    "state": each.state,
                    "published_at": rfc3339(each.published_at),
                    "differences": [asdict(one) for one in each.differences],
                }
                for each in found
            ]
        }


@blueprint.route("/obligations")
class Obligations(MethodView):
    """What the organisation owes."""

    @blueprint.doc(security=_SECURITY, summary="List obligations")
    @blueprint.arguments(ObligationsQuerySchema, location="query", as_kwargs=True)
    @blueprint.response(200, ObligationsSchema)
    def get(self, state: str, limit: int) -> dict[str, Any]:
        """Return obligations, the most urgent first."""
        client = organisation_token(owes=True)
        with wiring().uow.read() as session:
            found = obligations.of_organisation(
                session, client.organisation_id, state=state, limit=limit
            )
        return {"obligations": [_obligation(one) for one in found]}


@blueprint.route("/obligations/<uuid:obligation_id>/confirmation")
class Confirmation(MethodView):
    """The answer to an obligation."""

    @blueprint.doc(
        security=_SECURITY,
        summary="Answer an obligation with a signed receipt",
        parameters=REPEATABLE,
    )
    @blueprint.response(200, ObligationSchema)
    def post(self, obligation_id: UUID) -> dict[str, Any]:
        """Record a deletion receipt or an obligation answer, signed with an Ed25519 key."""
        client, services = organisation_token(owes=True), wiring()
        with services.uow.read() as session:
            keys = clients.signing_keys(session, client.organisation_id, now=services.clock.now())
        answered = services.obligations.confirm(
            obligation_id,
            organisation_id=client.organisation_id,
            answer=json_body(),
            keys=keys,
            also=Asked.by(client, services.clock.now()).hold,
        )
        return _obligation(answered)


@blueprint.route("/log-entries")
class LogEntries(MethodView):
    """What the log holds of the organisation's own grants."""

    @blueprint.doc(security=_SECURITY, summary="Look up log entries, with proofs")
    @blueprint.arguments(LogEntriesQuerySchema, location="query", as_kwargs=True)
    @blueprint.response(200, LogEntriesSchema)
    def get(self, stream: str, after: int, limit: int, size: int) -> dict[str, Any]:
        """Return public parts after a number, up to the first entry that waits for the tree."""
        client, services = organisation_token(), wiring()
        with services.uow.read() as session:
            found = evidence.stream_of_organisation(
                session, client.organisation_id, stream, ids=services.ids
            )
            page = evidence.page_of_stream(
                session, found, after=after, limit=limit, known_size=size
            )
        return page.to_dict()


def _template(template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "version": template.version,
        "sha256": template.sha256,
        "document": template.document,
    }


def _obligation(owed: Obligation) -> dict[str, Any]:
    return {
        "id": owed.id,
        "connection": owed.connection_id,
        "agreement": {"id": str(owed.agreement_id)},
        "kind": owed.kind,
        "state": owed.state,
        "requested_at": rfc3339(owed.created_at),
        "due_at": rfc3339(owed.due_at),
        "asked_by_person": owed.asked_by_person,
    }
