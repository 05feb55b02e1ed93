"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.wiring import wiring

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    """Answer as long as the process runs."""
    return jsonify({"status": "ok"})


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """Answer 200 if the store answers, else 503."""
    uow = wiring().uow
    try:
        if uow.has_failed:
            # What the disk holds is not known after a failed commit: start again.
            return jsonify({"status": "a commit failed; restart the server"}), 503
        with uow.read() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return jsonify({"status": "the store does not answer"}), 503
    return jsonify({"status": "ok"}), 200
