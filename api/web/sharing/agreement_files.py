"""An agreement as a file: all that is known of it, for its person to keep (CUX-33)."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from api.web import guards
from api.wiring import wiring
from consent import connections, receipts, versions
from consent.formats import canonical
from consent.log import reader
from consent.log.entries import grant_stream
from pds.clock import rfc3339
from pds.sessions import Visitor

blueprint = Blueprint("agreement_files", __name__, url_prefix="/connections")

_MOST_EVENTS = 10_000  # of each grant, the latest


@blueprint.get("/<uuid:agreement_id>/file")
@guards.signed_in
def download(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Give texts, receipts, obligations and the log's public parts of an agreement, as JSON."""
    services, vault = wiring(), visitor.vault
    with services.uow.read() as session:
        view = connections.get(
            session, vault.bucket, vault.id, agreement_id, now=services.clock.now()
        )
        texts = versions.of_agreement(session, vault.bucket, agreement_id)
        issued = receipts.of_agreement(session, vault.bucket, agreement_id)
        events = [
            event
            for grant in view.grants
            for event in reader.stream_events(
                session,
                vault.bucket,
                grant_stream(grant.id),
                first=max(grant.seq - _MOST_EVENTS + 1, 1),
            )
        ]
    content: dict[str, Any] = {
        "agreement": str(agreement_id),
        "organisation": {"az": view.organisation.name.az, "en": view.organisation.name.en},
        "state": view.state.value,
        "versions": [each.document for each in texts],
        "receipts": [canonical.parse(each.document) for each in issued],
        "obligations": [
            {
                "kind": each.kind.value,
                "state": each.state,
                "due_at": rfc3339(each.due_at),
                "answered_at": rfc3339(each.answered_at) if each.answered_at else None,
            }
            for each in view.owed
        ],
        "log": [
            {
                "entry": each.ref.text(),
                "index": each.index,
                "public": each.opening.pub.to_dict() if each.opening else None,
            }
            for each in events
        ],
    }
    text = json.dumps(content, ensure_ascii=False, indent=2)
    response = Response(text, mimetype="application/json")
    name = f"agreement-{agreement_id}.json"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
