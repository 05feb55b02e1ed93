"""Opening pseudonyms, for auditors (AUD-1)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request

from api import naming
from api.resources.audit import as_json, seated
from api.wiring import wiring
from consent.auditing.engagements import Seat
from consent.auditing.unmasking import Asked
from consent.formats.canonical import JSONValue
from pds.clock import rfc3339
from pds.errors import Issue, ValidationFailedError

blueprint = Blueprint("audit_unmaskings", __name__, url_prefix="/v1/audit/unmaskings")
_DECISIONS = {"allow": True, "refuse": False}


@blueprint.get("")
@seated
def listed(seat: Seat) -> Response:
    """Return what was asked in the engagement, by whomever; no name is in it."""
    return as_json({"unmaskings": _listed(seat)})


@blueprint.post("")
@seated
def ask(seat: Seat) -> Response:
    """Ask for the pseudonym `person` to be opened, by a `way` and for a `reason`."""
    given = _body("person", "way", "reason")
    made = wiring().unmasking.ask(seat, given["person"], way=given["way"], reason=given["reason"])
    response = as_json({"id": str(made)})
    response.status_code = 201
    return response


@blueprint.post("/<uuid:unmasking>/decision")
@seated
def decide(seat: Seat, unmasking: UUID) -> Response:
    """Say `allow` or `refuse` as the second auditor."""
    decision = _body("decision")["decision"]
    if decision not in _DECISIONS:
        raise ValidationFailedError([Issue("/decision", "unknown", "allow or refuse")])
    wiring().unmasking.decide_as_auditor(seat, unmasking, allow=_DECISIONS[decision])
    return as_json({"unmaskings": _listed(seat)})


@blueprint.post("/<uuid:unmasking>/look")
@seated
def look(seat: Seat, unmasking: UUID) -> Response:
    """Return the name of the account to whoever asked, while it is open; counted and logged."""
    found = naming.look(wiring(), seat, unmasking)
    return as_json(_asked(seat, found.asked) | {"name": found.name})


def _listed(seat: Seat) -> list[JSONValue]:
    found = wiring().unmasking.of_engagement(seat.scope.engagement_id)
    return [_asked(seat, each) for each in found]


def _body(*names: str) -> dict[str, str]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise ValidationFailedError([Issue("", "type", "a JSON object")])
    return {name: str(body.get(name, "")).strip() for name in names}


def _asked(seat: Seat, each: Asked) -> dict[str, JSONValue]:
    return {
        "id": str(each.id),
        "person": seat.scope.pseudonyms.of(each.bucket, each.vault_id),
        "auditor": str(each.auditor_id),
        "way": each.way.value,
        "reason": each.reason,
        "asked_at": rfc3339(each.asked_at),
        "state": each.state.value,
        "until": rfc3339(each.until) if each.until else None,
        "decider": each.decider.value if each.decider else None,
        "decided_at": rfc3339(each.decided_at) if each.decided_at else None,
        "looks": each.looks,
    }
