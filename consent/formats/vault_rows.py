"""Rows of a vault against its log: which row is not what was written last (P-31, P-32).

Each write of records is an event of the vault's own stream. Its private part names them:

    {"records": [[id, version, box, superseded box]], "deleted": [id]}

Boxes are SHA-256 of the sealed box, in hex. The second is that of the version before, re-sealed for
the history; a new record has none. `deleted` is there if some of them became tombstones. A read
names in the same way what it took, without the second box. Whoever opened these events, the owner,
tells what each row must be by now. The comparison knows neither store nor keys: it is given both
sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from consent.formats import fields
from consent.formats.canonical import JSONValue
from consent.formats.leaf import PublicPart
from consent.formats.report import Findings

# What writes records; an event of another name may do so too, and then says so by `records`.
WRITES = frozenset({"record.written", "record.deleted", "records.imported", "deposit.absorbed"})
READS = frozenset({"data.read", "vault.app_read"})
DELETED = "record.deleted"

_WITH_BOX = 3  # members of an entry that names its box: id, version, digest
_WITH_SUPERSEDED = 4
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
class VersionRow:
    """The row of a superseded version; `opens` as for a `Row`."""

    id: str
    version: int
    box_sha256: str
    opens: bool = True


@dataclass(frozen=True, slots=True)
class OpenedEvent:
    """An event of the vault or a grant; `private` is None where it was not opened."""

    pub: PublicPart
    private: Mapping[str, JSONValue] | None


@dataclass(frozen=True, slots=True)
class _Write:
    """A write of a record; boxes are None in entries from before they were logged."""

    event: str
    version: int
    box_sha256: str | None
    superseded_sha256: str | None
    is_tombstone: bool
    was_deletion: bool


@dataclass(slots=True)
class _Written:
    """What the log tells: the last write of each record, and what each version was.

    `superseded` has the box of every version that was replaced, None where it was not logged.
    `is_whole` tells that every write was opened: what is in none of them was never written.
    """

    last: dict[str, _Write] = field(default_factory=dict)
    boxes: dict[tuple[str, int], str | None] = field(default_factory=dict)
    superseded: dict[tuple[str, int], str | None] = field(default_factory=dict)
    is_whole: bool = True

    def add(self, record: str, write: _Write) -> None:
        self.last[record] = write
        self.boxes[record, write.version] = write.box_sha256
        if write.version > 1:
            self.superseded[record, write.version - 1] = write.superseded_sha256

    def is_known(self, record: str, version: int) -> bool:
        """Tell whether the log reaches to this version of a record."""
        return record in self.last and version <= self.last[record].version


def compare_rows(
    events: Iterable[OpenedEvent],
    rows: Iterable[Row],
    versions: Iterable[VersionRow],
    findings: Findings,
    *,
    elsewhere: Iterable[OpenedEvent] = (),
    is_newest: bool,
    progress: Callable[[int], None],
) -> int:
    """Compare the rows of a vault with what its log says was written, and note what differs.

    Args:
        events: of the vault's own stream, from its first on, in order.
        rows: every row of the vault, tombstones included.
        versions: every row of a superseded version.
        findings: where failures go; `where` is the record's id, and the version's number.
        elsewhere: events of the vault's grants, whose reads are compared, too.
        is_newest: the events reach to the present, so that no row can be newer than they are.
        progress: called with the number of rows done now and then.

    Returns:
        How many rows of present versions there are.
    """
    written, reads = _read_log([*events, *elsewhere], findings)
    seen: dict[str, int] = {}
    later = 0
    for done, row in enumerate(rows, start=1):
        seen[row.id] = row.version
        if not is_newest and not written.is_known(row.id, row.version):
            later += 1
        else:
            _compare(row, written.last.get(row.id), findings)
        if done % _PROGRESS_EVERY == 0:
            progress(done)
    for record in sorted(written.last.keys() - seen.keys()):
        write = written.last[record]
        detail = f"there is no row; {write.event} wrote version {write.version}"
        findings.fail(f"record {record}", "row-removed", detail)
    is_all = is_newest and written.is_whole
    later += _compare_versions(written, versions, findings, present=seen, is_all=is_all)
    for event, record, version, box in reads:
        _compare_read(written, event, (record, version), box, findings, is_all=is_all)
    progress(len(seen))
    if later:
        findings.notice("rows", "row-later", f"{later} were written after this evidence was made")
    return len(seen)


def _read_log(
    events: Iterable[OpenedEvent], findings: Findings
) -> tuple[_Written, list[tuple[str, str, int, str]]]:
    written, reads = _Written(), []
    for event in events:
        reference = f"{event.pub.stream}/{event.pub.seq}"
        where = f"{reference} {event.pub.event}"
        if event.private is None:
            if event.pub.event in WRITES:
                findings.fail(where, "write-unopened", "what it wrote cannot be compared")
                written.is_whole = False
        elif event.pub.event in READS:
            with findings.attempt(where, "read-form"):
                reads += [(where, *each) for each in _taken(event.private)]
        else:
            with findings.attempt(where, "write-form"):
                for record, write in _writes(event, event.private, where):
                    written.add(record, write)
    return written, reads


def _taken(private: Mapping[str, JSONValue]) -> Iterator[tuple[str, int, str]]:
    for at, each in enumerate(fields.items(private.get("records", []), "records")):
        if isinstance(each, str):
            continue  # from before versions and boxes were logged
        record, version, box, _ = _named(each, f"records[{at}]")
        if box is not None:
            yield record, version, box


def _writes(
    event: OpenedEvent, private: Mapping[str, JSONValue], where: str
) -> list[tuple[str, _Write]]:
    records = fields.items(private.get("records", []), "records")
    deleted = fields.distinct_texts(private.get("deleted", []), "deleted")
    found = []
    for at, each in enumerate(records):
        record, version, box, superseded = _named(each, f"records[{at}]")
        is_tombstone = record in deleted
        write = _Write(
            event=where,
            version=version,
            box_sha256=box,
            superseded_sha256=superseded,
            is_tombstone=is_tombstone,
            was_deletion=is_tombstone or event.pub.event == DELETED,
        )
        found.append((record, write))
    return found


def _named(value: JSONValue, where: str) -> tuple[str, int, str | None, str | None]:
    parts = fields.items(value, where)
    record = fields.text(parts[0] if parts else None, f"{where}[0]")
    version = fields.integer(parts[1] if len(parts) > 1 else None, f"{where}[1]", least=1)
    box = fields.digest(parts[2], f"{where}[2]") if len(parts) >= _WITH_BOX else None
    before = fields.digest(parts[3], f"{where}[3]") if len(parts) >= _WITH_SUPERSEDED else None
    return record, version, box, before


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


def _compare_versions(
    written: _Written,
    versions: Iterable[VersionRow],
    findings: Findings,
    *,
    present: Mapping[str, int],
    is_all: bool,
) -> int:
    """Compare the rows of superseded versions; returns how many these entries do not know."""
    missing = dict.fromkeys(written.superseded)
    later = 0
    for row in versions:
        where, place = f"record {row.id} version {row.version}", (row.id, row.version)
        missing.pop(place, None)
        box = written.superseded.get(place)
        if place not in written.superseded:
            if is_all:
                detail = "a row of the history; the log tells of no write that replaced it"
                findings.fail(where, "version-unlogged", detail)
            else:
                later += 1
        elif box not in {None, row.box_sha256}:
            detail = "the row of the history holds another content than the one that was replaced"
            findings.fail(where, "version-changed", detail)
        elif not row.opens:
            detail = "the row of the history is not opened by its key as what it says"
            findings.fail(where, "version-changed", detail)
    for record, version in sorted(missing):
        if present.get(record, 0) <= version:
            continue  # the row itself is removed or rolled back, and named
        detail = f"{written.last[record].event} was written later, and the history has no row of it"
        findings.fail(f"record {record} version {version}", "version-removed", detail)
    return later


def _compare_read(
    written: _Written,
    event: str,
    place: tuple[str, int],
    box: str,
    findings: Findings,
    *,
    is_all: bool,
) -> None:
    is_written = written.boxes[place] in {None, box} if place in written.boxes else not is_all
    if not is_written:
        record, version = place
        detail = f"{event} took version {version} with a content that no entry wrote"
        findings.fail(f"record {record}", "read-unwritten", detail)
