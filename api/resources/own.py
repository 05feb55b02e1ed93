"""What a program of the owner reads: after proof of its key, and nothing without a log entry."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from api.oauth.ext.dpop_resource import InvalidTokenError
from api.resources import authentication
from api.resources.authentication import PresentedApp
from api.resources.parsing import StrictBlueprint
from api.schemas.own import OwnQuerySchema, OwnRecordsSchema
from api.wiring import wiring
from consent.log.entries import EntryRef
from pds.clock import rfc3339
from pds.errors import NotFoundError
from pds.personal_apps import OwnRecord, read_event

blueprint = StrictBlueprint(
    "own", __name__, url_prefix="/v1/own", description="A person's own program: their own vault"
)


@blueprint.route("/records")
class OwnRecords(MethodView):
    """The records of one collection of the owner's vault."""

    @blueprint.doc(security=[{"personalAppToken": []}], summary="Read the own vault")
    @blueprint.arguments(OwnQuerySchema, location="query", as_kwargs=True)
    @blueprint.response(200, OwnRecordsSchema)
    def get(self, collection: str, after: int, limit: int) -> Response:
        """Return a page of a collection that the owner chose for this program."""
        presented, services = authentication.personal_app(), wiring()
        found, following = services.personal_apps.page(
            presented.app, collection, after=after, limit=limit
        )
        entry = _logged(presented, collection, found)
        body = {
            "collection": collection,
            "records": [_record(each) for each in found],
            "next": following,
        }
        response = Response(orjson.dumps(body), mimetype="application/json")
        response.headers["PDS-Log-Entry"] = entry.text()
        response.headers["Cache-Control"] = "no-store"
        return response


def _logged(presented: PresentedApp, collection: str, found: list[OwnRecord]) -> EntryRef:
    """Use up the proof, count the read and log it, in one job: no data without its entry (D9)."""
    services, app = wiring(), presented.app
    now = services.clock.now()
    event = read_event(app, collection, found, at=now)

    def job(session: Session) -> EntryRef:
        authentication.use_proof(session, app.vault.bucket, presented.proof)
        # Takes the vault's row first (P-4).
        entry = services.sink.append(session, app.vault, event)
        services.personal_apps.note_read(session, app, now)
        return entry

    try:
        return services.uow.write(job)
    except NotFoundError as exc:
        raise InvalidTokenError("the token is unknown, expired or revoked") from exc


def _record(found: OwnRecord) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": str(found.id),
        "version": found.version,
        "seq": found.seq,
        "changed_at": rfc3339(found.changed_at),
        "author": found.author_kind,
        "deleted": found.deleted,
    }
    return record if found.deleted else record | {"data": found.data}
