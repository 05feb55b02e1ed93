"""Whether a name may stand on a consent page: nobody else's, nor one that looks like it (THR-2)."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.oauth.look_alikes import is_of_mixed_scripts, look_alike
from api.oauth.models import Client
from consent.models import Organisation


def fault(session: Session, names: Iterable[str], *, of: UUID | None) -> str | None:
    """Return what is wrong with names of an organisation or its client; None: nothing.

    Not for write jobs: how many there are is not bounded. Of two that come at one moment under one
    name both get through.

    Args:
        session: to read with.
        names: in every language.
        of: whose; None: of one that is not there yet.
    """
    mine = set(names)
    if any(is_of_mixed_scripts(name) for name in mine):
        return "mixes scripts"
    clients = select(Client.name, Client.name_az, Client.name_en)
    organisations = select(Organisation.name_az, Organisation.name_en)
    if of is not None:
        clients = clients.where(Client.organisation_id != of)
        organisations = organisations.where(Organisation.id != of)
    rows = [*session.execute(clients), *session.execute(organisations)]
    others = {name for row in rows for name in row if name}
    # Whose is not told: who is served here is not everybody's to know.
    return "looks like another's" if any(look_alike(name, others) for name in mine) else None
