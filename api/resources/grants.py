"""What a grant token reaches: one person's consent (design section 5)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView

from api.oauth.live import Opened
from api.resources import authentication
from api.resources.depositing import deposit
from api.resources.parsing import StrictBlueprint
from api.resources.reading import PAGE_RECORDS, PAGE_RECORDS_MOST, Answer, Reader
from api.schemas.records import (
    DepositedSchema,
    DepositSchema,
    GrantSchema,
    RecordsQuerySchema,
    RecordsSchema,
)
from api.wiring import wiring
from consent import policy, receipts
from consent.formats import canonical
from consent.manifests import withheld_by_agreement
from consent.record_names import RecordNames
from consent.vocabulary import Action
from pds.clock import rfc3339
from pds.errors import NotFoundError

blueprint = StrictBlueprint(
    "grants", __name__, url_prefix="/v1", description="One person's consent: a grant token"
)
_SECURITY: list[dict[str, list[str]]] = [{"grantToken": []}]


@blueprint.route("/records")
class Records(MethodView):
    """The consented snapshot and change feed."""

    @blueprint.doc(security=_SECURITY, summary="Read what the agreement covers")
    @blueprint.arguments(RecordsQuerySchema, location="query", as_kwargs=True)
    @blueprint.response(200, RecordsSchema)
    def get(self, limit: int, collection: str | None = None, cursor: str | None = None) -> Response:
        """Return a page; without a cursor the snapshot from the beginning."""
        presented = authentication.grant_token()
        answer = Reader(wiring()).page(
            presented,
            collection=collection,
            cursor_text=cursor,
            limit=min(limit or PAGE_RECORDS, PAGE_RECORDS_MOST),
            if_none_match=request.headers.get("If-None-Match"),
        )
        return _delivered(answer)


@blueprint.route("/records/<string:collection>/<uuid:record_id>")
class OneRecord(MethodView):
    """One record."""

    @blueprint.doc(security=_SECURITY, summary="Read one record")
    @blueprint.response(200, RecordsSchema)
    def get(self, collection: str, record_id: UUID) -> Response:
        """Return one record by the id that this grant knows it under."""
        presented = authentication.grant_token()
        return _delivered(Reader(wiring()).one(presented, collection, record_id))


@blueprint.route("/records/<string:collection>")
class Deposits(MethodView):
    """Documents left in a vault while its owner is away."""

    @blueprint.doc(security=_SECURITY, summary="Leave a document in the vault")
    @blueprint.arguments(DepositSchema)
    @blueprint.response(202, DepositedSchema)
    def post(self, body: dict[str, Any], collection: str) -> Response:
        """Deposit a document, sealed to the collection's public key (RFC 9180)."""
        presented = authentication.grant_token()
        entry = deposit(wiring(), presented, collection, body["document_id"], body["data"])
        document = {
            "document_id": body["document_id"],
            "collection": collection,
            "state": "pending",
        }
        response = Response(canonical.canonical_bytes(document), 202, mimetype="application/json")
        response.headers["PDS-Log-Entry"] = entry.text()
        return response


@blueprint.route("/grant")
class TheGrant(MethodView):
    """What this token may do."""

    @blueprint.doc(security=_SECURITY, summary="Ask what this token may do now")
    @blueprint.response(200, GrantSchema)
    def get(self) -> dict[str, Any]:
        """Return the answer that the server will act on, and why not."""
        presented = authentication.grant_token()
        services, grant = wiring(), presented.grant
        services.uow.write(presented.use_proof)
        terms = grant.terms
        # What a read would be answered now; of a grant that may only write, what a deposit would.
        action = Action.READ if terms is None or Action.READ in terms.actions else Action.WRITE
        facts = grant.facts if action is Action.READ else grant.facts.with_counted_fetch()
        reason = policy.decide(terms, facts, action=action, now=services.clock.now())
        answer: dict[str, Any] = {
            "grant_id": grant.grant_id,
            "connection": grant.connection_id,
            "agreement": {
                "id": str(grant.agreement_id),
                "version": grant.agreement_version,
                "sha256": grant.agreement_sha256,
            },
            "state": grant.facts.agreement_state.value,
            "usable": reason is None,
            "reason": reason.value if reason else None,
            "expires_at": rfc3339(grant.facts.expires_at),
        }
        if grant.opened is not None:
            answer |= _agreed(grant.opened) | {"fetches_today": grant.facts.fetches_today}
        return answer


@blueprint.route("/receipt")
class TheReceipt(MethodView):
    """The latest receipt of this grant's agreement."""

    @blueprint.doc(security=_SECURITY, summary="Read the signed consent receipt")
    @blueprint.response(200)
    def get(self) -> Response:
        """Return the signed receipt as it was given to the person."""
        presented = authentication.grant_token()
        services, grant = wiring(), presented.grant
        services.uow.write(presented.use_proof)
        with services.uow.read() as session:
            found = receipts.of_agreement(session, grant.bucket, grant.agreement_id)
        if not found:
            raise NotFoundError
        return Response(found[-1].document, mimetype="application/json")


def _agreed(opened: Opened) -> dict[str, Any]:
    terms, names = opened.terms, RecordNames(opened.keys.key)
    return {
        "purpose": terms.purpose,
        "actions": sorted(action.value for action in terms.actions),
        "attributes": sorted(terms.attributes),
        "coarsenings": dict(terms.coarsenings),
        "data_from": dict(terms.data_from),
        "instances": names.instances(sorted(terms.primary), terms.chosen),
        "withheld": withheld_by_agreement(terms.denied, terms.coarsenings),
        "access": terms.access.value,
        "fetches_per_day": terms.fetches_per_day,
        "reference": terms.reference or None,
    }


def _delivered(answer: Answer) -> Response:
    response = Response(
        answer.body, 200 if answer.body is not None else 304, mimetype="application/json"
    )
    response.headers["ETag"] = answer.etag
    response.headers["PDS-Log-Entry"] = answer.entry.text()
    response.headers["Cache-Control"] = "no-store"
    return response
