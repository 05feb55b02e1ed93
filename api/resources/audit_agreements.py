"""One consent's course, what was permitted then, and reads without consent, for auditors."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from flask import Blueprint, Response, request

from api import following
from api.resources.audit import as_json, instant, limit_of, seated, uuid_of
from api.wiring import wiring
from consent.auditing.engagements import Seat
from consent.auditing.timelines import Instant, Latency, Shown, Step
from consent.formats.canonical import JSONValue
from pds.clock import rfc3339
from pds.errors import Issue, ValidationFailedError

blueprint = Blueprint("audit_agreements", __name__, url_prefix="/v1/audit")


@blueprint.get("/agreements/<uuid:agreement_id>")
@seated
def agreement(seat: Seat, agreement_id: UUID) -> Response:
    """Return one consent from request to deletion; with `at`, what stood then (AUD-3 to AUD-5)."""
    issues: list[Issue] = []
    at = instant("at", issues) if "at" in request.args else None
    if issues:
        raise ValidationFailedError(issues)
    course = following.follow(wiring(), seat, agreement_id, at=at)
    found, timeline = course.timeline.agreement, course.timeline
    return as_json(
        {
            "agreement": str(found.id),
            "organisation": str(found.organisation_id),
            "person": timeline.person,
            "state": found.state,
            "version": found.version,
            "created_at": rfc3339(found.created_at),
            "expires_at": rfc3339(found.expires_at),
            "ended_at": rfc3339(found.ended_at) if found.ended_at else None,
            "shown": [_shown(each) for each in timeline.shown],
            "steps": [_step(each) for each in timeline.steps],
            "is_cut": timeline.is_cut,
            "erased": dict(timeline.erased),
            "withdrawal": _latency(timeline.latency) if timeline.latency else None,
            "at": _instant(course.instant) if course.instant else None,
        }
    )


@blueprint.get("/withdrawals")
@seated
def withdrawals(seat: Seat) -> Response:
    """Return how fast the newest withdrawals of the period were heeded (AUD-7)."""
    issues: list[Issue] = []
    limit = limit_of(issues)
    if issues:
        raise ValidationFailedError(issues)
    found = following.withdrawals(wiring(), seat, limit=limit)
    return as_json({"withdrawals": [_latency(each) for each in found]})


@blueprint.get("/access")
@seated
def access(seat: Seat) -> Response:
    """Hold every read against its consent; `after` and `limit`, grants, page (AUD-6)."""
    issues: list[Issue] = []
    after, limit = uuid_of("after", issues), limit_of(issues)
    if issues:
        raise ValidationFailedError(issues)
    found = following.access(wiring(), seat, after=after, limit=limit)
    return as_json(
        {
            "grants": found.grants,
            "reads": found.reads,
            "erased": found.erased,
            "objections": [
                {
                    "entry": each.entry,
                    "time": each.time,
                    "agreement": str(each.agreement_id),
                    "rule": each.rule,
                    "detail": each.detail,
                }
                for each in found.objections
            ],
            "after": str(found.after[1]) if found.after else None,
        }
    )


def _shown(each: Shown) -> dict[str, JSONValue]:
    return {
        "version": each.version,
        "notice_sha256": each.notice_sha256,
        "notice": f"{wiring().settings.server.issuer}/notices/{each.notice_sha256}",
        "template_version": each.template_version,
        "template_sha256": each.template_sha256,
        "locale": each.locale,
        "shown_at": rfc3339(each.shown_at) if each.shown_at else None,
    }


def _step(each: Step) -> dict[str, JSONValue]:
    event: JSONValue = each.event.to_dict() if each.event else None
    return {"at": rfc3339(each.at), "what": each.what, "detail": each.detail, "event": event}


def _latency(each: Latency) -> dict[str, JSONValue]:
    return {
        "agreement": str(each.agreement_id),
        "withdrawn_at": rfc3339(each.withdrawn_at),
        "last_read": rfc3339(each.last_read) if each.last_read else None,
        "read_after": each.read_after,
        "acknowledged_in_seconds": _seconds(each.acknowledged_in),
        "deletion_due_at": rfc3339(each.deletion_due_at) if each.deletion_due_at else None,
        "deleted_in_seconds": _seconds(each.deleted_in),
    }


def _seconds(time: timedelta | None) -> int | None:
    return None if time is None else int(time.total_seconds())


def _instant(found: Instant) -> dict[str, JSONValue]:
    permission = found.past.permission if found.past else None
    document = permission.document if permission else None
    reason = permission.reason if permission else None
    return {
        "at": rfc3339(found.at),
        "permitted": permission is not None and reason is None,
        "reason": reason.value if reason else None,
        "attributes": list(document["attributes"]) if document else [],
        "sha256": found.past.sha256 if found.past else None,
        "read": [each.to_dict() for each in found.read],
        "last_read": found.last_read.to_dict() if found.last_read else None,
    }
