"""What was deleted lately, and taking it back."""

from __future__ import annotations

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from api.web import (
    flashes,
    forms,
    guards,
    languages,
    pages,
)
from api.web.vault.collections import PAGE_RECORDS, Pager
from api.wiring import wiring
from pds.catalogue import CATALOGUE
from pds.deleted_records import Undone, named
from pds.errors import ConflictError, NotFoundError
from pds.sealed_files import RETURNABLE
from pds.sessions import Visitor

blueprint = Blueprint("deleted", __name__, url_prefix="/vault/recently-deleted")


@blueprint.get("")
@guards.unlocked
def show(visitor: Visitor) -> ResponseReturnValue:
    """List deleted records, the latest first."""
    services = wiring().deleted(visitor)
    total = services.count()
    last = max(1, -(-total // PAGE_RECORDS))
    number = min(max(request.args.get("page", 1, type=int), 1), last)
    found = services.latest(offset=(number - 1) * PAGE_RECORDS, limit=PAGE_RECORDS)
    kinds = [(each, CATALOGUE.collection(each.collection)) for each in found]
    locale = languages.current()
    return pages.page(
        "vault/recently_deleted.html",
        records=[(each, kind, kind.title(each.data, locale)) for each, kind in kinds],
        total=total,
        file_days=RETURNABLE.days,
        pager=Pager("/vault/recently-deleted", (), number, last),
    )


@blueprint.post("/undo")
@guards.unlocked
def undo(visitor: Visitor) -> ResponseReturnValue:
    """Bring back what one act deleted."""
    span = named(request.form.get("deleted", ""))
    if span is None:
        raise NotFoundError
    path = forms.next_path("/vault/recently-deleted")
    try:
        undone = wiring().deleted(visitor).undo(*span)
    except ConflictError:
        undone = Undone()
    done = request.form.get("done", 0, type=int) + undone.restored
    again = request.form.get("again", 0, type=int) + undone.there_again
    if undone.left is not None:
        total = request.form.get("total", span[1] - span[0] + 1, type=int)
        return pages.page(
            "vault/slices.html",
            here="/vault/recently-deleted",
            heading=gettext("Undo"),
            text=gettext("Brought back %(done)s.", done=languages.number(done)),
            done=done,
            total=max(total, done),
            action=request.path,
            kept={
                "deleted": f"{span[0]}-{undone.left}",
                "next": path,
                "done": done,
                "again": again,
                "total": total,
            },
            stop=path,
        )
    flashes.put(
        *(["restored"] if done else []),
        *(["there-again"] if again else []),
        *([] if done or again else ["nothing-restored"]),
    )
    return guards.see_other(path)
