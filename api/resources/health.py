"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from api.wiring import wiring
from consent.log import publication

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    """Answer as long as the process runs."""
    return jsonify({"status": "ok"})


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """Answer 200 if the store answers, else 503; `log` is an alarm, with 200 (LOG-21)."""
    services = wiring()
    uow = services.uow
    try:
        if uow.has_failed:
            # What the disk holds is not known after a failed commit: start again.
            return jsonify({"status": "a commit failed; restart the server"}), 503
        with uow.read() as session:
            halted = publication.halted(session)
            waits = publication.behind_for(session, now=services.clock.now())
    except SQLAlchemyError:
        return jsonify({"status": "the store does not answer"}), 503
    if halted is not None:
        return jsonify({"status": "the log is halted; run pds doctor"}), 503
    if waits.total_seconds() > services.settings.log.alarm_seconds:
        # Reads go on, so this process stays in service.
        return jsonify({"status": "ok", "log": "entries wait to be published; run pds doctor"}), 200
    return jsonify({"status": "ok"}), 200
