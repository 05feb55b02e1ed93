"""Searches that an auditor keeps (AUD-2)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request

from api import searching
from api.resources.audit import as_json, seated
from api.wiring import wiring
from consent.auditing.engagements import Seat
from consent.auditing.models import SavedSearch
from consent.formats.canonical import JSONValue
from pds.clock import rfc3339
from pds.errors import Issue, ValidationFailedError

blueprint = Blueprint("audit_searches", __name__, url_prefix="/v1/audit/searches")


@blueprint.get("")
@seated
def listed(seat: Seat) -> Response:
    """Return the searches that the auditor keeps in the engagement."""
    return as_json({"searches": [_search(each) for each in searching.kept(wiring(), seat)]})


@blueprint.post("")
@seated
def keep(seat: Seat) -> Response:
    """Keep a `filter`, whose members are those of `GET /v1/audit/events`, under a `name`."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict) or not isinstance(body.get("filter"), dict):
        raise ValidationFailedError([Issue("/filter", "type", "a JSON object with filters")])
    issues: list[Issue] = []
    query = searching.read({name: str(each) for name, each in body["filter"].items()}, issues)
    if issues:
        raise ValidationFailedError(issues)
    made = searching.keep(wiring(), seat, str(body.get("name", "")).strip(), query)
    response = as_json({"id": str(made)})
    response.status_code = 201
    return response


@blueprint.delete("/<uuid:search>")
@seated
def drop(seat: Seat, search: UUID) -> Response:
    """Forget a search."""
    searching.drop(wiring(), seat, search)
    return Response(status=204)


def _search(each: SavedSearch) -> dict[str, JSONValue]:
    return {
        "id": str(each.id),
        "name": each.name,
        "filter": dict(each.asked),
        "saved_at": rfc3339(each.saved_at),
    }
