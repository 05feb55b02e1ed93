"""Who wrote a version of a record, in plain words: you, from a file, or an organisation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from flask_babel import gettext

from api.oauth import clients
from api.web import languages
from api.wiring import wiring
from consent import organisations
from pds.importing import FORMATS
from pds.record_boxes import Author, Source, Superseded
from pds.records import Opened


@dataclass(frozen=True, slots=True)
class Writers:
    """The names of the organisations that wrote some versions, by their clients' ids."""

    names: Mapping[UUID, str]

    @classmethod
    def of(cls, versions: Iterable[Opened | Superseded]) -> Writers:
        """Look up who wrote some versions: nothing is asked if their owner wrote them all."""
        ids = {each.author.id for each in versions if each.author and each.author.id}
        if not ids:
            return cls({})
        with wiring().uow.read() as session:
            owners = clients.organisations_of(session, ids)
            found = organisations.get_all(session, set(owners.values()))
        locale = languages.current()
        return cls(
            {
                client_id: found[owner].name_az if locale == "az" else found[owner].name_en
                for client_id, owner in owners.items()
                if owner in found
            }
        )

    def told(self, author: Author | None, source: Source | None) -> str:
        """Return who wrote a version; empty where nobody kept it."""
        if author is None:
            return ""
        if author.id is not None:
            name = self.names.get(author.id, gettext("an organisation"))
            return str(gettext("delivered by %(name)s", name=name))
        if source is None:
            return str(gettext("you"))
        if source.kind == "import" and source.name in FORMATS:
            label = FORMATS[source.name].label.text(languages.current())
            return str(gettext("imported from: %(format)s", format=label))
        return str(gettext("you, from version %(number)s", number=source.name))
