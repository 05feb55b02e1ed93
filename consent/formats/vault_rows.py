"""Rows of a vault against its log: which row is not what was written last (P-31, P-32).

Each write of records is an event of the vault's own stream. Its private part names them:

    {"records": [[id, version, SHA-256 of the sealed box in hex]], "deleted": [id]}

`deleted` is there if some of them became tombstones. Whoever opened these events, the owner, tells
what each row must be by now. The comparison knows neither store nor keys: it is given both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from consent.formats import fields
from consent.formats.canonical import JSONValue
from consent.formats.leaf import PublicPart
from consent.formats.report import Findings

# What writes records; an event of another name may do so too, and then says so by `records`.
WRITES = frozenset({"record.written", "record.deleted", "records.imported", "deposit.absorbed"})
DELETED = "record.deleted"

_WHOLE = 3  # members of a write that names its box: id, version, digest
_PROGRESS_EVERY = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is stored; `opens` says whether its owner's key opens it as what it says."""

    id: str
    collection: str
    version: int
    is_deleted: bool
    box_sha256: str
    opens: bool = True


@dataclass(frozen=True, slots=True)
class OpenedEvent:
    """An event of the vault's stream; `private` is None where it was not opened."""

    pub: PublicPart
    private: Mapping[str, JSONValue] | None


@dataclass(frozen=True, slots=True)
class _Write:
    """The last write of a record; `box_sha256` is None in entries from before it was logged."""

    event: str
    version: int
    box_sha256: str | None
    is_tombstone: bool
    was_deletion: bool


def compare_rows(
    events: Iterable[OpenedEvent],
    rows: Iterable[Row],
    findings: Findings,
    *,
    is_newest: bool,
    progress: Callable[[int], None],
) -> int:
    """Compare the rows of a vault with what its log says was written, and note what differs.

    Args:
        events: of the vault's own stream, from its first on, in order.
        rows: every row of the vault, tombstones included.
        findings: where failures go; `where` is the record's id.
        is_newest: the events reach to the present, so that no row can be newer than they are.
        progress: called with the number of rows done now and then.

    Returns:
        How many rows there are.
    """
    written = _last_writes(events, findings)
    seen: set[str] = set()
    later = 0
    for done, row in enumerate(rows, start=1):
        seen.add(row.id)
        write = written.get(row.id)
        if (write is None or row.version > write.version) and not is_newest:
            later += 1
        else:
            _compare(row, write, findings)
        if done % _PROGRESS_EVERY == 0:
            progress(done)
    for record in sorted(written.keys() - seen):
        write = written[record]
        detail = f"there is no row; {write.event} wrote version {write.version}"
        findings.fail(f"record {record}", "row-removed", detail)
    progress(len(seen))
    if later:
        findings.notice("rows", "row-later", f"{later} were written after this evidence was made")
    return len(seen)


def _last_writes(events: Iterable[OpenedEvent], findings: Findings) -> dict[str, _Write]:
    written: dict[str, _Write] = {}
    for event in events:
        where = f"{event.pub.stream}/{event.pub.seq} {event.pub.event}"
        if event.private is None:
            if event.pub.event in WRITES:
                findings.fail(where, "write-unopened", "what it wrote cannot be compared")
            continue
        with findings.attempt(where, "write-form"):
            written |= _writes(event, where.partition(" ")[0])
    return written


def _writes(event: OpenedEvent, reference: str) -> dict[str, _Write]:
    private = event.private or {}
    records = fields.items(private.get("records", []), "records")
    deleted = fields.distinct_texts(private.get("deleted", []), "deleted")
    found = {}
    for at, each in enumerate(records):
        where = f"records[{at}]"
        parts = fields.items(each, where)
        record = fields.text(parts[0] if parts else None, f"{where}[0]")
        version = fields.integer(parts[1] if len(parts) > 1 else None, f"{where}[1]", least=1)
        box = fields.digest(parts[2], f"{where}[2]") if len(parts) >= _WHOLE else None
        is_tombstone = record in deleted
        found[record] = _Write(
            event=f"{reference} {event.pub.event}",
            version=version,
            box_sha256=box,
            is_tombstone=is_tombstone,
            was_deletion=is_tombstone or event.pub.event == DELETED,
        )
    return found


def _compare(row: Row, write: _Write | None, findings: Findings) -> None:
    where = f"record {row.id}"
    has = f"the row of {row.collection} has version {row.version}"
    if write is None:
        findings.fail(where, "row-unlogged", f"{has}; the log tells of no such record")
        return
    told = f"{write.event} wrote version {write.version}"
    if row.version > write.version:
        findings.fail(where, "row-unlogged", f"{has}; {told}, and nothing since")
    elif row.version < write.version:
        rule = "row-put-back" if write.was_deletion else "row-rolled-back"
        findings.fail(where, rule, f"{has}; {told}")
    elif write.is_tombstone and not row.is_deleted:
        findings.fail(where, "row-put-back", f"{has} and stands; {told}, a tombstone")
    elif row.is_deleted and write.box_sha256 is not None and not write.is_tombstone:
        findings.fail(where, "row-removed", f"{has}, a tombstone; {told}, which deleted nothing")
    elif write.box_sha256 not in {None, row.box_sha256}:
        findings.fail(where, "row-changed", f"{has}; {told} with another content")
    elif not row.opens:
        findings.fail(where, "row-changed", f"{has}; its key does not open it as what it says")
