"""Random samples for auditors, with pass and fail marks (AUD-15)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request

from api import sampling, searching
from api.resources.audit import as_json, seated
from api.sampling import Report
from api.wiring import wiring
from consent.auditing.engagements import Seat
from consent.formats.canonical import JSONValue
from pds.clock import rfc3339
from pds.errors import Issue, ValidationFailedError

blueprint = Blueprint("audit_samples", __name__, url_prefix="/v1/audit/samples")


@blueprint.get("")
@seated
def listed(seat: Seat) -> Response:
    """Return the samples of the engagement, newest first."""
    found = sampling.of_engagement(wiring(), seat)
    return as_json({"samples": [{"id": str(each.id), "seed": each.seed} for each in found]})


@blueprint.post("")
@seated
def draw(seat: Seat) -> Response:
    """Draw a sample: the filters of a search, and `size`."""
    body = _body()
    issues: list[Issue] = []
    query = searching.read({name: str(value) for name, value in body.items()}, issues)
    size = body.get("size")
    if not isinstance(size, int):
        issues.append(Issue("/size", "type", "a whole number"))
    if issues or not isinstance(size, int):
        raise ValidationFailedError(issues)
    sample_id = sampling.draw(wiring(), seat, query, size=size)
    response = as_json(_report(sampling.get(wiring(), seat, sample_id)))
    response.status_code = 201
    return response


@blueprint.get("/<uuid:sample_id>")
@seated
def show(seat: Seat, sample_id: UUID) -> Response:
    """Return a sample; `format=csv` for the report."""
    found = sampling.get(wiring(), seat, sample_id)
    if request.args.get("format") == "csv":
        return sampling.as_table(found)
    return as_json(_report(found))


@blueprint.post("/<uuid:sample_id>/<int:number>")
@seated
def mark(seat: Seat, sample_id: UUID, number: int) -> Response:
    """Mark an event: `mark` is `pass` or `fail`, and a `note`."""
    body = _body()
    note = str(body.get("note", "")).strip()
    sampling.mark(wiring(), seat, sample_id, number, as_=str(body.get("mark", "")), note=note)
    return as_json(_report(sampling.get(wiring(), seat, sample_id)))


def _body() -> dict[str, object]:
    found = request.get_json(silent=True)
    if not isinstance(found, dict):
        raise ValidationFailedError([Issue("", "type", "a JSON object")])
    return found


def _report(report: Report) -> dict[str, JSONValue]:
    sample = report.sample
    return {
        "id": str(sample.id),
        "seed": sample.seed,
        "filter": dict(sample.asked),
        "population": sample.population,
        "last_index": sample.last_index,
        "log": sample.origin,
        "drawn_at": rfc3339(sample.drawn_at),
        "passed": report.count("pass"),
        "failed": report.count("fail"),
        "items": [
            {
                "number": each.number,
                "index": each.index,
                "event": each.event.to_dict() if each.event else None,
                "mark": each.mark,
                "note": each.note,
            }
            for each in report.items
        ],
    }
