"""Alerts for auditors (AUD-14)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from api import alerting
from api.resources.audit import as_json, seated
from api.wiring import wiring
from consent.auditing.alerts import Alert, Alerts
from consent.auditing.engagements import Seat
from consent.formats.canonical import JSONValue
from pds.errors import Issue, ValidationFailedError

blueprint = Blueprint("audit_alerts", __name__, url_prefix="/v1/audit/alerts")


@blueprint.get("")
@seated
def listed(seat: Seat) -> Response:
    """Return the alerts with states and notes, of each kind about entries the newest 100.

    `kind` and `before`, from `earlier` of the last page, ask for those before them.
    """
    return _answer(alerting.asked(wiring(), seat, request.args))


@blueprint.post("")
@seated
def review(seat: Seat) -> Response:
    """Record a `state`, a `note` and an `owner` for the alert of a `key`; no `owner`: as it was."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise ValidationFailedError([Issue("", "type", "a JSON object")])
    given = {name: str(body.get(name, "")).strip() for name in ("key", "state", "note")}
    owner = str(body["owner"] or "") if "owner" in body else None
    alerting.review(
        wiring(), seat, given["key"], state=given["state"], note=given["note"], owner=owner
    )
    return _answer(alerting.find(wiring(), seat))


def _answer(alerts: Alerts) -> Response:
    earlier: dict[str, JSONValue] = {kind.value: at for kind, at in alerts.earlier.items()}
    return as_json({"alerts": [_alert(each) for each in alerts.found], "earlier": earlier})


def _alert(each: Alert) -> dict[str, JSONValue]:
    return {
        "key": each.key,
        "kind": each.kind.value,
        "when": each.when,
        "organisation": str(each.organisation_id) if each.organisation_id else None,
        "agreement": str(each.agreement_id) if each.agreement_id else None,
        "detail": dict(each.detail),
        "state": each.state.value,
        "note": each.note,
        "owner": str(each.owner_id) if each.owner_id else None,
    }
