"""Evidence packs for auditors, and the chain of custody (AUD-10, AUD-11)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from api import packing, searching
from api.resources.audit import as_json, seated
from api.wiring import wiring
from consent.auditing.custody import Taken
from consent.auditing.engagements import Seat
from consent.formats.canonical import JSONValue
from pds.clock import rfc3339
from pds.errors import Issue, ValidationFailedError

blueprint = Blueprint("audit_packs", __name__, url_prefix="/v1/audit")


@blueprint.get("/pack")
@seated
def pack(seat: Seat) -> Response:
    """Return an evidence pack of what the filters name; `bom=1` for spreadsheets that want it."""
    issues: list[Issue] = []
    query = searching.read(request.args, issues)
    if issues:
        raise ValidationFailedError(issues)
    return packing.sent(packing.take(wiring(), seat, query, bom=request.args.get("bom") == "1"))


@blueprint.get("/packs")
@seated
def packs(seat: Seat) -> Response:
    """Return what was taken in the engagement, each checked against the log."""
    return as_json({"packs": [_taken(each) for each in packing.taken(wiring(), seat)]})


@blueprint.get("/packs/<sha256>")
@seated
def taken(seat: Seat, sha256: str) -> Response:
    """Return when the pack of this SHA-256 was taken, checked against the log."""
    return as_json(_taken(packing.find(wiring(), seat, sha256)))


def _taken(each: Taken) -> dict[str, JSONValue]:
    return {
        "sha256": each.sha256,
        "taken_at": rfc3339(each.taken_at),
        "auditor": str(each.auditor_id),
        "filter": dict(each.asked),
        "bytes": each.length,
        "entries": each.entries,
        "entry": each.reference,
        "index": each.index,
        "proved": each.is_proved,
    }
