"""The way round by the vault's own form, for an item that a request misses (CUX-8).

What had been chosen waits in `api.web.sharing.kept_choices`; the form leads back to the request.
"""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Response

from api.web import guards
from api.wiring import wiring
from consent.asks import Ask
from pds.catalogue import CATALOGUE, Cardinality
from pds.errors import NotFoundError
from pds.sessions import Visitor


def lead(visitor: Visitor, ask: Ask, name: str, *, back: str) -> Response:
    """Lead to the form in which an attribute is filled in, and from there back.

    Raises:
        NotFoundError: the request asks for no such attribute.
    """
    if name not in (*ask.required, *ask.optional):
        raise NotFoundError
    attribute = CATALOGUE.attribute(name)
    where = f"/vault/{attribute.collection}/new"
    if CATALOGUE.collection(attribute.collection).cardinality is Cardinality.ONE:
        found, _ = wiring().records(visitor).page(attribute.collection, limit=1)
        where = f"/vault/{attribute.collection}/{found[0].id}" if found else where
    return guards.see_other(f"{where}?{urlencode({'next': back})}#{attribute.name}")
