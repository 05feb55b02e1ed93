"""Lists of a collection: in order, searched and counted, without opening each record each time.

What that needs is kept in parts, each of many records (`ListPart`). A part's boxes hold, padded,

    keys    {"ids": hex, 32 digits each, "titles": [..], "days": [..], "amounts": [..], "gone": hex}
    texts   [the searchable text of each]

in the order of the records' last changes. `gone` are records that were deleted. Titles are written
by `az_collation`, texts by `ascii_fold`; a day is a date or an instant, an amount `12.50 AZN`; each
is empty where there is none.

The parts of a collection are a chain: each begins where the last one ended. As the order of numbers
is the order of commits (P-5), whatever changed since a part was made has a higher number than it:
the chain and the rows after it are all of the collection, and of a record that stands in both the
later one holds. A chain is made anew
from its first gap, or its first part that does not open, and wholly once most of it is dead.

A store's rows are the truth: a list only says which to show, and those are opened themselves.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, cast
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Select, delete, func, insert, select
from sqlalchemy.orm import Session

from pds.catalogue import CATALOGUE, Attribute, Collection, FieldKind
from pds.catalogue.describing import display
from pds.crypto.labels import VAULT_LISTS, derive
from pds.crypto.sealed_box import Kind, open_box, pad, seal, unpad
from pds.errors import DecryptionError
from pds.events import VaultRef
from pds.models import ListPart, Record, Vault
from pds.record_boxes import Data
from pds.records import RecordService
from pds.store import Store
from pds.text import ascii_fold, az_collation

SLICE_RECORDS = 10_000
"""How many records one request opens at most, to bring its lists up to date."""

_PART_RECORDS = 5_000
_FEWEST_IN_PART = 500  # fewer are opened each time: quicker than many small parts
_TITLE_CHARACTERS = 60
_ID_BYTES = 16
_LAST = "~"  # after every day
_DAYS = (FieldKind.DATE, FieldKind.INSTANT)
_TITLES = (FieldKind.TEXT, FieldKind.EMAIL, FieldKind.URL)

_ROWS = select(
    Record.id,
    Record.collection,
    Record.version,
    Record.seq,
    Record.author_kind,
    Record.author_id,
    Record.deleted,
    Record.key_version,
    Record.box,
)


class Order(StrEnum):
    """How a list is ordered."""

    TITLE = "title"
    NEWEST = "newest"  # by the day that the record tells of
    OLDEST = "oldest"
    LARGEST = "largest"
    SMALLEST = "smallest"
    CHANGED = "changed"  # latest change first


@dataclass(slots=True)
class Listing:
    """The records of a collection as far as they were looked through, oldest change first."""

    collection: str
    done: int = 0  # of `total`: rows that were looked through, deleted ones among them
    total: int = 0
    ids: list[bytes] = field(default_factory=list)  # 16 bytes each
    titles: list[str] = field(default_factory=list, repr=False)
    days: list[str] = field(default_factory=list, repr=False)
    amounts: list[str] = field(default_factory=list, repr=False)
    texts: list[str] = field(default_factory=list, repr=False)  # empty unless they were asked for

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to be looked through."""
        return self.done >= self.total

    def found(self, query: str) -> Sequence[int]:
        """Return the places of the records that hold every word, however it was typed (UI-12)."""
        found: Sequence[int] = range(len(self.ids))
        for word in (ascii_fold(each) for each in unicodedata.normalize("NFC", query).split()):
            texts = self.texts
            found = [place for place in found if word in texts[place]]
        return found

    def ordered(self, order: Order, places: Sequence[int]) -> Sequence[int]:
        """Return places in an order; of equals the one that changed last is first."""
        latest = places[::-1]
        match order:
            case Order.TITLE:
                return sorted(latest, key=self.titles.__getitem__)
            case Order.NEWEST:
                return sorted(latest, key=self.days.__getitem__, reverse=True)
            case Order.OLDEST:
                return sorted(latest, key=lambda place: self.days[place] or _LAST)
            case Order.LARGEST | Order.SMALLEST:
                values = [float(each.partition(" ")[0] or 0) for each in self.amounts]
                is_falling = order is Order.LARGEST
                return sorted(latest, key=values.__getitem__, reverse=is_falling)
            case Order.CHANGED:
                return latest

    def at(self, places: Iterable[int]) -> list[UUID]:
        """Return the ids of records at some places."""
        return [UUID(bytes=self.ids[place]) for place in places]


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a collection's records is put in order and summed up."""

    has_titles: bool
    is_diary: bool  # of things that happen one after another
    day: Attribute | None
    amount: Attribute | None

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders that make sense; the first is the one to begin with."""
        by_day = (Order.NEWEST, Order.OLDEST) if self.day else ()
        by_title = (Order.TITLE,) if self.has_titles else ()
        by_amount = (Order.LARGEST, Order.SMALLEST) if self.amount else ()
        first = (*by_day, *by_title) if self.is_diary else (*by_title, *by_day)
        return (*first, *by_amount, Order.CHANGED)


@cache
def shape(kind: Collection) -> Shape:
    """Return the shape of a collection's lists."""
    fields = kind.fields
    first = fields.get(kind.summary[0]) if kind.summary else None
    in_list = [fields[name] for name in (kind.range_field or "", *kind.summary) if name in fields]
    return Shape(
        has_titles=first is not None and first.kind in _TITLES,
        is_diary=kind.range_field is not None,
        day=next((each for each in in_list if each.kind in _DAYS), None),
        amount=next((each for each in fields.values() if each.kind is FieldKind.MONEY), None),
    )


@dataclass(slots=True)
class _Part:
    """Some records of a collection in the order of their changes: what a `ListPart` holds."""

    after: int
    through: int
    ids: list[bytes] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    amounts: list[str] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    opens: bool = True

    def keys(self) -> bytes:
        """Return what is sorted by, as a box holds it."""
        return orjson.dumps(
            {
                "ids": b"".join(self.ids).hex(),
                "titles": self.titles,
                "days": self.days,
                "amounts": self.amounts,
                "gone": b"".join(self.gone).hex(),
            }
        )


@dataclass(frozen=True, slots=True)
class ListService:
    """The lists of one unlocked vault."""

    store: Store
    vault: VaultRef
    records: RecordService

    def of(self, collection: str, *, with_texts: bool = False) -> Listing:
        """Return the list of a collection, after opening at most a slice of it.

        Raises:
            NotFoundError: the catalogue has no such collection.
        """
        kind = CATALOGUE.collection(collection)
        return next(self._each([kind], with_texts=with_texts))

    def of_all(self) -> list[Listing]:
        """Return every collection's list, with texts, after opening at most a slice."""
        return list(self._each(list(CATALOGUE.collections.values()), with_texts=True))

    def _each(self, kinds: Sequence[Collection], *, with_texts: bool) -> Iterator[Listing]:
        limit = SLICE_RECORDS
        names = [kind.name for kind in kinds]
        with self.store.read() as session:
            sizes = self._sizes(session, names)
            chains = self._chains(session, names, with_texts=with_texts)
        for kind in kinds:
            total, last = sizes.get(kind.name, (0, 0))
            chain, dropped = _whole(chains.get(kind.name, []), total)
            through, read = chain[-1].through if chain else 0, 0
            if through < last or dropped:
                with self.store.read() as session:
                    rows = self._rows(session, kind.name, through, limit)
                    read = len(rows)
                    left = 0
                    if read >= limit:
                        position = rows[-1].seq if rows else through
                        left = self._left(session, kind.name, position)
                new = [*self._digested(kind, rows, through)]
                self._keep(kind.name, [part for part in new if _is_kept(part)], through, dropped)
                chain += new
                limit -= read
                yield _listed(kind.name, chain, done=total - left, total=total)
            else:
                yield _listed(kind.name, chain, done=total, total=total)

    def _sizes(self, session: Session, names: Sequence[str]) -> dict[str, tuple[int, int]]:
        query = (
            select(Record.collection, func.count(), func.max(Record.seq))
            .where(*self._mine(), Record.collection.in_(names))
            .group_by(Record.collection)
        )
        return {name: (rows, last) for name, rows, last in session.execute(query)}

    def _left(self, session: Session, name: str, position: int) -> int:
        query = select(func.count()).where(
            *self._mine(), Record.collection == name, Record.seq > position
        )
        return session.execute(query).scalar_one()

    def _rows(self, session: Session, name: str, through: int, limit: int) -> Sequence[Any]:
        query = (
            _ROWS.where(*self._mine(), Record.collection == name, Record.seq > through)
            .order_by(Record.seq)
            .limit(max(limit, 0))
        )
        return session.execute(query).all()

    def _digested(self, kind: Collection, rows: Sequence[Any], after: int) -> Iterator[_Part]:
        for start in range(0, len(rows), _PART_RECORDS):
            part = _Part(after, rows[min(start + _PART_RECORDS, len(rows)) - 1].seq)
            for row in rows[start : start + _PART_RECORDS]:
                if row.deleted:
                    part.gone.append(row.id.bytes)
                    continue
                data = self.records.boxes.open(cast(Record, row)).data
                title, day, amount, text = _digest(kind, data)
                part.ids.append(row.id.bytes)
                part.titles.append(title)
                part.days.append(day)
                part.amounts.append(amount)
                part.texts.append(text)
            after = part.through
            yield part

    def _chains(
        self, session: Session, names: Sequence[str], *, with_texts: bool
    ) -> dict[str, list[_Part]]:
        columns = [ListPart.collection, ListPart.after_seq, ListPart.through_seq, ListPart.keys_box]
        query: Select[*tuple[Any, ...]] = (
            select(*columns, *([ListPart.texts_box] if with_texts else []))
            .where(
                ListPart.bucket == self.vault.bucket,
                ListPart.vault_id == self.vault.id,
                ListPart.collection.in_(names),
            )
            .order_by(ListPart.after_seq)
        )
        key, chains = self._key(), dict[str, list[_Part]]()
        for name, after, through, keys_box, *texts_box in session.execute(query):
            part = _Part(after, through)
            try:
                keys = _opened(key, keys_box, self._fields(name, part, b"keys"))
                for box in texts_box:
                    part.texts = _opened(key, box, self._fields(name, part, b"texts"))
            except DecryptionError:
                part.opens = False
            else:
                part.ids, part.gone = _split(keys["ids"]), _split(keys["gone"])
                part.titles, part.days, part.amounts = keys["titles"], keys["days"], keys["amounts"]
            chains.setdefault(name, []).append(part)
        return chains

    def _keep(self, name: str, parts: Sequence[_Part], after: int, dropped: Sequence[int]) -> None:
        if not parts and not dropped:
            return
        key = self._key()
        rows = [
            {
                "bucket": self.vault.bucket,
                "vault_id": self.vault.id,
                "collection": name,
                "after_seq": part.after,
                "through_seq": part.through,
                "keys_box": _sealed(key, part.keys(), self._fields(name, part, b"keys")),
                "texts_box": _sealed(
                    key, orjson.dumps(part.texts), self._fields(name, part, b"texts")
                ),
            }
            for part in parts
        ]
        of_list = (
            ListPart.bucket == self.vault.bucket,
            ListPart.vault_id == self.vault.id,
            ListPart.collection == name,
        )

        def job(session: Session) -> None:
            # The vault's row orders two tabs that look through the same collection, and keeps a
            # part from outliving a vault whose keys are destroyed.
            state = select(Vault.state).where(
                Vault.bucket == self.vault.bucket, Vault.id == self.vault.id
            )
            if session.execute(state.with_for_update()).scalar_one() != "active":
                return
            if dropped:
                session.execute(delete(ListPart).where(*of_list, ListPart.after_seq.in_(dropped)))
            end = session.execute(select(func.max(ListPart.through_seq)).where(*of_list)).scalar()
            if rows and (end or 0) == after:
                session.execute(insert(ListPart), rows)

        self.store.write(job)

    def _key(self) -> bytes:
        return derive(self.records.open_vault.vrk, VAULT_LISTS)

    def _fields(self, name: str, part: _Part, what: bytes) -> tuple[bytes, ...]:
        return (
            b"list",
            self.records.open_vault.keys.deployment,
            self.vault.id.bytes,
            name.encode(),
            part.after.to_bytes(8, "big"),
            part.through.to_bytes(8, "big"),
            what,
        )

    def _mine(self) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return Record.bucket == self.vault.bucket, Record.vault_id == self.vault.id


def _whole(chain: list[_Part], total: int) -> tuple[list[_Part], list[int]]:
    """Return the parts of a chain up to its first gap, and where those begin that are dropped."""
    end, kept = 0, 0
    for part in chain:
        if part.after != end or not part.opens:
            break
        end, kept = part.through, kept + 1
    # Tombstones and what was changed since stay in old parts: half of it dead is the bound.
    if sum(len(part.ids) + len(part.gone) for part in chain) > 2 * total + _PART_RECORDS:
        kept = 0
    return chain[:kept], [part.after for part in chain[kept:]]


def _is_kept(part: _Part) -> bool:
    return len(part.ids) + len(part.gone) >= _FEWEST_IN_PART


def _listed(name: str, chain: Sequence[_Part], *, done: int, total: int) -> Listing:
    """Join the parts of a chain: of a record that stands in several, the last one holds."""
    listing, later = Listing(name, done, total), set[bytes]()
    joined: list[tuple[_Part, Sequence[int] | None]] = []
    for part in reversed(chain):
        places = None
        if not later.isdisjoint(part.ids):
            places = [place for place, each in enumerate(part.ids) if each not in later]
        later.update(part.ids, part.gone)
        joined.append((part, places))
    for part, some in reversed(joined):
        for name_of, whole in (
            ("ids", part.ids),
            ("titles", part.titles),
            ("days", part.days),
            ("amounts", part.amounts),
            ("texts", part.texts),
        ):
            column = getattr(listing, name_of)
            column += whole if some is None or not whole else [whole[place] for place in some]
    return listing


def _digest(kind: Collection, data: Data) -> tuple[str, str, str, str]:
    """Return a record's title, day, amount and text, as lists keep them."""
    form = shape(kind)
    title = az_collation(kind.title(data, "az")[:_TITLE_CHARACTERS]) if form.has_titles else ""
    day = str(data.get(form.day.name, "")) if form.day else ""
    money = data.get(form.amount.name) if form.amount else None
    amount = f"{money['value']} {money['currency']}" if isinstance(money, Mapping) else ""
    return title, day, amount, ascii_fold(" ".join(_texts(kind, data)))


def _texts(kind: Collection, data: Data) -> Iterator[str]:
    for name, value in data.items():
        attribute = kind.fields.get(name)
        if attribute is None or isinstance(value, bool):
            continue
        if isinstance(value, Mapping):
            # Found by either decimal sign.
            yield f"{value['value']} {str(value['value']).replace('.', ',')} {value['currency']}"
            continue
        yield display(attribute, value, "az")
        if attribute.options or attribute.kind in _DAYS:
            yield display(attribute, value, "en")


def _sealed(key: bytes, content: bytes, fields: tuple[bytes, ...]) -> bytes:
    return seal(key, pad(content), kind=Kind.RECORD, key_version=1, fields=fields)


def _opened(key: bytes, box: bytes, fields: tuple[bytes, ...]) -> Any:  # noqa: ANN401 - JSON
    return orjson.loads(unpad(open_box(key, box, kind=Kind.RECORD, fields=fields)))


def _split(ids: str) -> list[bytes]:
    joined = bytes.fromhex(ids)
    # One call: there are a hundred thousand of them, each time a list is looked at.
    return list(struct.unpack(f"{_ID_BYTES}s" * (len(joined) // _ID_BYTES), joined))
