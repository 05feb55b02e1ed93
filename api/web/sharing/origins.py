"""Where one's data comes from, apart from who can read it (CUX-34).

What ends a source ends nobody's reading, and the other way round: each has its own page.
"""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api.web import guards, pages
from api.wiring import wiring
from consent import connections
from pds.importing import FORMATS
from pds.sessions import Visitor

blueprint = Blueprint("origins", __name__, url_prefix="/connections")

_MOST_IMPORTS = 20


@blueprint.get("/sources")
@guards.signed_in
def show(visitor: Visitor) -> ResponseReturnValue:
    """List imports, and organisations that left documents."""
    services, vault = wiring(), visitor.vault
    with services.uow.read() as session:
        views = connections.of_vault(session, vault.bucket, vault.id, now=services.clock.now())
        left = connections.deposits(session, vault.bucket, vault.id)
    recent = services.imports(visitor).recent(limit=_MOST_IMPORTS) if visitor.open_vault else []
    return pages.page(
        "sharing/sources.html",
        tab="sources",
        imports=[(each, FORMATS[each.format].label) for each in recent],
        left=[
            (view, left[grant.id]) for view in views for grant in view.grants if grant.id in left
        ],
        most=_MOST_IMPORTS,
    )
