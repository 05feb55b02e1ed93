"""Which contact in the CRM belongs to which connection, and which of its fields are ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, select

from connector.state.rows import put
from connector.state.schema import ledger, link, tombstone


@dataclass(frozen=True, slots=True)
class Link:
    """A contact that stands for a connection."""

    connection: str
    crm: str
    object: str
    ref: str
    key: str
    life: int


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A field that we wrote: keyed digests of what was sent and of what the CRM made of it."""

    field: str
    category: str
    sent: str
    stored: str


@dataclass(frozen=True, slots=True)
class Links:
    """Links and ledger within one transaction."""

    sql: Connection

    def of(self, connection_id: str) -> list[Link]:
        """Return the contacts of a connection."""
        query = select(link).where(link.c.connection == connection_id).order_by(link.c.object)
        return [
            Link(row.connection, row.crm, row.object, row.ref, row.key, row.life)
            for row in self.sql.execute(query)
        ]

    def count(self) -> int:
        """Return how many contacts there are."""
        return len(self.sql.execute(select(link.c.key)).all())

    def put(self, new: Link, lines: Iterable[LedgerLine], *, cleared: Iterable[str]) -> None:
        """Note a contact, the fields that were written, and those that were cleared."""
        place = {"connection": new.connection, "crm": new.crm, "object": new.object}
        put(
            self.sql,
            link,
            place | {"ref": new.ref, "key": new.key, "life": new.life, "origin": "created"},
        )
        for line in lines:
            put(
                self.sql,
                ledger,
                place
                | {
                    "field": line.field,
                    "category": line.category,
                    "sent": line.sent,
                    "stored": line.stored,
                },
            )
        self.remove_fields(new.connection, crm=new.crm, obj=new.object, fields=cleared)

    def ledger(self, connection_id: str, *, crm: str, obj: str) -> Mapping[str, LedgerLine]:
        """Return what we wrote to a contact, by field."""
        query = select(ledger).where(_place(connection_id, crm, obj))
        return {
            row.field: LedgerLine(row.field, row.category, row.sent, row.stored)
            for row in self.sql.execute(query)
        }

    def remove_fields(
        self, connection_id: str, *, crm: str, obj: str, fields: Iterable[str]
    ) -> None:
        """Forget fields that are no longer in the CRM."""
        gone = ledger.c.field.in_(list(fields))
        self.sql.execute(delete(ledger).where(_place(connection_id, crm, obj), gone))

    def remove(self, connection_id: str) -> None:
        """Forget a connection's contacts: an erasure job has taken them over."""
        self.sql.execute(delete(ledger).where(ledger.c.connection == connection_id))
        self.sql.execute(delete(link).where(link.c.connection == connection_id))

    def is_buried(self, key: str) -> bool:
        """Tell whether a contact with this key was erased: it must not come back (CON-G5)."""
        query = select(tombstone.c.key).where(tombstone.c.key == key)
        return self.sql.execute(query).one_or_none() is not None


def _place(connection_id: str, crm: str, obj: str) -> ColumnElement[bool]:
    return and_(ledger.c.connection == connection_id, ledger.c.crm == crm, ledger.c.object == obj)
